// A CLIP or SigLIP tower, a connector and a decoder: LLaVA 1.5, 1.6 (NeXT) and OneVision,
// PaliGemma, Idefics3 and SmolVLM.
#ifndef VQ_PLAN_ARCHITECTURE_LLAVA_HPP
#define VQ_PLAN_ARCHITECTURE_LLAVA_HPP

#include <string>

#include <vq/plan/architecture/clip.hpp>
#include <vq/plan/architecture/config_section.hpp>
#include <vq/plan/architecture/decoder.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

// model_type llava, llava_next or llava_onevision.
inline void read_llava(const config_section& config, tensor_list& list, model_architecture& model) {
  const config_section text = config.section("text_config");
  const config_section vision = config.section("vision_config");
  const bool onevision = model.family == "llava_onevision";
  model.tower = read_tower(
      vision, vision.text("model_type", onevision ? "siglip_vision_model" : "clip_vision_model"));
  model.tower.class_token_dropped =
      config.text("vision_feature_select_strategy", onevision ? "full" : "default") == "default";
  model.decoder =
      read_decoder(text, config, text.text("model_type", onevision ? "qwen2" : "llama"));

  add_tower(list, model.tower, "vision_tower.vision_model.");
  const bool bias = config.flag("multimodal_projector_bias", true);
  const index_type hidden = model.decoder.hidden;
  list.linear("multi_modal_projector.linear_1", hidden, model.tower.hidden, bias);
  list.linear("multi_modal_projector.linear_2", hidden, hidden, bias);
  add_decoder(list, model.decoder, "language_model.model.", "language_model.lm_head");

  visual_token_rule& images = model.images;
  images.splitting = image_splitting::fixed;
  if (model.family == "llava") return;
  list.add("image_newline", {hidden});
  images.splitting = image_splitting::any_resolution;
  // "anyres_max_9": the tokens of larger arrangements are scaled down to those of nine tiles.
  images.most_tiles = onevision ? 9 : 0;
  const auto edges =
      config.integers("image_grid_pinpoints", {336, 672, 672, 336, 672, 672, 1008, 336, 336, 1008});
  for (std::size_t i = 0; i + 1 < edges.size(); i += 2) {
    images.resolutions.emplace_back(edges[i], edges[i + 1]);
  }
}

inline void read_paligemma(const config_section& config, tensor_list& list,
                           model_architecture& model) {
  const config_section text = config.section("text_config");
  const config_section vision = config.section("vision_config");
  model.tower = read_tower(vision, vision.text("model_type", "siglip_vision_model"));
  model.decoder = read_decoder(text, config, text.text("model_type", "gemma"));
  model.images.splitting = image_splitting::fixed;
  add_tower(list, model.tower, "vision_tower.vision_model.");
  list.linear("multi_modal_projector.linear",
              config.integer("projection_dim", vision.integer("projection_dim", 2048)),
              model.tower.hidden, with_bias);
  add_decoder(list, model.decoder, "language_model.model.", "language_model.lm_head");
}

// model_type idefics3 or smolvlm.
inline void read_idefics3(const config_section& config, tensor_list& list,
                          model_architecture& model) {
  const config_section text = config.section("text_config");
  const config_section vision = config.section("vision_config");
  model.tower = read_tower(vision, "idefics3_vision");
  model.decoder = read_decoder(text, config, text.text("model_type", "llama"));
  const index_type scale = config.integer("scale_factor", 2, 64);
  model.images.splitting = image_splitting::rows_of_tiles;
  model.images.merge = scale;
  model.images.most_tiles = 4;  // along an edge
  add_tower(list, model.tower, "model.vision_model.");
  list.linear("model.connector.modality_projection.proj", model.decoder.hidden,
              model.tower.hidden * scale * scale, without_bias);
  add_decoder(list, model.decoder, "model.text_model.", "lm_head");
}

}  // namespace vq::inline v1

#endif
