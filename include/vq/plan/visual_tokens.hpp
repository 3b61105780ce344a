// How many tokens an image becomes, and how long the sequences are that the vision tower sees.
//
//   vq::count_visual_tokens(model, {.width = 1024, .height = 1024})
//
//   LLaVA 1.5      576: one image of 336 x 336, patches of 14, the class token dropped
//   LLaVA 1.6      576 of the whole image, and a grid of tiles unpadded to the image's shape with a
//                  newline per row; at most 576 + 48 * 49 = 2928
//   OneVision      the same with 729 and grids scaled down to nine tiles
//   Llama 3.2      6404 whatever the image: 4 tiles of 1601 that are attended to and do not enter
//                  the sequence; the tower pads each to 1608 and sees all 6432 at once
//   Qwen2-VL       width and height rounded to 28, one token for 28 x 28: 1369 for 1024 x 1024
//   InternVL       256 for each tile of 448, up to 12 and a thumbnail
//   Idefics3       169 for each tile and for the whole image
//
// The rules are those of the models' image processors in transformers.
#ifndef VQ_PLAN_VISUAL_TOKENS_HPP
#define VQ_PLAN_VISUAL_TOKENS_HPP

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include <vq/io/failure.hpp>
#include <vq/plan/architecture/model_architecture.hpp>

