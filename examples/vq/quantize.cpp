#include "quantize.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <vq/plan/skip_modules.hpp>
#include <vq/plan/weight_formats.hpp>

#include "model_plan.hpp"
#include "precision_table.hpp"

namespace tool {

namespace {

// float16, bfloat16 or float32: what most of the weights are.
std::string compute_type(const vq::checkpoint& model) {
  std::map<vq::dtype, std::uint64_t> bytes;
  for (const vq::checkpoint_tensor& t : model.tensors()) bytes[t.type] += t.bytes.size();
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != bytes.end() && most->first == vq::dtype::f16) return "float16";
  return most != bytes.end() && most->first == vq::dtype::bf16 ? "bfloat16" : "float32";
}

// The object that makes transformers and vLLM load the checkpoint as it is. Where weights differ in
// their format, loaders go by the state beside each; the object names the most frequent.
nlohmann::ordered_json quantization_config(const vq::checkpoint& model, const vq::assignment& plan,
                                           const std::vector<std::string>& skip) {
  std::map<std::string, index_type> formats;
  for (const vq::assigned_tensor& t : plan.tensors) {
    if (t.quantized()) ++formats[t.format];
  }
  const auto most =
      std::max_element(formats.begin(), formats.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  const auto four = most == formats.end() ? std::nullopt : four_bit_format_of(most->first);
  nlohmann::ordered_json json{{"quant_method", "bitsandbytes"},
                              {"_load_in_4bit", four.has_value()},
                              {"_load_in_8bit", !four},
                              {"load_in_4bit", four.has_value()},
                              {"load_in_8bit", !four}};
  json["bnb_4bit_quant_type"] = four ? vq::name_of(four->type) : "nf4";
  json["bnb_4bit_use_double_quant"] = four && four->nested;
  json["bnb_4bit_compute_dtype"] = compute_type(model);
  json["bnb_4bit_quant_storage"] = "uint8";
  json["llm_int8_enable_fp32_cpu_offload"] = false;
  json["llm_int8_has_fp16_weight"] = false;
  json["llm_int8_skip_modules"] = skip;
  json["llm_int8_threshold"] = 6.0;
  return json;
}

}  // namespace

outcome quantize(const quantize_options& options, const context& c) {
  report found;
  const auto model = vq::checkpoint::open(options.source);
  if (!model) return model.error();
  found.warnings.assign(model->warnings().begin(), model->warnings().end());

  conversion work;
  work.source = &*model;
  work.destination = options.destination;
  work.config = config_of(*model);
  if (work.config && work.config->contains("quantization_config")) {
    return vq::failure{
        vq::status::bad_argument,
        vq::sentence(options.source, ": config.json has a quantization_config: the "
                                     "checkpoint is quantized already; vq dequantize undoes that")};
  }

  const auto recipe = vq::find_recipe(options.recipe);
  if (!recipe) return recipe.error();
  const auto formats = vq::formats_of<vq::weight_formats>();
  const auto plan = vq::apply(*recipe, model->tensors(), formats, facts_of(*model));
  if (!plan) return plan.error();
  found.warnings.insert(found.warnings.end(), plan->warnings.begin(), plan->warnings.end());

  if (options.format == container::bitsandbytes) {
    const auto skip = vq::skip_modules(*plan, formats);
    if (!skip) return skip.error();
    found.warnings.insert(found.warnings.end(), skip->warnings.begin(), skip->warnings.end());
    if (work.config) {
      (*work.config)["quantization_config"] = quantization_config(*model, *plan, skip->modules);
    } else {
      found.warnings.push_back(vq::sentence(
          options.source, ": there is no config.json; loaders need one that names the format"));
    }
  }
  if (options.format == container::vq && work.config) {
    // Loaders that do not know the method refuse the checkpoint, which is what they should do.
    (*work.config)["quantization_config"] = {
        {"quant_method", "vq"},
        {"recipe", nlohmann::ordered_json::parse(vq::format_recipe(*recipe))}};
  }
  for (std::size_t i = 0; i < plan->tensors.size(); ++i) {
    auto item = item_of(model->tensors()[i], plan->tensors[i].format, options.format);
    if (!item) return item.error();
    work.items.push_back(*std::move(item));
  }
  work.metadata = {{"format", "pt"}, {"vq_recipe", recipe->name}};
  work.make = [to = options.format](const conversion_item& item, const write_bytes& write) {
    return encode(item, to, write);
  };

  conversion_options how = options.how;
  if (!options.share.empty()) {
    const auto share = parse_part(options.share);
    if (!share) return share.error();
    how.share = *share;
  }
  const vq::model_summary summary = vq::summarize(*plan);
  found.text = precision_table(summary);
  found.json["recipe"] = recipe->name;
  found.json.update(precision_json(summary));
  if (options.dry_run) return found;
  const auto written = convert(work, how, c);
  if (!written) return written.error();
  add_summary(*written, work, found);
  return found;
}

command add_quantize(CLI::App& app) {
  CLI::App& sub =
      *app.add_subcommand("quantize", "Write a checkpoint in the precision of a recipe");
  auto o = std::make_shared<quantize_options>();
  sub.add_option("source", o->source, "A .safetensors file, or the folder of a checkpoint")
      ->required();
  sub.add_option("destination", o->destination, "The folder to make; it must not exist")
      ->required();
  sub.add_option("--recipe,-r", o->recipe, "A recipe's file, or one of " + recipe_names())
      ->required();
  const std::map<std::string, container> containers{{"bitsandbytes", container::bitsandbytes},
                                                    {"vq", container::vq}};
  sub.add_option("--format,-f", o->format,
                 "bitsandbytes: transformers and vLLM load it; vq: holds every format")
      ->transform(CLI::CheckedTransformer(containers));
  add_conversion_options(sub, o->how);
  const auto share =
      sub.add_option("--part", o->share, "K/N: only the shards of part K, on one machine of N");
  sub.add_flag("--finish", o->how.finish, "All parts are done: write the index and name the folder")
      ->excludes(share);
  sub.add_flag("--dry-run", o->dry_run, "Apply the recipe, print the table, write nothing");
  sub.footer(
      "Examples:\n"
      "  vq quantize llava-1.5-7b-hf out --recipe vlm-asymmetric\n"
      "  vq quantize llava-1.5-7b-hf out --recipe mine.json --dry-run\n"
      "  vq quantize vit out --recipe vit-selective --format vq\n"
      "On several machines that share a disk, with the same options everywhere:\n"
      "  vq quantize SRC OUT -r vlm-asymmetric --shard-size 1GB --part $SLURM_ARRAY_TASK_ID/8\n"
      "  vq quantize SRC OUT -r vlm-asymmetric --shard-size 1GB --finish\n"
      "After an interruption (Ctrl-C, kill, power) the same command goes on where it was.");
  return {&sub, [o](const context& c) { return quantize(*o, c); }};
}

}  // namespace tool
