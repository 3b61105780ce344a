// One tensor, many names: spelling and matching.
#include <string>
#include <string_view>
#include <vector>

#include <vq/plan/name_layout.hpp>

#include "catch.hpp"

using vq::name_layout;

namespace {

// The names of one tensor: file, modules since 4.52, modules since 5.6, vLLM.
struct spellings {
  std::string_view stored, modules_4_52, modules_5_6, vllm;
};

constexpr spellings published[] = {
    // LLaVA 1.5
    {"vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
     "model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
     "model.vision_tower.encoder.layers.0.mlp.fc1.weight",
     "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"},
    {"multi_modal_projector.linear_1.weight", "model.multi_modal_projector.linear_1.weight",
     "model.multi_modal_projector.linear_1.weight", "multi_modal_projector.linear_1.weight"},
    {"language_model.model.layers.0.self_attn.q_proj.weight",
     "model.language_model.layers.0.self_attn.q_proj.weight",
     "model.language_model.layers.0.self_attn.q_proj.weight",
     "language_model.model.layers.0.self_attn.q_proj.weight"},
    {"language_model.lm_head.weight", "lm_head.weight", "lm_head.weight",
     "language_model.lm_head.weight"},
    {"image_newline", "model.image_newline", "model.image_newline", "image_newline"},
    // Llama 3.2 Vision
    {"vision_model.transformer.layers.0.mlp.fc1.weight",
     "model.vision_model.transformer.layers.0.mlp.fc1.weight",
     "model.vision_model.transformer.layers.0.mlp.fc1.weight",
     "vision_model.transformer.layers.0.mlp.fc1.weight"},
    {"multi_modal_projector.weight", "model.multi_modal_projector.weight",
     "model.multi_modal_projector.weight", "multi_modal_projector.weight"},
    // Qwen2-VL
    {"visual.merger.mlp.0.weight", "model.visual.merger.mlp.0.weight",
     "model.visual.merger.mlp.0.weight", "visual.merger.mlp.0.weight"},
    {"model.layers.0.mlp.up_proj.weight", "model.language_model.layers.0.mlp.up_proj.weight",
     "model.language_model.layers.0.mlp.up_proj.weight",
     "language_model.model.layers.0.mlp.up_proj.weight"},
    {"lm_head.weight", "lm_head.weight", "lm_head.weight", "language_model.lm_head.weight"},
};

}  // namespace

TEST_CASE("name_layout: published names are found in every layout from every other", "[plan]") {
  for (const auto& s : published) {
    CAPTURE(s.stored);
    CHECK(vq::spelled_in(s.stored, name_layout::stored) == s.stored);
    for (const std::string_view from : {s.stored, s.modules_4_52, s.vllm}) {
      CAPTURE(from);
      CHECK(vq::spelled_in(from, name_layout::modules_4_52) == s.modules_4_52);
      CHECK(vq::spelled_in(from, name_layout::modules_5_6) == s.modules_5_6);
      CHECK(vq::spelled_in(from, name_layout::vllm) == s.vllm);
    }
    // The level that 5.6 dropped cannot be told from its names.
    CHECK(vq::spelled_in(s.modules_5_6, name_layout::modules_5_6) == s.modules_5_6);
  }
}

TEST_CASE("name_layout: the names of LLaVA's own repository", "[plan]") {
  const auto original = [](std::string_view name) {
    return vq::spelled_in(name, name_layout::original_repository);
  };
  CHECK(original("vision_tower.vision_model.post_layernorm.bias") ==
        "model.vision_tower.vision_tower.vision_model.post_layernorm.bias");
  CHECK(original("language_model.model.embed_tokens.weight") == "model.embed_tokens.weight");
  CHECK(vq::spelled_in("model.vision_tower.vision_tower.vision_model.post_layernorm.bias",
                       name_layout::vllm) == "vision_tower.vision_model.post_layernorm.bias");
  CHECK(vq::spelled_in("model.mm_projector.0.weight", name_layout::vllm) ==
        "mm_projector.0.weight");
}

TEST_CASE("name_layout: names without a known place keep theirs", "[plan]") {
  for (const std::string_view name :
       {"conv1.weight", "model.text_model.layers.0.mlp.up_proj.weight", "logit_scale", "", "model",
        "model.", "language_model.model", "blocks.0.attn.qkv.weight",
        "text_model.encoder.layers.0.mlp.fc1.weight"}) {
    for (const name_layout layout : vq::name_layouts) {
      CHECK(vq::spelled_in(name, layout) == name);
    }
  }
}

TEST_CASE("name_layout: a pattern ends at the end of a name or before a dot", "[plan]") {
  STATIC_REQUIRE(vq::glob_matches("lm_head", "lm_head.weight"));
  STATIC_REQUIRE(vq::glob_matches("lm_head.weight", "lm_head.weight"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("lm_head", "lm_heads.weight"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("lm", "lm_head.weight"));
  STATIC_REQUIRE(vq::glob_matches("*.layers.1", "model.layers.1.mlp.up_proj.weight"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("*.layers.1", "model.layers.10.mlp.up_proj.weight"));
  STATIC_REQUIRE(vq::glob_matches("*.layers.1?", "model.layers.10.mlp.up_proj.weight"));
  STATIC_REQUIRE(vq::glob_matches("*.mlp.*.weight", "a.mlp.b.mlp.c.weight"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("*.mlp.*.weight", "a.mlp.b.mlp.c.bias"));
  STATIC_REQUIRE(vq::glob_matches("*", ""));
  STATIC_REQUIRE(vq::glob_matches("", ""));
  STATIC_REQUIRE_FALSE(vq::glob_matches("", "a"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("?", ""));
  STATIC_REQUIRE(vq::glob_matches("a*b*c", "aXbYbZc"));
  STATIC_REQUIRE_FALSE(vq::glob_matches("a*b*c", "aXbYbZ"));
}

TEST_CASE("name_layout: a pattern written for one layout hits the names of the others", "[plan]") {
  // The patterns of the reports: visual.* against model.visual.*, vision_tower against
  // model.vision_tower, vision_model levels that come and go.
  CHECK(vq::matches("visual.*", "model.visual.blocks.0.attn.qkv.weight"));
  CHECK(vq::matches("model.visual.*", "visual.blocks.0.attn.qkv.weight"));
  for (const auto& s : published) {
    for (const std::string_view pattern : {s.stored, s.modules_4_52, s.modules_5_6, s.vllm}) {
      CAPTURE(pattern);
      CHECK(vq::matches(pattern, s.stored));
      CHECK(vq::matches(pattern, s.modules_4_52));
      CHECK(vq::matches(pattern, s.vllm));
    }
  }
  CHECK_FALSE(vq::matches("language_model.*", "vision_tower.vision_model.post_layernorm.bias"));
  CHECK_FALSE(vq::matches("vision_tower", "language_model.model.norm.weight"));
}
