// Embeds the images and captions of a set with CLIP, and looks for the one with the other.
//
//   auto images = embed_images(*clip, set, preparation, run, step);
//   auto captions = embed_captions(*clip, set, run, step);
//   auto found = retrieve(images, captions);        // image i wants caption i
//   vq::recall_at_k(found.stable, 5);
#ifndef ENGINE_LANGUAGE_CAPTION_RETRIEVAL_HPP
#define ENGINE_LANGUAGE_CAPTION_RETRIEVAL_HPP

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include <vq/analyze/retrieval.hpp>

#include "engine/language/clip_model.hpp"
#include "engine/language/mosaic_set.hpp"
#include "engine/parallel.hpp"

namespace engine {

inline constexpr index_type items_at_once = 8;  // share matrix products

// What would make a caption senseless to this model.
inline std::optional<vq::failure> check_captions(const clip_model& clip, const mosaic_set& set) {
  const auto wrong = [](const char* rule) {
    return vq::failure{vq::status::bad_argument,
                       vq::sentence("the captions do not fit the model: ", rule)};
  };
  if (set.captions().empty()) return wrong("there are none");
  if (set.side() != clip.vision.image_size) return wrong("images of another size");
  for (const captioned_mosaic& item : set.captions()) {
    for (const std::int32_t id : item.caption) {
      if (id < 0 || id >= clip.text.words.rows()) return wrong("a word has no embedding");
    }
    if (std::ssize(item.caption) > clip.text.positions.rows()) {
      return wrong("one is longer than the positions");
    }
  }
  return std::nullopt;
}

// Calls embed(items) for a few items at a time, in parallel; one row of `size` for each item.
template <class Embed, class Step>
matrix embed_in_batches(const mosaic_set& set, index_type size, const parallel_for& run,
                        Embed embed, Step step) {
  const auto items = set.captions();
  const index_type count = std::ssize(items);
  matrix all(count, size);
  run((count + items_at_once - 1) / items_at_once, [&](index_type batch, index_type) {
    const index_type begin = batch * items_at_once;
    const index_type some = std::min(items_at_once, count - begin);
    all.middleRows(begin, some) = embed(items.subspan(at(begin), at(some)));
    for (index_type i = 0; i < some; ++i) step();
  });
  return all;
}

// Unit vectors, one row for each item; step() after each, from any thread.
template <class Step>
matrix embed_images(const clip_model& clip, const mosaic_set& set, const preprocessing& prepare,
                    const parallel_for& run, Step step) {
  const auto embed = [&](std::span<const captioned_mosaic> items) {
    return clip.image_embeddings(pixel_rows(set, items, prepare));
  };
  return embed_in_batches(set, clip.size, run, embed, step);
}
template <class Step>
matrix embed_captions(const clip_model& clip, const mosaic_set& set, const parallel_for& run,
                      Step step) {
  const auto embed = [&](std::span<const captioned_mosaic> items) {
    std::vector<token_ids> texts;
    for (const captioned_mosaic& item : items) texts.push_back(item.caption);
    return clip.text_embeddings(texts);
  };
  return embed_in_batches(set, clip.size, run, embed, step);
}

// Queries against an index in which item i is what query i wants.
struct retrieval {
  matrix similarity;                            // (queries, items)
  std::vector<index_type> stable, pessimistic;  // ranks of the wanted items

  vq::tensor_view<const float, 2> view() const {
    return {similarity.data(), {similarity.rows(), similarity.cols()}};
  }
};

inline retrieval retrieve(const matrix& queries, const matrix& index) {
  retrieval found;
  found.similarity = queries * index.transpose();
  std::vector<index_type> wanted(at(queries.rows()));
  std::iota(wanted.begin(), wanted.end(), index_type{0});
  // As many queries as items, so this cannot fail.
  found.stable = *vq::ranks(found.view(), wanted, vq::ties::stable);
  found.pessimistic = *vq::ranks(found.view(), wanted, vq::ties::pessimistic);
  return found;
}

}  // namespace engine

#endif
