// What commands ask of a checkpoint before they look at its weights.
#ifndef TOOL_MODEL_PLAN_HPP
#define TOOL_MODEL_PLAN_HPP

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <vq/io/checkpoint.hpp>
#include <vq/io/mapped_file.hpp>
#include <vq/plan/assignment.hpp>
#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/summary.hpp>

namespace tool {

using vq::index_type;

// What config.json says about the components.
inline vq::model_facts facts_of(const vq::checkpoint& model) {
  vq::model_facts facts;
  if (!model.config()) return facts;
  const nlohmann::json& config = *model.config();
  const auto text = config.is_object() ? config.find("text_config") : config.end();
  const nlohmann::json& decoder = text != config.end() ? *text : config;
  const auto layers = decoder.is_object() ? decoder.find("cross_attention_layers") : decoder.end();
  if (layers == decoder.end() || !layers->is_array()) return facts;
  for (const nlohmann::json& layer : *layers) {
    if (layer.is_number_unsigned()) facts.cross_attention_layers.push_back(layer.get<index_type>());
  }
  return facts;
}

// config.json as it stands, its keys in their order; nothing where there is none.
inline std::optional<nlohmann::ordered_json> config_of(const vq::checkpoint& model) {
  if (!model.config()) return std::nullopt;
  const auto file =
      vq::mapped_file::open(model.folder() / "config.json", {.access = vq::file_access::read});
  if (!file) return std::nullopt;
  const std::string_view text = vq::as_text(file->bytes());
  return nlohmann::ordered_json::parse(text.begin(), text.end(), nullptr, false);
}

// The recipes that a person can name, for help texts.
inline std::string recipe_names() {
  std::string names;
  for (const std::string_view name : vq::built_in_recipe_names) {
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return names;
}

}  // namespace tool

#endif
