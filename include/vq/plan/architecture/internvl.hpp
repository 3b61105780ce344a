// InternVL 2 and 2.5 in their original layout: InternViT with layer scale, a connector of a norm
// and two linear layers, and InternLM2 or a Qwen2 or Llama decoder.
#ifndef VQ_PLAN_ARCHITECTURE_INTERNVL_HPP
#define VQ_PLAN_ARCHITECTURE_INTERNVL_HPP

#include <string>

#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/decoder.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

// InternLM2 fuses query, key and value, and has names of its own.
inline void add_internlm2(tensor_list& list, const decoder_shape& d, const std::string& prefix,
                          const std::string& head) {
  const index_type query = d.heads * d.head_dim, key = d.kv_heads * d.head_dim;
  list.add(prefix + "tok_embeddings.weight", {d.vocabulary, d.hidden});
  for (index_type layer = 0; layer < d.layers; ++layer) {
    const std::string at = sentence(prefix, "layers.", layer, ".");
    list.linear(at + "attention.wqkv", query + 2 * key, d.hidden, d.qkv_bias);
    list.linear(at + "attention.wo", d.hidden, query, d.output_bias);
    list.linear(at + "feed_forward.w1", d.ffn, d.hidden, without_bias);
    list.linear(at + "feed_forward.w3", d.ffn, d.hidden, without_bias);
    list.linear(at + "feed_forward.w2", d.hidden, d.ffn, without_bias);
    list.rms_norm(at + "attention_norm", d.hidden);
    list.rms_norm(at + "ffn_norm", d.hidden);
  }
  list.rms_norm(prefix + "norm", d.hidden);
  if (!d.tied) list.linear(head, d.vocabulary, d.hidden, without_bias);
}

// model_type internvl_chat.
inline void read_internvl(const config_section& config, tensor_list& list,
                          model_architecture& model) {
  const config_section text = config.section("llm_config");
  const config_section vision = config.section("vision_config");
  const std::string decoder = text.text("model_type", "internlm2");
  model.decoder = read_decoder(text, config, decoder);
  if (decoder == "internlm2") {
    model.decoder.qkv_bias = model.decoder.output_bias = text.flag("bias", false);
  }

  tower_shape& t = model.tower;
  t.hidden = vision.integer("hidden_size", 3200);
  t.layers = vision.layers("num_hidden_layers", 48);
  t.heads = vision.integer("num_attention_heads", 25);
  t.ffn = vision.integer("intermediate_size", 12800);
  t.image = config.integer("force_image_size", vision.integer("image_size", 448, 1 << 16), 1 << 16);
  t.patch = vision.integer("patch_size", 14, 1 << 12);
  t.class_token = true;
  const bool bias = vision.flag("qkv_bias", false);
  const bool normalized = vision.flag("qk_normalization", true);
  const bool rms = vision.text("norm_type", "rms_norm") == "rms_norm";
  const double ratio = config.number("downsample_ratio", 0.5);
  index_type merge = 1;
  while (merge < 16 && static_cast<double>(merge) * ratio < 1) ++merge;
  if (static_cast<double>(merge) * ratio != 1) {
    config.refuse_field("downsample_ratio", "must be one over a whole number up to 16");
  }
  model.images.splitting = image_splitting::tiles;
  model.images.merge = merge;
  model.images.most_tiles = config.integer("max_dynamic_patch", 12, 1000);
  model.images.thumbnail = config.flag("use_thumbnail", true);

  const std::string at = "vision_model.";
  list.add(at + "embeddings.class_embedding", {1, 1, t.hidden});
  list.add(at + "embeddings.patch_embedding.weight", {t.hidden, 3, t.patch, t.patch});
  list.add(at + "embeddings.patch_embedding.bias", {t.hidden});
  list.add(at + "embeddings.position_embedding", {1, t.sequence(), t.hidden});
  const auto norm = [&](const std::string& name) {
    rms ? list.rms_norm(name, t.hidden) : list.layer_norm(name, t.hidden);
  };
  for (index_type i = 0; i < t.layers; ++i) {
    const std::string layer = sentence(at, "encoder.layers.", i, ".");
    list.linear(layer + "attn.qkv", 3 * t.hidden, t.hidden, bias);
    list.linear(layer + "attn.proj", t.hidden, t.hidden, with_bias);
    if (normalized) {
      list.rms_norm(layer + "attn.q_norm", t.hidden);
      list.rms_norm(layer + "attn.k_norm", t.hidden);
    }
    list.linear(layer + "mlp.fc1", t.ffn, t.hidden, with_bias);
    list.linear(layer + "mlp.fc2", t.hidden, t.ffn, with_bias);
    norm(layer + "norm1");
    norm(layer + "norm2");
    list.add(layer + "ls1", {t.hidden});
    list.add(layer + "ls2", {t.hidden});
  }
  const index_type merged = t.hidden * merge * merge;
  list.layer_norm("mlp1.0", merged);
  list.linear("mlp1.1", model.decoder.hidden, merged, with_bias);
  list.linear("mlp1.3", model.decoder.hidden, model.decoder.hidden, with_bias);
  if (decoder == "internlm2") {
    add_internlm2(list, model.decoder, "language_model.model.", "language_model.output");
  } else {
    add_decoder(list, model.decoder, "language_model.model.", "language_model.lm_head");
  }
}

}  // namespace vq::inline v1

#endif
