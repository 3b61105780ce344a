#include "dequantize.hpp"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <vq/plan/summary.hpp>

#include "encoding.hpp"
#include "model_plan.hpp"
#include "precision_table.hpp"
#include "stored_model.hpp"

namespace tool {

namespace {

const char* torch_name(vq::dtype type) {
  return type == vq::dtype::f16 ? "float16" : type == vq::dtype::bf16 ? "bfloat16" : "float32";
}

}  // namespace

outcome dequantize(const dequantize_options& options, const context& c) {
  report found;
  const auto model = vq::checkpoint::open(options.source);
  if (!model) return model.error();
  found.warnings.assign(model->warnings().begin(), model->warnings().end());
  const auto stored = stored_model::read(*model);
  if (!stored) return stored.error();

  conversion work;
  work.source = &*model;
  work.destination = options.destination;
  work.metadata = {{"format", "pt"}};
  vq::assignment plan;
  std::map<std::string, const stored_weight*> weights;
  bool any = false;
  for (const stored_weight& w : stored->weights()) {
    const bool changes = w.quantized() || (options.type && vq::holds_floats(w.type));
    const vq::dtype type = changes && options.type ? *options.type : w.type;
    any = any || w.quantized();
    work.items.push_back({.sources = w.parts,
                          .outputs = {{w.name, type, w.shape}},
                          .late = {},
                          .format = std::string(vq::name_of(type))});
    weights.emplace(w.name, &w);
    vq::assigned_tensor after = w;
    after.type = type;
    after.format = vq::keep_format;
    after.bytes = after.stored_bytes();
    plan.tensors.push_back(std::move(after));
  }
  if (!any) {
    return vq::failure{vq::status::bad_argument,
                       vq::sentence(options.source, ": no weight in it is quantized")};
  }
  work.config = config_of(*model);
  if (work.config) {
    work.config->erase("quantization_config");
    for (const char* key : {"torch_dtype", "dtype"}) {
      if (options.type && work.config->contains(key))
        (*work.config)[key] = torch_name(*options.type);
    }
  }
  work.make = [&](const conversion_item& item,
                  const write_bytes& write) -> std::optional<vq::failure> {
    const vq::tensor_info& to = item.outputs.front();
    const stored_weight& w = *weights.at(to.name);
    if (!w.quantized() && w.type == to.type) return write(to.name, w.parts.front()->bytes);
    const auto values = weight_values::open(*model, w);
    if (!values) return values.error();
    const auto load = [&](index_type first, std::span<float> out) {
      return values->load(first, out);
    };
    return write_floats(w, to.type, load, write);
  };
  const vq::model_summary summary = vq::summarize(plan);
  found.text = precision_table(summary);
  found.json.update(precision_json(summary));
  const auto written = convert(work, options.how, c);
  if (!written) return written.error();
  add_summary(*written, work, found);
  return found;
}

command add_dequantize(CLI::App& app) {
  CLI::App& sub =
      *app.add_subcommand("dequantize", "Write a quantized checkpoint back in 16 or 32 bits");
  auto o = std::make_shared<dequantize_options>();
  sub.add_option("source", o->source, "A checkpoint of bitsandbytes, or of vq quantize")
      ->required();
  sub.add_option("destination", o->destination, "The folder to make; it must not exist")
      ->required();
  const std::map<std::string, vq::dtype> types{
      {"f16", vq::dtype::f16}, {"bf16", vq::dtype::bf16}, {"f32", vq::dtype::f32}};
  sub.add_option_function<vq::dtype>(
         "--dtype,-d", [o](const vq::dtype& type) { o->type = type; },
         "Type of all weights; without it each gets the type that it had before")
      ->transform(CLI::CheckedTransformer(types));
  add_conversion_options(sub, o->how);
  sub.footer("Examples:\n"
             "  vq dequantize out back\n"
             "  vq dequantize some-model-bnb-4bit back --dtype bf16");
  return {&sub, [o](const context& c) { return dequantize(*o, c); }};
}

}  // namespace tool
