// CLIP (Radford et al. 2021, arXiv 2103.00020) with the names of Hugging Face's CLIPModel.
//
//   auto files = opened_model::open("models/clip", "clip");
//   auto clip = clip_model::build(*files, formats, weight_path::packed);
//   matrix images = clip->image_embeddings(pixels), texts = clip->text_embeddings(ids);
//   matrix similarity = images * texts.transpose();               // cosines
#ifndef ENGINE_LANGUAGE_CLIP_MODEL_HPP
#define ENGINE_LANGUAGE_CLIP_MODEL_HPP

#include <cmath>
#include <span>
#include <utility>

#include "engine/language/clip_text_tower.hpp"
#include "engine/language/clip_vision_tower.hpp"
#include "engine/language/opened_model.hpp"

namespace engine {

struct clip_model {
  clip_vision_tower vision;
  clip_text_tower text;
  linear_layer visual_projection, text_projection;
  index_type size;    // of an embedding
  float logit_scale;  // cosines are multiplied by it

  // Errors: what is wrong with which tensor or field.
  static vq::result<clip_model, vq::failure> build(opened_model& files,
                                                   const tensor_formats& formats,
                                                   weight_path path) {
    weight_loader load(files.weights, formats, path);
    auto seen = files.config.section("vision_config"), read = files.config.section("text_config");
    const index_type size = files.config.integer("projection_dim", 1, 1 << 16);
    clip_vision_tower vision(load, "vision_model", seen);
    clip_text_tower text(load, "text_model", read);
    for (const model_config* c :
         {&std::as_const(files.config), &std::as_const(seen), &std::as_const(read)}) {
      if (!c->ok()) return c->error();
    }
    if (!load.ok()) return *load.error();

    const index_type from_vision = vision.features(), from_text = text.features();
    clip_model model{std::move(vision),
                     std::move(text),
                     load.projection("visual_projection", from_vision, size),
                     load.projection("text_projection", from_text, size),
                     size,
                     std::exp(load.scalar("logit_scale"))};
    if (!load.ok()) return *load.error();
    return model;
  }

  // Before they are normalized; (images, size) of pixels (images, 3 * side * side).
  matrix raw_image_embeddings(const matrix& pixels) const {
    return visual_projection(vision.pooled(pixels));
  }
  matrix raw_text_embeddings(std::span<const token_ids> texts) const {
    return text_projection(text.pooled(texts));
  }

  matrix image_embeddings(const matrix& pixels) const {
    return raw_image_embeddings(pixels).rowwise().normalized();
  }
  matrix text_embeddings(std::span<const token_ids> texts) const {
    return raw_text_embeddings(texts).rowwise().normalized();
  }
};

}  // namespace engine

#endif
