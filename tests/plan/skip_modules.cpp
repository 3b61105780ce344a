// The skip list, held against what transformers and vLLM do with it.
#include <algorithm>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <vq/plan/built_in_recipes.hpp>
#include <vq/plan/skip_modules.hpp>
#include <vq/plan/weight_formats.hpp>

#include "catch.hpp"
#include "plan/models.hpp"

using models::f16;
using vq::component;

namespace {

const std::vector<vq::weight_format> formats = vq::formats_of<vq::weight_formats>();
using list = std::vector<std::string>;

// should_convert_module of transformers: re.match(key + "\.", name) or re.match(key, name) or
// name.endswith(key).
bool transformers_leaves(const std::string& name, const list& entries) {
  return std::ranges::any_of(entries, [&](const std::string& key) {
    return std::regex_search(name, std::regex(key), std::regex_constants::match_continuous) ||
           name.ends_with(key);
  });
}

// is_layer_skipped_bnb of vLLM: an entry among the parts, or among the joined beginnings.
bool vllm_leaves(const std::string& name, const list& entries) {
  std::istringstream parts(name);
  std::string joined;
  for (std::string part; std::getline(parts, part, '.');) {
    joined += (joined.empty() ? "" : ".") + part;
    if (std::ranges::find(entries, part) != entries.end()) return true;
    if (std::ranges::find(entries, joined) != entries.end()) return true;
  }
  return false;
}

vq::skip_list skip(const vq::assignment& plan) {
  const auto made = vq::skip_modules(plan, formats);
  if (!made) FAIL(vq::describe(made.error()));
  return *made;
}
vq::assignment applied(const vq::recipe& recipe, const models::tensors& tensors,
                       const vq::model_facts& facts = {}) {
  const auto plan = vq::apply(recipe, tensors, formats, facts);
  if (!plan) FAIL(vq::describe(plan.error()));
  return *plan;
}

// Every linear layer is skipped if and only if it was kept, by both rules in every layout.
void check_exact(const vq::assignment& plan) {
  const list entries = skip(plan).modules;
  CAPTURE(entries);
  for (const auto& t : plan.tensors) {
    if (t.kind != vq::weight_kind::linear) continue;
    const std::string module_name = t.name.substr(0, t.name.rfind('.'));
    for (const auto layout : {vq::name_layout::stored, vq::name_layout::modules_4_52,
                              vq::name_layout::modules_5_6, vq::name_layout::vllm}) {
      const std::string name = vq::spelled_in(module_name, layout);
      CAPTURE(name, t.format);
      CHECK(transformers_leaves(name, entries) == !t.quantized());
      CHECK(vllm_leaves(name, entries) == !t.quantized());
    }
  }
  CHECK(transformers_leaves("lm_head", entries));
  CHECK(vllm_leaves("language_model.lm_head", entries));
}

// Twelve layers, so that 1 is a beginning of 10 and 11.
models::tensors twelve_layers(const std::string& before) {
  models::tensors all;
  for (int layer = 0; layer < 12; ++layer) {
    const std::string at = before + "layers." + std::to_string(layer) + ".";
    for (const char* linear :
         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
          "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      all.push_back(f16(at + linear + ".weight", {64, 64}));
    }
  }
  all.push_back(f16(before + "embed_tokens.weight", {100, 64}));
  return all;
}

}  // namespace

TEST_CASE("skip_modules: LLaVA with an NF4 decoder", "[plan]") {
  const auto plan = applied(*vq::built_in_recipe("vlm-asymmetric"), models::small_llava());
  list entries = skip(plan).modules;
  std::ranges::sort(entries);
  CHECK(entries == list{"language_model.lm_head", "lm_head", "model.multi_modal_projector",
                        "model.vision_tower", "multi_modal_projector", "vision_tower"});
  check_exact(plan);
}

TEST_CASE("skip_modules: exact in every layout, whichever layout the file has", "[plan]") {
  for (const vq::name_layout layout : vq::name_layouts) {
    auto tensors = models::small_llava();
    for (auto& t : tensors) t.name = vq::spelled_in(t.name, layout);
    check_exact(applied(*vq::built_in_recipe("vlm-asymmetric"), tensors));
    check_exact(applied(*vq::built_in_recipe("all-nf4"), tensors));
  }
}

TEST_CASE("skip_modules: layer 1 is skipped without layers 10 and 11", "[plan]") {
  for (const char* before : {"model.", "language_model.model.", "model.language_model."}) {
    auto tensors = twelve_layers(before);
    tensors.push_back(f16("lm_head.weight", {100, 64}));
    for (const char* kept : {"*.layers.1", "*.layers.11", "*.layers.1.mlp", "*.layers.1?",
                             "*.layers.10.self_attn.o_proj", "*.down_proj"}) {
      CAPTURE(before, kept);
      check_exact(applied({"r",
                           "",
                           {{.pattern = kept, .format = "keep"},
                            {.part = component::language_model, .format = "nf4-block64"}}},
                          tensors));
    }
  }
}