namespace vq::inline v1 {

struct image_pixels {
  index_type width = 0;
  index_type height = 0;
};

struct visual_tokens {
  index_type sequence = 0;        // in the decoder's sequence
  index_type cross = 0;           // attended to beside it
  index_type tower_batch = 0;     // sequences the tower sees
  index_type tower_sequence = 0;  // and their length
  std::string how;                // a sentence
};

namespace detail {

inline index_type floor_of(double x) { return static_cast<index_type>(std::floor(x)); }
inline double real(index_type x) { return static_cast<double>(x); }

// The resolution that keeps most of the image, and among those the smallest.
inline image_pixels best_resolution(const visual_token_rule& rule, image_pixels image) {
  image_pixels best;
  index_type most = -1, least_wasted = 0;
  for (const auto& [height, width] : rule.resolutions) {
    const double scale =
        (std::min)(real(width) / real(image.width), real(height) / real(image.height));
    const index_type scaled =
        floor_of(real(image.width) * scale) * floor_of(real(image.height) * scale);
    const index_type effective = (std::min)(scaled, image.width * image.height);
    const index_type wasted = width * height - effective;
    if (effective > most || (effective == most && wasted < least_wasted)) {
      most = effective;
      least_wasted = wasted;
      best = {width, height};
    }
  }
  return best;
}

inline visual_tokens count_any_resolution(const tower_shape& tower, const visual_token_rule& rule,
                                          image_pixels image) {
  const index_type grid = tower.grid();
  const image_pixels best = best_resolution(rule, image);
  index_type rows = grid * (best.height / tower.image), columns = grid * (best.width / tower.image);
  visual_tokens v;
  v.tower_batch = 1 + (best.height / tower.image) * (best.width / tower.image);
  v.tower_sequence = tower.sequence();
  // What the padding of the shorter side covers is cut off; seven digits, as in Python.
  const auto rounded = [](double x) { return floor_of(std::round(x * 1e7) / 1e7); };
  if (real(image.width) / real(image.height) > real(columns) / real(rows)) {
    const index_type kept = rounded(real(image.height) * (real(columns) / real(image.width)));
    rows -= (rows - kept) / 2 * 2;
  } else {
    const index_type kept = rounded(real(image.width) * (real(rows) / real(image.height)));
    columns -= (columns - kept) / 2 * 2;
  }
  if (rule.most_tiles > 0) {
    const double ratio = std::sqrt(real(rows * columns) / real(rule.most_tiles * grid * grid));
    if (ratio > 1.1) {
      rows = floor_of(real(rows) / ratio);
      columns = floor_of(real(columns) / ratio);
    }
  }
  const index_type base = grid * grid;
  v.sequence = base + rows * columns + rows;
  v.how = sentence(base, " of the whole image, ", rows, " rows of ", columns,
                   " from tiles filling ", best.width, "x", best.height, ", ", rows, " newlines");
  return v;
}

inline visual_tokens count_dynamic(const tower_shape& tower, const visual_token_rule& rule,
                                   image_pixels image) {
  const index_type unit = tower.patch * rule.merge;
  const auto nearest = [unit](index_type edge) {  // halves to even, as Python rounds
    return (std::max)(static_cast<index_type>(std::nearbyint(real(edge) / real(unit))),
                      index_type{1});
  };
  index_type rows = nearest(image.height), columns = nearest(image.width);
  const double area = real(image.width) * real(image.height) / real(unit * unit);
  if (rows * columns > rule.most_tokens) {
    const double shrink = std::sqrt(area / real(rule.most_tokens)) * real(unit);
    rows = (std::max)(floor_of(real(image.height) / shrink), index_type{1});
    columns = (std::max)(floor_of(real(image.width) / shrink), index_type{1});
  } else if (rows * columns < rule.fewest_tokens) {
    const double grow = std::sqrt(real(rule.fewest_tokens) / area) / real(unit);
    rows = static_cast<index_type>(std::ceil(real(image.height) * grow));
    columns = static_cast<index_type>(std::ceil(real(image.width) * grow));
  }
  visual_tokens v;
  v.sequence = rows * columns;
  v.tower_batch = 1;
  v.tower_sequence = v.sequence * rule.merge * rule.merge;
  v.how = sentence(rows, " x ", columns, " tokens of ", unit, "x", unit, " pixels");
  return v;
}

inline visual_tokens count_tiles(const tower_shape& tower, const visual_token_rule& rule,
                                 image_pixels image) {
  // The arrangement whose shape is nearest; among equals the larger one if the image fills half.
  index_type across = 1, down = 1;
  double least = -1;
  for (index_type count = 1; count <= rule.most_tiles; ++count) {
    for (index_type i = 1; i <= count; ++i) {
      if (count % i != 0) continue;
      const index_type j = count / i;
      const double apart = std::abs(real(image.width) / real(image.height) - real(i) / real(j));
      const bool fills =
          real(image.width * image.height) > 0.5 * real(tower.image * tower.image * i * j);
      if (least < 0 || apart < least || (apart == least && fills)) {
        least = apart;
        across = i;
        down = j;
      }
    }
  }
  const index_type tiles = across * down;
  const index_type crops = tiles + (rule.thumbnail && tiles > 1 ? 1 : 0);
  const index_type each = tower.grid() * tower.grid() / (rule.merge * rule.merge);
  visual_tokens v;
  v.sequence = crops * each;
  v.tower_batch = crops;
  v.tower_sequence = tower.sequence();
  v.how = sentence(across, " x ", down, " tiles", crops > tiles ? " and a thumbnail" : "", ", ",
                   each, " tokens each");
  return v;
}

inline visual_tokens count_rows_of_tiles(const tower_shape& tower, const visual_token_rule& rule,
                                         image_pixels image) {
  // The longest edge becomes `most_tiles` tiles, the other as many as it needs.
  const index_type longest = (std::max)(image.width, image.height);
  const auto needed = [&](index_type edge) {
    return (std::max)(
        static_cast<index_type>(std::ceil(real(edge * rule.most_tiles) / real(longest))),
        index_type{1});
  };
  const index_type across = needed(image.width), down = needed(image.height);
  const index_type each = tower.grid() * tower.grid() / (rule.merge * rule.merge);
  visual_tokens v;
  v.tower_batch = across * down + 1;
  v.tower_sequence = tower.sequence();
  v.sequence = v.tower_batch * each;
  v.how = sentence(across, " x ", down, " tiles and the whole image, ", each, " tokens each");
  return v;
}

}  // namespace detail

// All zero for a model without images.
inline visual_tokens count_visual_tokens(const model_architecture& model, image_pixels image) {
  const tower_shape& tower = model.tower;
  image = {(std::max)(image.width, index_type{1}), (std::max)(image.height, index_type{1})};
  visual_tokens v;
  switch (model.images.splitting) {
    case image_splitting::none:
      break;
    case image_splitting::fixed:
      v.sequence = tower.sequence() - (tower.class_token && tower.class_token_dropped ? 1 : 0);
      v.tower_batch = 1;
      v.tower_sequence = tower.sequence();
      v.how = sentence("every image is scaled to ", tower.image, "x", tower.image);
      break;
    case image_splitting::any_resolution:
      return detail::count_any_resolution(tower, model.images, image);
    case image_splitting::cross_tiles: {
      const index_type tiles = model.images.most_tiles, each = tower.sequence();
      v.cross = tiles * each;
      v.tower_batch = 1;
      v.tower_sequence = tiles * ((each + 7) / 8 * 8);
      v.how = sentence(tiles, " tiles of ", each, ", attended to beside the sequence");
      break;
    }
    case image_splitting::dynamic:
      return detail::count_dynamic(tower, model.images, image);
    case image_splitting::tiles:
      return detail::count_tiles(tower, model.images, image);
    case image_splitting::rows_of_tiles:
      return detail::count_rows_of_tiles(tower, model.images, image);
  }
  return v;
}

}  // namespace vq::inline v1

#endif
