// CLIP and SigLIP: the towers of most vision-language models, and the dual encoders themselves.
//
// CLIP has a class token and a norm before its layers (`pre_layrnorm`, spelled like that); SigLIP
// has neither, but a bias on its patches and, where it is used alone, a pooling head with fused
// attention.
#ifndef VQ_PLAN_ARCHITECTURE_CLIP_HPP
#define VQ_PLAN_ARCHITECTURE_CLIP_HPP

#include <string>
#include <string_view>

#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

namespace detail {

inline void add_encoder_layers(tensor_list& list, const std::string& prefix, index_type layers,
                               index_type hidden, index_type ffn) {
  for (index_type layer = 0; layer < layers; ++layer) {
    const std::string at = sentence(prefix, "encoder.layers.", layer, ".");
    for (const char* name : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      list.linear(at + "self_attn." + name, hidden, hidden, with_bias);
    }
    list.linear(at + "mlp.fc1", ffn, hidden, with_bias);
    list.linear(at + "mlp.fc2", hidden, ffn, with_bias);
    list.layer_norm(at + "layer_norm1", hidden);
    list.layer_norm(at + "layer_norm2", hidden);
  }
}

}  // namespace detail

// clip_vision_model, siglip_vision_model and what is built like it.
inline tower_shape read_tower(const config_section& config, std::string_view model_type) {
  const bool clip = model_type == "clip_vision_model";
  if (!clip && model_type != "siglip_vision_model" && model_type != "idefics3_vision" &&
      model_type != "smolvlm_vision") {
    config.refuse(sentence("the vision tower ", in_quotes(model_type),
                           " is unknown; known are clip_vision_model, siglip_vision_model"));
  }
  tower_shape t;
  t.hidden = config.integer("hidden_size", 768);
  t.layers = config.layers("num_hidden_layers", 12);
  t.heads = config.integer("num_attention_heads", 12);
  t.ffn = config.integer("intermediate_size", 3072);
  t.image = config.integer("image_size", 224, 1 << 16);
  t.patch = config.integer("patch_size", clip ? 32 : 16, 1 << 12);
  t.class_token = clip;
  if (t.image < t.patch) config.refuse_field("image_size", "must not be below 'patch_size'");
  return t;
}

// Behind `prefix`, which ends with a dot: vision_model. or vision_tower.vision_model.
inline void add_tower(tensor_list& list, const tower_shape& t, const std::string& prefix) {
  const std::string at = prefix + "embeddings.";
  list.add(at + "patch_embedding.weight", {t.hidden, 3, t.patch, t.patch});
  if (t.class_token) {
    list.add(at + "class_embedding", {t.hidden});
    list.layer_norm(prefix + "pre_layrnorm", t.hidden);
  } else {
    list.add(at + "patch_embedding.bias", {t.hidden});
  }
  list.add(at + "position_embedding.weight", {t.sequence(), t.hidden});
  detail::add_encoder_layers(list, prefix, t.layers, t.hidden, t.ffn);
  list.layer_norm(prefix + "post_layernorm", t.hidden);
}

// SigLIP's pooling head: torch's MultiheadAttention and an MLP.
inline void add_pooling_head(tensor_list& list, const tower_shape& t, const std::string& prefix) {
  list.add(prefix + "head.probe", {1, 1, t.hidden});
  list.add(prefix + "head.attention.in_proj_weight", {3 * t.hidden, t.hidden});
  list.add(prefix + "head.attention.in_proj_bias", {3 * t.hidden});
  list.linear(prefix + "head.attention.out_proj", t.hidden, t.hidden, with_bias);
  list.layer_norm(prefix + "head.layernorm", t.hidden);
  list.linear(prefix + "head.mlp.fc1", t.ffn, t.hidden, with_bias);
  list.linear(prefix + "head.mlp.fc2", t.hidden, t.ffn, with_bias);
}

// model_type clip or siglip.
inline void read_dual_encoder(const config_section& config, tensor_list& list,
                              model_architecture& model) {
  const bool clip = model.family == "clip";
  const config_section text = config.section("text_config");
  const config_section vision = config.section("vision_config");
  model.tower = read_tower(vision, clip ? "clip_vision_model" : "siglip_vision_model");
  add_tower(list, model.tower, "vision_model.");

  const index_type hidden = text.integer("hidden_size", clip ? 512 : 768);
  const index_type ffn = text.integer("intermediate_size", clip ? 2048 : 3072);
  const index_type layers = text.layers("num_hidden_layers", 12);
  list.add("text_model.embeddings.token_embedding.weight",
           {text.integer("vocab_size", clip ? 49408 : 32000, 100'000'000), hidden});
  list.add("text_model.embeddings.position_embedding.weight",
           {text.integer("max_position_embeddings", clip ? 77 : 64), hidden});
  detail::add_encoder_layers(list, "text_model.", layers, hidden, ffn);
  list.layer_norm("text_model.final_layer_norm", hidden);

  if (clip) {
    const index_type joint = config.integer("projection_dim", 512);
    list.linear("visual_projection", joint, model.tower.hidden, without_bias);
    list.linear("text_projection", joint, hidden, without_bias);
    list.add("logit_scale", {});
    return;
  }
  list.linear("text_model.head", text.integer("projection_size", hidden), hidden, with_bias);
  if (vision.flag("vision_use_head", true)) add_pooling_head(list, model.tower, "vision_model.");
  list.add("logit_scale", {1});
  list.add("logit_bias", {1});
}

}  // namespace vq::inline v1

#endif