TEST_CASE("skip_modules: whole layers that attend to the image", "[plan]") {
  auto tensors = twelve_layers("language_model.model.");
  for (const char* linear : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    tensors.push_back(f16(
        std::string("language_model.model.layers.12.cross_attn.") + linear + ".weight", {64, 64}));
  }
  tensors.push_back(f16("language_model.model.layers.12.mlp.up_proj.weight", {64, 64}));
  tensors.push_back(f16("vision_model.transformer.layers.1.mlp.fc1.weight", {64, 64}));
  tensors.push_back(f16("multi_modal_projector.weight", {64, 64}));
  const auto plan = applied(*vq::built_in_recipe("vlm-asymmetric-cross-attention-16"), tensors,
                            {.cross_attention_layers = {1, 12}});
  check_exact(plan);
  CHECK(plan.tensors.back().part == component::connector);
}

TEST_CASE("skip_modules: Qwen's connector lies inside its tower", "[plan]") {
  auto tensors = twelve_layers("model.");
  tensors.push_back(f16("visual.blocks.0.attn.qkv.weight", {192, 64}));
  tensors.push_back(f16("visual.merger.mlp.0.weight", {64, 64}));
  check_exact(applied(*vq::built_in_recipe("vlm-asymmetric"), tensors));  // the head is tied
  check_exact(applied({"tower",
                       "",
                       {{.part = component::connector, .format = "keep"},
                        {.part = component::vision, .format = "nf4-block64"},
                        {.part = component::language_model, .format = "nf4-block64"}}},
                      tensors));
}

TEST_CASE("skip_modules: fused layers of vLLM are skipped as one", "[plan]") {
  const auto tensors = twelve_layers("language_model.model.");
  const vq::recipe_rule decoder{.part = component::language_model, .format = "nf4-block64"};
  const auto list_of = [&](const char* kept) {
    return skip(applied({"r", "", {{.pattern = kept, .format = "keep"}, decoder}}, tensors));
  };
  const auto values_only = list_of("*.layers.3.self_attn.v_proj");
  REQUIRE(values_only.warnings.size() == 1);
  CHECK(values_only.warnings[0] ==
        "vLLM fuses 'language_model.model.layers.3.self_attn.qkv_proj', whose parts have two "
        "precisions: it cannot load this");
  const auto all_three = list_of("*.layers.3.self_attn.?_proj");
  CHECK(all_three.warnings.empty());
  CHECK(vllm_leaves("language_model.model.layers.3.self_attn.qkv_proj", all_three.modules));
  const auto gates = list_of("*.mlp.gate_proj");
  CHECK(gates.warnings.size() == 12);
}

TEST_CASE("skip_modules: what no list can say is refused", "[plan]") {
  const models::tensors tensors{f16("model.embed_tokens.weight", {100, 64}),
                                f16("model.layers.0.fc.weight", {64, 64}),
                                f16("model.layers.0.fc2.weight", {64, 64})};
  const auto plan = applied({"r",
                             "",
                             {{.pattern = "*.fc", .format = "keep"},
                              {.part = component::language_model, .format = "nf4-block64"}}},
                            tensors);
  const auto list = vq::skip_modules(plan, formats);
  REQUIRE_FALSE(list);
  CHECK(vq::describe(list.error()).starts_with("module 'model.layers.0.fc' stays as it is"));
}

TEST_CASE("skip_modules: what bitsandbytes cannot hold is refused", "[plan]") {
  const auto refusal = [](const std::vector<vq::recipe_rule>& rules) {
    const auto plan = applied({"r", "", rules}, models::small_llava());
    const auto made = vq::skip_modules(plan, formats);
    return made ? "" : vq::describe(made.error());
  };
  const vq::recipe_rule decoder{.part = component::language_model, .format = "nf4-block64"};
  CHECK(refusal({decoder}) == "");
  CHECK(refusal({{.part = component::language_model, .format = "int4-group32"}})
            .find("is no format of bitsandbytes; it has nf4, fp4 and int8-channel") !=
        std::string::npos);
  CHECK(refusal({decoder, {.pattern = "*patch_embedding", .format = "nf4-block64"}})
            .find("bitsandbytes has linear layers only") != std::string::npos);
  CHECK(refusal({decoder, {.part = component::vision, .format = "int8-channel"}})
            .find("cannot stand in one checkpoint of bitsandbytes") != std::string::npos);
}

TEST_CASE("skip_modules: both rules as the loaders have them", "[plan]") {
  STATIC_REQUIRE(vq::transformers_skips("vision_tower.a", "vision_tower"));
  STATIC_REQUIRE_FALSE(vq::transformers_skips("model.vision_tower.a", "vision_tower"));
  STATIC_REQUIRE(vq::transformers_skips("model.lm_head", "lm_head"));
  STATIC_REQUIRE(vq::transformers_skips("layers.10.a", "layers.1"));
  STATIC_REQUIRE(vq::transformers_skips("layersX1", "layers.1"));
  STATIC_REQUIRE(vq::vllm_skips("model.vision_tower.a", "vision_tower"));
  STATIC_REQUIRE(vq::vllm_skips("layers.1.a", "layers.1"));
  STATIC_REQUIRE_FALSE(vq::vllm_skips("layers.10.a", "layers.1"));
  STATIC_REQUIRE_FALSE(vq::vllm_skips("model.layers.1.a", "layers.1"));
}
