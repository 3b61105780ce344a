// Llama 3.2 Vision (mllama): a tower of local and gated global layers over four tiles, one linear
// layer as connector, and a decoder some of whose layers attend to the image.
//
// The tower's tables of tile positions are 8.5 % of its parameters: 9 arrangements of tiles times
// (tiles * patches * hidden).
#ifndef VQ_PLAN_ARCHITECTURE_MLLAMA_HPP
#define VQ_PLAN_ARCHITECTURE_MLLAMA_HPP

#include <string>

#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/decoder.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

inline void read_mllama(const config_section& config, tensor_list& list,
                        model_architecture& model) {
  const config_section text = config.section("text_config");
  const config_section vision = config.section("vision_config");
  decoder_shape& d = model.decoder = read_decoder(text, config, "mllama_text_model");
  d.cross_attention_layers = text.integers("cross_attention_layers", d.cross_attention_layers);
  std::erase_if(d.cross_attention_layers, [&](index_type layer) { return layer >= d.layers; });

  tower_shape& t = model.tower;
  t.hidden = vision.integer("hidden_size", 1280);
  t.heads = vision.integer("attention_heads", 16);
  t.ffn = vision.integer("intermediate_size", 5120);
  t.image = vision.integer("image_size", 448, 1 << 16);
  t.patch = vision.integer("patch_size", 14, 1 << 12);
  t.class_token = true;
  t.class_token_dropped = false;
  const index_type local = vision.layers("num_hidden_layers", 32);
  const index_type global = vision.layers("num_global_layers", 8);
  t.layers = local + global;
  const index_type tiles = vision.integer("max_num_tiles", 4, 64);
  const index_type output = vision.integer("vision_output_dim", 7680);
  const auto edges =
      vision.integers("supported_aspect_ratios", {1, 1, 1, 2, 1, 3, 1, 4, 2, 1, 2, 2, 3, 1, 4, 1});
  const auto arrangements = static_cast<index_type>(edges.size() / 2) + 1;  // and none
  model.images.splitting = image_splitting::cross_tiles;
  model.images.most_tiles = tiles;

  const std::string at = "vision_model.";
  list.add(at + "class_embedding", {t.hidden});
  list.add(at + "patch_embedding.weight", {t.hidden, 3, t.patch, t.patch});
  const std::string position = at + "gated_positional_embedding";
  list.add(position + ".gate", {1});
  list.add(position + ".embedding", {t.sequence(), t.hidden});
  list.add(position + ".tile_embedding.weight", {arrangements, tiles * t.sequence() * t.hidden});
  for (const char* table : {"pre_tile_positional_embedding", "post_tile_positional_embedding"}) {
    list.add(at + table + ".embedding.weight", {arrangements, tiles * t.hidden});
    list.add(at + table + ".gate", {1});
  }
  list.layer_norm(at + "layernorm_pre", t.hidden);
  list.layer_norm(at + "layernorm_post", t.hidden);
  const auto add_layers = [&](const std::string& part, index_type count, bool gated) {
    for (index_type i = 0; i < count; ++i) {
      const std::string layer = sentence(at, part, ".layers.", i, ".");
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
        list.linear(layer + "self_attn." + name, t.hidden, t.hidden, without_bias);
      }
      list.linear(layer + "mlp.fc1", t.ffn, t.hidden, with_bias);
      list.linear(layer + "mlp.fc2", t.hidden, t.ffn, with_bias);
      list.layer_norm(layer + "input_layernorm", t.hidden);
      list.layer_norm(layer + "post_attention_layernorm", t.hidden);
      if (gated) {
        list.add(layer + "gate_attn", {1});
        list.add(layer + "gate_ffn", {1});
      }
    }
  };
  add_layers("transformer", local, false);
  add_layers("global_transformer", global, true);

  list.linear("multi_modal_projector", d.hidden, output, with_bias);
  add_decoder(list, d, "language_model.model.", "language_model.lm_head");
}

}  // namespace vq::inline v1

#endif
