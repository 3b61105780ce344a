// LLaVA 1.5 (Liu et al. 2023, arXiv 2310.03744) with the names of Hugging Face's
// LlavaForConditionalGeneration: patches of CLIP's vision tower, two layers with GELU between them
// (the connector), Llama's decoder.
//
//   auto files = opened_model::open("models/llava", "llava");
//   auto llava = llava_model::build(*files, formats, weight_path::packed);
//   matrix features = llava->image_features(pixels);
//   token_ids answer = llava->answer(prompt, features, 24);
#ifndef ENGINE_LANGUAGE_LLAVA_MODEL_HPP
#define ENGINE_LANGUAGE_LLAVA_MODEL_HPP

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "engine/language/activation_functions.hpp"
#include "engine/language/clip_text_tower.hpp"
#include "engine/language/clip_vision_tower.hpp"
#include "engine/language/llama_decoder.hpp"
#include "engine/language/opened_model.hpp"

namespace engine {

struct llava_model {
  clip_vision_tower vision;
  index_type feature_layer;  // the hidden state of the tower that is read, from 0
  linear_layer widen, project;
  llama_decoder decoder;
  std::int32_t image_token, end_token;
  layer_count layers;

  // Errors: what is wrong with which tensor or field.
  static vq::result<llava_model, vq::failure> build(opened_model& files,
                                                    const tensor_formats& formats,
                                                    weight_path path) {
    weight_loader load(files.weights, formats, path);
    model_config& config = files.config;
    auto seen = config.section("vision_config"), read = config.section("text_config");
    config.expect("projector_hidden_act", "gelu");
    config.expect("vision_feature_select_strategy", "default");
    clip_vision_tower vision(load, "vision_tower.vision_model", seen);
    llama_decoder decoder(load, "language_model", read);
    for (const model_config* section : {&seen, &read}) {
      if (!section->ok()) return section->error();
    }
    if (!load.ok()) return *load.error();

    const index_type layers = vision.layers(), from = vision.features(), to = decoder.features();
    // Counted from 0, or from the end: -1 is the last hidden state.
    const index_type layer = config.integer("vision_feature_layer", -layers - 1, layers);
    const index_type last_word = decoder.vocabulary() - 1;
    llava_model model{std::move(vision),
                      layer < 0 ? layers + 1 + layer : layer,
                      load.linear("multi_modal_projector.linear_1", from, to),
                      load.linear("multi_modal_projector.linear_2", to, to),
                      std::move(decoder),
                      static_cast<std::int32_t>(config.integer("image_token_index", 0, last_word)),
                      static_cast<std::int32_t>(read.integer("eos_token_id", 0, last_word)),
                      {}};
    if (!config.ok()) return config.error();
    if (!read.ok()) return read.error();
    if (!load.ok()) return *load.error();
    model.layers = load.layers();
    return model;
  }

  // What the connector reads: the patches, without class tokens, of the tower's chosen layer.
  // (images * patches, vision features)
  matrix vision_features(const matrix& pixels) const {
    const matrix state = vision.hidden_state(pixels, feature_layer);
    const index_type patches = vision.patches();
    matrix features(pixels.rows() * patches, state.cols());
    for (index_type i = 0; i < pixels.rows(); ++i) {
      features.middleRows(i * patches, patches) =
          state.middleRows(i * vision.tokens() + 1, patches);
    }
    return features;
  }
  matrix connect(const matrix& features) const {
    matrix wide = widen(features);
    exact_gelu(wide);
    return project(wide);
  }
  // (images * patches, decoder features)
  matrix image_features(const matrix& pixels) const { return connect(vision_features(pixels)); }

  // Words of the vocabulary, with the rows of an image in the places of its placeholders.
  template <class Rows>
  matrix embed(std::span<const std::int32_t> ids, const Rows& image) const {
    matrix x = decoder.embed(ids);
    index_type next = 0;
    for (index_type i = 0; i < x.rows(); ++i) {
      if (ids[at(i)] == image_token && next < image.rows()) x.row(i) = image.row(next++);
    }
    return x;
  }

  // Greedy decoding, up to the end token (included) or `most` tokens.
  token_ids answer(std::span<const std::int32_t> prompt, const matrix& image,
                   index_type most) const {
    token_ids words;
    kv_cache cache = decoder.cache();
    matrix x = embed(prompt, image);
    while (std::ssize(words) < most && cache.length + x.rows() <= decoder.positions()) {
      const row_range all{0, x.rows()};
      const matrix state = decoder.forward(std::move(x), {&all, 1}, {&cache, 1});
      Eigen::Index best = 0;
      decoder.logits(state.bottomRows(1)).row(0).maxCoeff(&best);
      words.push_back(static_cast<std::int32_t>(best));
      if (words.back() == end_token) break;
      x = decoder.embed(std::span(words).last(1));
    }
    return words;
  }
};

}  // namespace engine

#endif
