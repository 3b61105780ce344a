#include "memory.hpp"

#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <vq/io/checkpoint.hpp>
#include <vq/io/json_file.hpp>
#include <vq/plan/architecture.hpp>
#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/memory_budget.hpp>
#include <vq/plan/weight_formats.hpp>

#include "table.hpp"

namespace tool {

namespace {

using vq::index_type;

struct model_source {
  vq::model_architecture model;
  std::vector<std::string> warnings;
};

// A folder or file with tensors, or a configuration alone.
vq::result<model_source, vq::failure> read_model(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  const bool tensors =
      folder ? std::filesystem::exists(path / "model.safetensors", ignored) ||
                   std::filesystem::exists(path / "model.safetensors.index.json", ignored)
             : path.extension() == ".safetensors" ||
                   path.filename().string().ends_with(".safetensors.index.json");
  if (!tensors) {
    const std::filesystem::path file = folder ? path / "config.json" : path;
    const auto config = vq::read_json(file);
    if (!config) return config.error();
    auto model = vq::read_architecture(*config, file.string());
    if (!model) return model.error();
    return model_source{*std::move(model), {}};
  }
  const auto checkpoint = vq::checkpoint::open(path);
  if (!checkpoint) return checkpoint.error();
  model_source source;
  source.warnings.assign(checkpoint->warnings().begin(), checkpoint->warnings().end());
  std::string unknown;
  if (!checkpoint->config()) {
    unknown = vq::describe(checkpoint->config().error());
  } else if (auto model = vq::read_architecture(*checkpoint->config(),
                                                (checkpoint->folder() / "config.json").string())) {
    source.model = *std::move(model);
  } else {
    unknown = vq::describe(model.error());
  }
  if (!unknown.empty()) {
    source.warnings.push_back(unknown + "; only weights are counted, no caches and no activations");
  }
  source.model.tensors.clear();
  for (const vq::checkpoint_tensor& t : checkpoint->tensors()) source.model.tensors.push_back(t);
  return source;
}

// "672x336"; "none" for no image at all.
vq::result<std::vector<vq::image_pixels>, vq::failure> parse_images(
    const std::vector<std::string>& texts) {
  std::vector<vq::image_pixels> images;
  for (const std::string& text : texts) {
    if (text == "none" && texts.size() == 1) break;
    const char* const end = text.data() + text.size();
    vq::image_pixels image;
    const auto width = std::from_chars(text.data(), end, image.width);
    const bool cross = width.ptr != end && *width.ptr == 'x';
    const auto height = std::from_chars(cross ? width.ptr + 1 : end, end, image.height);
    const auto possible = [](index_type edge) { return edge >= 1 && edge <= 65'536; };
    if (!cross || height.ptr != end || !possible(image.width) || !possible(image.height)) {
      return vq::failure{vq::status::bad_argument,
                         vq::sentence("the image ", vq::in_quotes(text),
                                      " is not WIDTHxHEIGHT in pixels, up to 65536")};
    }
    images.push_back(image);
  }
  return images;
}

// Powers of 1000 and of 1024: GB and GiB, or for small models MB and MiB.
struct byte_units {
  bool small = false;

  const char* decimal() const { return small ? "MB" : "GB"; }
  const char* binary() const { return small ? "MiB" : "GiB"; }
  std::string in_decimal(std::uint64_t bytes) const {
    return number_text(static_cast<double>(bytes) / (small ? 1e6 : vq::bytes_per_gb), 3);
  }
  std::string in_binary(std::uint64_t bytes) const {
    return number_text(static_cast<double>(bytes) * (small ? 1024 : 1) / vq::bytes_per_gib, 3);
  }
};
byte_units units_for(const vq::memory_plan& plan) { return {plan.weights < 100'000'000}; }

nlohmann::ordered_json json_of(const vq::memory_plan& plan) {
  const auto items = [](const std::vector<vq::memory_item>& list) {
    auto all = nlohmann::ordered_json::array();
    for (const vq::memory_item& i : list) {
      all.push_back({{"what", i.what}, {"bytes", i.bytes}, {"why", i.why}});
    }
    return all;
  };
  auto phases = nlohmann::ordered_json::array();
  for (const vq::memory_phase& p : plan.phases) {
    phases.push_back({{"name", p.name}, {"bytes", p.bytes()}, {"items", items(p.items)}});
  }
  return {{"total", plan.total},
          {"weights", plan.weights},
          {"sequence", plan.sequence},
          {"visual_tokens", plan.visual_tokens},
          {"cross_tokens", plan.cross_tokens},
          {"items", items(plan.items)},
          {"phases", std::move(phases)}};
}

std::string table_of(const vq::memory_plan& plan) {
  const byte_units units = units_for(plan);
  table rows({"what", units.decimal(), units.binary(), "why"});
  const auto row = [&](const std::string& what, std::uint64_t bytes, const std::string& why) {
    rows.add({what, units.in_decimal(bytes), units.in_binary(bytes), why});
  };
  for (const vq::memory_item& i : plan.items) {
    const bool transient = i.what.starts_with("transient");
    row(i.what, i.bytes, transient ? "the largest phase:" : i.why);
    if (!transient) continue;
    for (const vq::memory_item& part : plan.peak()->items) {
      row("  " + part.what, part.bytes, part.why);
    }
  }
  row("total", plan.total, "");
  return rows.text();
}

std::string count_of_parameters(const vq::model_architecture& model) {
  index_type parameters = 0;
  for (const vq::tensor_info& t : model.tensors) parameters += t.size();
  return count_text(parameters);
}

std::string images_text(const vq::model_architecture& model,
                        const std::vector<vq::image_pixels>& images) {
  std::string text;
  for (const vq::image_pixels image : images) {
    const vq::visual_tokens v = vq::count_visual_tokens(model, image);
    if (v.sequence + v.cross == 0) continue;
    text += vq::sentence("image ", image.width, "x", image.height, ": ",
                         count_text(v.sequence + v.cross), " tokens",
                         v.cross > 0 ? " beside" : " in", " the sequence (", v.how, ")\n");
  }
  return text;
}

// What is said of one plan.
void show_plan(report& found, const vq::model_architecture& model, const vq::recipe& used,
               const vq::memory_plan& plan) {
  found.text += vq::sentence("recipe ", used.name, ": ", used.about, "\n\n", table_of(plan));
  found.json["recipe"] = used.name;
  found.json["memory"] = json_of(plan);
  if (!model.has_decoder()) return;
  const index_type longest = model.decoder.longest_context;
  found.text += vq::sentence(count_text(plan.sequence), " tokens in the sequence\n");
  if (longest > 0 && plan.sequence > longest) {
    found.warnings.push_back(
        vq::sentence("the model was made for ", longest, " tokens, not for ", plan.sequence));
  }
}

// One recipe, given by name, against the budget.
outcome plan_one(report found, const model_source& source, const memory_options& options,
                 const vq::memory_request& request, std::uint64_t budget) {
  static const auto formats = vq::formats_of<vq::weight_formats>();
  vq::recipe used{"as-is", "every tensor as it is", {}};
  if (!options.recipe.empty() && options.recipe != used.name) {
    auto named = vq::find_recipe(options.recipe);
    if (!named) return named.error();
    used = *std::move(named);
  }
  const auto plan = vq::apply(used, source.model.tensors, formats, source.model.facts());
  if (!plan) return plan.error();
  found.warnings.insert(found.warnings.end(), plan->warnings.begin(), plan->warnings.end());
  const vq::memory_plan memory = vq::plan_memory(source.model, *plan, request);
  show_plan(found, source.model, used, memory);
  if (budget == 0) return found;
  const bool fits = memory.total <= budget;
  const index_type longest = vq::longest_context(
      source.model, *plan, request, budget, vq::context_limit(source.model, memory.visual_tokens));
  found.json["budget"] = budget;
  found.json["fits"] = fits;
  found.json["longest_context"] = longest;
  if (source.model.has_decoder()) {
    found.text += vq::sentence("longest context in ", vq::spelled_bytes(budget), ": ",
                               longest > 0 ? count_text(longest) : "none", "\n");
  }
  if (!fits) {
    const std::string why = vq::explain_shortage(source.model, *plan, request, budget);
    found.text += vq::sentence("does not fit: ", why, "\n");
    found.json["why_not"] = why;
    found.code = differs;
  }
  return found;
}

// The most precise recipe that fits.
outcome plan_for_budget(report found, const model_source& source, const vq::memory_request& request,
                        std::uint64_t budget) {
  static const auto formats = vq::formats_of<vq::weight_formats>();
  const auto fit = vq::fit_budget(source.model, formats, budget, request);
  if (!fit) return fit.error();
  found.text += vq::sentence("budget ", vq::spelled_bytes(budget), ", context ",
                             count_text(request.context), " tokens of text\n\n");
  const byte_units units = units_for(fit->options.front().memory);
  const auto sizes = [&](std::uint64_t bytes) {
    return vq::sentence(units.in_decimal(bytes), " ", units.decimal());
  };
  table rows({"recipe", "weights", "total", units.binary(), "fits", "longest context"});
  found.json["budget"] = budget;
  found.json["options"] = nlohmann::ordered_json::array();
  for (const vq::budget_option& o : fit->options) {
    const bool fits = o.memory.total <= budget;
    rows.add({o.used.name, sizes(o.memory.weights), sizes(o.memory.total),
              units.in_binary(o.memory.total), fits ? "yes" : "no",
              o.longest_context > 0 ? count_text(o.longest_context) : "-"});
    found.json["options"].push_back({{"recipe", o.used.name},
                                     {"weights", o.memory.weights},
                                     {"total", o.memory.total},
                                     {"fits", fits},
                                     {"longest_context", o.longest_context},
                                     {"memory", json_of(o.memory)}});
  }
  found.text += rows.text() + "\n";
  if (!fit->chosen) {
    found.text += vq::sentence("nothing fits: ", fit->why_not, "\n");
    found.json["why_not"] = fit->why_not;
    found.code = differs;
    return found;
  }
  const vq::budget_option& chosen = fit->options[*fit->chosen];
  show_plan(found, source.model, chosen.used, chosen.memory);
  found.json["longest_context"] = chosen.longest_context;
  return found;
}

}  // namespace

outcome memory(const memory_options& options) {
  vq::memory_request request = options.request;
  request.cache = options.cache == "f8"     ? vq::cache_format::f8
                  : options.cache == "int4" ? vq::cache_format::int4
                                            : vq::cache_format::f16;
  if (options.attention == "eager") request.attention = vq::attention_kernel::eager;
  if (options.scores == "all") request.scores = vq::score_positions::all;
  std::uint64_t budget = 0;
  for (const auto& [text, to] :
       {std::pair{&options.budget, &budget}, std::pair{&options.fixed, &request.fixed}}) {
    if (text->empty()) continue;
    const auto size = vq::parse_byte_size(*text);
    if (!size) return size.error();
    *to = *size;
  }
  auto images = parse_images(options.images);
  if (!images) return images.error();
  request.images = *std::move(images);

  const auto source = read_model(options.path);
  if (!source) return source.error();
  const vq::model_architecture& model = source->model;
  report found;
  found.warnings = source->warnings;
  found.json["model_type"] = model.family;
  found.text =
      vq::sentence(model.family.empty() ? "model" : model.family, ", ", count_of_parameters(model),
                   " parameters\n", images_text(model, request.images));
  if (budget > 0 && options.recipe.empty()) {
    return plan_for_budget(std::move(found), *source, request, budget);
  }
  return plan_one(std::move(found), *source, options, request, budget);
}

command add_memory(CLI::App& app) {
  CLI::App& sub = *app.add_subcommand(
      "memory", "The memory that running a model takes, and what fits a budget");
  auto o = std::make_shared<memory_options>();
  sub.add_option("path", o->path,
                 "A config.json, the folder of a checkpoint or a .safetensors file")
      ->required();
  sub.add_option("--recipe,-r", o->recipe, "Name of a recipe, or its file; default: as it is");
  sub.add_option("--budget,-b", o->budget, "What there is: 16GB, 24GiB; proposes a recipe");
  sub.add_option("--context,-c", o->request.context, "Tokens of text, prompt and answer")
      ->check(CLI::Range(index_type{1}, index_type{1} << 30));
  sub.add_option("--images,-i", o->images, "WIDTHxHEIGHT of each image, or none");
  sub.add_option("--batch", o->request.batch, "Sequences at a time")
      ->check(CLI::Range(index_type{1}, index_type{65'536}));
  sub.add_option("--beams", o->request.beams, "Beams of the search for an answer")
      ->check(CLI::Range(index_type{1}, index_type{1024}));
  sub.add_option("--cache", o->cache, "Precision of keys and values")
      ->check(CLI::IsMember({"f16", "f8", "int4"}));
  sub.add_option("--attention", o->attention, "Eager attention keeps its scores, fused does not")
      ->check(CLI::IsMember({"fused", "eager"}));
  sub.add_option("--scores", o->scores, "Prompt positions that get scores of the vocabulary")
      ->check(CLI::IsMember({"last", "all"}));
  sub.add_option("--fixed", o->fixed, "Memory of the runtime itself; default 450MB");
  sub.add_option("--margin", o->request.margin, "Share added for fragmentation")
      ->check(CLI::Range(0.0, 1.0));
  sub.footer(
      "Examples:\n"
      "  vq memory llava-1.5-7b-hf/config.json -r vlm-asymmetric   every item, with its why\n"
      "  vq memory llama-3.2-11b-vision --budget 16GB              what fits, how long\n"
      "  vq memory config.json -i 1120x1120 --attention eager      the peak without fusion\n"
      "Exit code 3: it does not fit the budget. On boards whose CPU and GPU share memory,\n"
      "take what the system needs from the budget.");
  return {&sub, [o](const context&) { return memory(*o); }};
}

}  // namespace tool
