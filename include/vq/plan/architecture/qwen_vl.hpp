// Qwen2-VL and Qwen2.5-VL: a tower that takes images of any size, whose connector (`merger`) lies
// inside it, and a Qwen2 decoder. Fields of the decoder stand at the top of older configurations
// and in text_config of newer ones.
#ifndef VQ_PLAN_ARCHITECTURE_QWEN_VL_HPP
#define VQ_PLAN_ARCHITECTURE_QWEN_VL_HPP

#include <string>

#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/decoder.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

// model_type qwen2_vl or qwen2_5_vl.
inline void read_qwen_vl(const config_section& config, tensor_list& list,
                         model_architecture& model) {
  const bool older = model.family == "qwen2_vl";
  const config_section vision = config.section("vision_config");
  model.decoder = read_decoder(config.has("text_config") ? config.section("text_config") : config,
                               config, model.family);

  tower_shape& t = model.tower;
  t.hidden = older ? vision.integer("embed_dim", 1280) : vision.integer("hidden_size", 1280);
  t.layers = vision.layers("depth", 32);
  t.heads = vision.integer("num_heads", 16);
  t.ffn = older ? t.hidden * vision.integer("mlp_ratio", 4, 64)
                : vision.integer("intermediate_size", 3420);
  t.patch = vision.integer("patch_size", 14, 1 << 12);
  const index_type output = older ? vision.integer("hidden_size", model.decoder.hidden)
                                  : vision.integer("out_hidden_size", model.decoder.hidden);
  const index_type merge = vision.integer("spatial_merge_size", 2, 64);
  const index_type frames = vision.integer("temporal_patch_size", 2, 64);
  model.images.splitting = image_splitting::dynamic;
  model.images.merge = merge;

  list.add("visual.patch_embed.proj.weight", {t.hidden, 3, frames, t.patch, t.patch});
  const auto norm = [&](const std::string& name) {
    older ? list.layer_norm(name, t.hidden) : list.rms_norm(name, t.hidden);
  };
  for (index_type block = 0; block < t.layers; ++block) {
    const std::string at = sentence("visual.blocks.", block, ".");
    norm(at + "norm1");
    norm(at + "norm2");
    list.linear(at + "attn.qkv", 3 * t.hidden, t.hidden, with_bias);
    list.linear(at + "attn.proj", t.hidden, t.hidden, with_bias);
    if (older) {
      list.linear(at + "mlp.fc1", t.ffn, t.hidden, with_bias);
      list.linear(at + "mlp.fc2", t.hidden, t.ffn, with_bias);
    } else {
      list.linear(at + "mlp.gate_proj", t.ffn, t.hidden, with_bias);
      list.linear(at + "mlp.up_proj", t.ffn, t.hidden, with_bias);
      list.linear(at + "mlp.down_proj", t.hidden, t.ffn, with_bias);
    }
  }
  const index_type merged = t.hidden * merge * merge;
  norm("visual.merger.ln_q");
  list.linear("visual.merger.mlp.0", merged, merged, with_bias);
  list.linear("visual.merger.mlp.2", output, merged, with_bias);
  add_decoder(list, model.decoder, "model.", "lm_head");
}

}  // namespace vq::inline v1

#endif
