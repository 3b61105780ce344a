#include "eval.hpp"

#include <algorithm>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include <vq/io/json_file.hpp>
#include <vq/plan/built_in_recipes.hpp>

#include "model_plan.hpp"
#include "precision_table.hpp"

namespace tool {

namespace {

namespace fs = std::filesystem;

// The data of examples/models lie beside the models.
vq::result<fs::path, vq::failure> data_folder(const eval_options& options) {
  std::error_code ignored;
  const fs::path beside = fs::absolute(options.model).lexically_normal() / "../data";
  const fs::path folder = options.data.empty() ? beside.lexically_normal() : fs::path(options.data);
  if (fs::is_directory(folder, ignored)) return folder;
  return vq::failure{vq::status::not_found,
                     vq::sentence(folder.string(), ": there is no such folder; --data names the "
                                                   "one with the test images and mosaics")};
}

std::string share_text(double share) { return number_text(100 * share, 2); }

report report_of(const eval_result& r, const std::string& recipe) {
  report out;
  const vq::model_summary summary = vq::summarize(r.plan);
  table rows({"accuracy, %", "float", recipe, "left"});
  nlohmann::ordered_json measures = nlohmann::ordered_json::array();
  for (const eval_row& row : r.rows) {
    const double left = row.floats == 0 ? 1 : row.quantized / row.floats;
    rows.add({row.measure, share_text(row.floats), share_text(row.quantized), share_text(left)});
    measures.push_back({{"measure", row.measure},
                        {"float", row.floats},
                        {"quantized", row.quantized},
                        {"retention", left}});
  }
  out.text =
      precision_table(summary) + "\n" + rows.text() + count_text(r.items) +
      " items; a difference in the first row by chance alone: p = " + number_text(r.p_value, 4) +
      " (McNemar)\n";
  out.json = {{"recipe", recipe}, {"items", r.items}, {"mcnemar_p", r.p_value}};
  out.json["measures"] = std::move(measures);
  out.json["precision"] = precision_json(summary);
  out.warnings = r.plan.warnings;
  return out;
}

}  // namespace

outcome evaluate(const eval_options& options) {
  const auto recipe = vq::find_recipe(options.recipe);
  if (!recipe) return recipe.error();
  const fs::path file = fs::path(options.model) / "config.json";
  const auto config = vq::read_json(file);
  if (!config) return config.error();
  const auto data = data_folder(options);
  if (!data) return data.error();
  const eval_inputs in{options.model, *data, *recipe, {options.threads}};
  // torchvision's models say "arch" instead.
  const std::string type = config->is_object() ? config->value("model_type", std::string()) : "";
  const auto found = type == "clip"    ? evaluate_clip(in)
                     : type == "llava" ? evaluate_llava(in)
                                       : evaluate_classifier(in);
  if (!found) return found.error();
  return report_of(*found, recipe->name);
}

command add_eval(CLI::App& app) {
  auto& sub = *app.add_subcommand("eval", "Accuracy of a bundled model under a recipe");
  auto options = std::make_shared<eval_options>();
  options->threads = std::max(1u, std::thread::hardware_concurrency());
  sub.add_option("model", options->model,
                 "Folder with config.json and model.safetensors: ResNet, MobileNet, ViT, CLIP or "
                 "LLaVA as in examples/models")
      ->required();
  sub.add_option("--recipe,--plan", options->recipe,
                 "Name or file of a recipe; built in are " + recipe_names())
      ->required();
  sub.add_option("--data", options->data,
                 "Folder with the test data; the model's ../data otherwise");
  sub.add_option("--threads", options->threads, "Items are shared among so many threads")
      ->check(CLI::Range(1, 256));
  sub.footer("Examples:\n"
             "  vq eval examples/models/llava --recipe vlm-asymmetric\n"
             "  vq eval examples/models/clip --recipe clip-text-int8 --json -\n"
             "  vq eval examples/models/vit --recipe vit-selective");
  return {&sub, [options](const context&) { return evaluate(*options); }};
}

}  // namespace tool
