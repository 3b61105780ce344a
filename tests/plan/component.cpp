// Components of tensors by name: the names of published checkpoints, in every layout.
#include <string_view>
#include <utility>
#include <vector>

#include <vq/plan/component.hpp>

#include "catch.hpp"

using vq::component;

namespace {

constexpr std::pair<std::string_view, component> published[] = {
    {"vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight", component::vision},
    {"multi_modal_projector.linear_1.weight", component::connector},
    {"language_model.model.layers.0.self_attn.q_proj.weight", component::language_model},
    {"language_model.lm_head.weight", component::head},
    {"lm_head.weight", component::head},
    {"language_model.model.embed_tokens.weight", component::embedding},
    {"image_newline", component::connector},
    {"model.image_newline", component::connector},
    {"model.language_model.layers.3.cross_attn.q_proj.weight", component::cross_attention},
    {"model.language_model.layers.3.cross_attn_attn_gate", component::cross_attention},
    {"visual.merger.mlp.0.weight", component::connector},
    {"model.visual.deepstack_merger_list.0.linear_fc1.weight", component::connector},
    {"visual.blocks.0.attn.qkv.weight", component::vision},
    {"model.visual.patch_embed.proj.weight", component::vision},
    {"vision_model.global_transformer.layers.1.gate_attn", component::vision},
    {"vision_model.head.attention.in_proj_weight", component::vision},
    {"mlp1.1.weight", component::connector},
    {"language_model.output.weight", component::head},
    {"language_model.model.tok_embeddings.weight", component::embedding},
    {"language_model.model.layers.0.attention.wqkv.weight", component::language_model},
    {"language_model.model.layers.0.feed_forward.w1.weight", component::language_model},
    {"text_projection.weight", component::text_tower},
    {"visual_projection.weight", component::connector},
    {"logit_scale", component::logit_scalar},
    {"text_model.encoder.layers.0.mlp.fc1.weight", component::text_tower},
    {"text_model.embeddings.position_embedding.weight", component::embedding},
    {"vision_model.embeddings.position_embedding.weight", component::vision},
    {"model.text_model.layers.0.mlp.up_proj.weight", component::language_model},
    {"model.connector.modality_projection.proj.weight", component::connector},
    {"model.mm_projector.0.weight", component::connector},
    {"model.vision_tower.vision_tower.vision_model.embeddings.class_embedding", component::vision},
    {"model.vision_embed_tokens.img_projection.0.weight", component::connector},
    {"model.vision_embed_tokens.img_processor.vision_model.encoder.layers.0.mlp.fc1.weight",
     component::vision},
    {"model.layers.0.mlp.gate_proj.weight", component::language_model},
    {"v.blk.0.attn_q.weight", component::vision},
    {"v.deepstack.5.fc1.weight", component::connector},
    {"mm.0.weight", component::connector},
    {"blk.0.attn_q.weight", component::language_model},
    {"blk.3.cross_attn_q_proj.weight", component::cross_attention},
    {"token_embd.weight", component::embedding},
    {"output.weight", component::head},
    {"vit.encoder.layer.0.attention.output.dense.weight", component::vision},
    {"qformer.encoder.layer.0.output.dense.weight", component::connector},
    {"audio_tower.layers.0.fc1.weight", component::audio},
};

std::vector<component> classify_all(const std::vector<std::string_view>& names,
                                    const vq::model_facts& facts = {}) {
  return vq::classify_all(names, facts);
}

}  // namespace

TEST_CASE("component: names of published models belong where their authors put them", "[plan]") {
  STATIC_REQUIRE(std::size(published) == 44);
  for (const auto& [name, expected] : published) {
    CAPTURE(name);
    CHECK(vq::name_of(vq::classify(name)) == vq::name_of(expected));
  }
}

TEST_CASE("component: every component has a name and is found by it", "[plan]") {
  for (const std::string_view name : vq::component_names) {
    const auto found = vq::component_from_name(name);
    REQUIRE(found);
    CHECK(vq::name_of(*found) == name);
  }
  CHECK_FALSE(vq::component_from_name("llm"));
}

TEST_CASE("component: a decoder's text_model is the language model where a connector exists",
          "[plan]") {
  CHECK(classify_all({"model.connector.modality_projection.proj.weight",
                      "model.text_model.layers.0.mlp.up_proj.weight"})[1] ==
        component::language_model);
  CHECK(classify_all({"vision_model.encoder.layers.0.mlp.fc1.weight",
                      "text_model.encoder.layers.0.mlp.fc1.weight"})[1] == component::text_tower);
}

TEST_CASE("component: whole layers that attend to the image are told by the configuration",
          "[plan]") {
  const std::vector<std::string_view> names{
      "language_model.model.layers.3.mlp.up_proj.weight",
      "language_model.model.layers.30.mlp.up_proj.weight",
      "language_model.model.layers.3.cross_attn.q_proj.weight",
      "vision_model.transformer.layers.3.mlp.fc1.weight", "blk.3.ffn_up.weight"};
  using enum component;
  CHECK(classify_all(names) ==
        std::vector{language_model, language_model, cross_attention, vision, language_model});
  CHECK(classify_all(names, {.cross_attention_layers = {3, 8}}) ==
        std::vector{cross_attention, language_model, cross_attention, vision, cross_attention});
}

TEST_CASE("component: a plain ViT or CNN is vision from the stem to the classifier", "[plan]") {
  const std::vector<std::vector<std::string_view>> networks{
      {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "fc.weight", "fc.bias"},
      {"features.0.0.weight", "features.1.conv.0.1.num_batches_tracked", "classifier.1.weight"},
      {"vit.embeddings.cls_token", "vit.encoder.layer.0.attention.output.dense.weight",
       "vit.layernorm.weight", "classifier.weight"},
      {"cls_token", "pos_embed", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight", "norm.bias",
       "head.weight"},
      {"conv_proj.weight", "encoder.layers.encoder_layer_0.mlp.0.weight", "output.weight"}};
  for (const auto& names : networks) {
    for (const component c : classify_all(names)) CHECK(c == component::vision);
  }
}

TEST_CASE("component: a language model without an image part stays one", "[plan]") {
  using enum component;
  CHECK(classify_all({"model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight",
                      "lm_head.weight"}) == std::vector{embedding, language_model, head});
}

TEST_CASE("component: layers are counted behind `layers`, `blk` and `h`", "[plan]") {
  CHECK(vq::layer_index("model.layers.31.mlp.up_proj.weight") == 31);
  CHECK(vq::layer_index("blk.7.ffn_up.weight") == 7);
  CHECK_FALSE(vq::layer_index("multi_modal_projector.linear_1.weight"));
  CHECK_FALSE(vq::layer_index("layers.x.weight"));
  CHECK_FALSE(vq::layer_index(""));
}
