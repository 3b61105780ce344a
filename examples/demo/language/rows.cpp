#include "demo/language/rows.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <vq/plan/built_in_recipes.hpp>

namespace demo {
namespace {

using vq::component;

// What peer-accuracy.json calls a quantizer, and its format.
constexpr std::pair<const char*, const char*> quantizers[] = {
    {"nf4_block64", "nf4-block64"},       {"nf4_block64_double_quant", "nf4-block64-dq256"},
    {"int8_per_channel", "int8-channel"}, {"int8_per_tensor", "int8-tensor"},
    {"int6_per_channel", "int6-channel"}, {"int4_per_channel", "int4-channel"},
    {"int3_per_channel", "int3-channel"}};

// The weights of linear layers, or the convolutions too.
vq::recipe_rule linears(component c, const std::string& format) {
  return {.part = c, .format = format};
}
vq::recipe_rule everything(component c, const std::string& format) {
  return {.part = c, .format = format, .convolutions = true};
}

using rules = std::vector<vq::recipe_rule>;

std::vector<std::pair<std::string, rules>> llava_parts(const std::string& format) {
  const auto lm = linears(component::language_model, format);
  const auto vision = linears(component::vision, format);
  const auto connector = linears(component::connector, format);
  return {{"lm", {lm}},
          {"vision", {vision}},
          {"connector", {connector}},
          {"vision_and_patch_conv", {everything(component::vision, format)}},
          {"lm_and_connector", {lm, connector}},
          {"all", {lm, vision, connector}}};
}

std::vector<std::pair<std::string, rules>> clip_parts(const std::string& format) {
  // A projection is no part of the encoders; the visual one is the connector.
  const vq::recipe_rule projection{.pattern = "text_projection"};
  const auto text = linears(component::text_tower, format);
  const auto vision = linears(component::vision, format);
  const auto whole_vision = everything(component::vision, format);
  const auto visual_projection = linears(component::connector, format);
  return {{"text", {projection, text}},
          {"vision", {vision}},
          {"both", {projection, text, vision}},
          {"vision_and_patch_conv_and_projection", {whole_vision, visual_projection}},
          {"everything", {text, whole_vision, visual_projection}}};
}

vq::recipe named(const std::string& name, rules all) { return {name, "", std::move(all)}; }

// A recipe of the library; peer: PyTorch's row with the same precisions.
recipe_row built_in(const char* name, const char* peer) {
  return {name, peer, *vq::built_in_recipe(name), shown::by_default};
}

shown when(std::initializer_list<std::string_view> defaults, const std::string& name) {
  return std::ranges::find(defaults, name) == defaults.end() ? shown::when_asked
                                                             : shown::by_default;
}

}  // namespace

std::vector<recipe_row> llava_rows() {
  std::vector<recipe_row> all{built_in("vlm-asymmetric", "nf4_block64_double_quant.lm"),
                              built_in("all-nf4", "nf4_block64_double_quant.all")};
  for (const auto& [quantizer, format] : quantizers) {
    for (auto& [part, rules_of_part] : llava_parts(format)) {
      const std::string name = std::string(quantizer) + "." + part;
      const auto shown_when =
          when({"nf4_block64.lm", "nf4_block64.vision", "nf4_block64.vision_and_patch_conv",
                "nf4_block64.connector", "nf4_block64.all", "int8_per_channel.vision",
                "int4_per_channel.lm", "int4_per_channel.vision", "int3_per_channel.lm",
                "int3_per_channel.vision"},
               name);
      all.push_back({name, name, named(name, std::move(rules_of_part)), shown_when});
    }
  }
  return all;
}

std::vector<retrieval_row> clip_rows() {
  std::vector<retrieval_row> all{{built_in("clip-text-int8", "int8_per_channel.text")}};
  for (const auto& [quantizer, format] : quantizers) {
    for (auto& [part, rules_of_part] : clip_parts(format)) {
      const std::string name = std::string(quantizer) + "." + part;
      const auto shown_when = when(
          {"nf4_block64.text", "nf4_block64.vision", "nf4_block64.both", "nf4_block64.everything",
           "int8_per_channel.vision", "int8_per_channel.both", "int4_per_channel.text",
           "int4_per_channel.vision", "int3_per_channel.text", "int3_per_channel.vision"},
          name);
      all.push_back({{name, name, named(name, std::move(rules_of_part)), shown_when}});
    }
  }
  using side = retrieval_row::side;
  const auto mixed = [&](const char* name, const char* format, side quantized) {
    const rules everywhere = clip_parts(format).back().second;
    all.push_back({{name, "", named(name, everywhere), shown::by_default}, quantized});
  };
  mixed("index_fp16.queries_int8", "int8-channel", side::queries);
  mixed("index_int8.queries_fp16", "int8-channel", side::index);
  mixed("index_fp16.queries_nf4", "nf4-block64", side::queries);
  mixed("index_nf4.queries_fp16", "nf4-block64", side::index);
  const auto codes = [&](const char* name, int index_bits, int query_bits) {
    all.push_back(
        {{name, "", {name, "", {}}, shown::by_default}, side::both, index_bits, query_bits});
  };
  codes("index_codes8.queries_float", 8, 0);
  codes("index_codes8.queries_codes8", 8, 8);
  codes("index_codes4.queries_float", 4, 0);
  codes("index_codes4.queries_codes4", 4, 4);
  return all;
}

}  // namespace demo
