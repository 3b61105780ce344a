// CLIP's vision tower: patches and a class token, a layer norm, encoder layers. What comes after them
// differs: CLIP takes the class token through post_layernorm, LLaVA the patches of an earlier layer.
#ifndef ENGINE_LANGUAGE_CLIP_VISION_TOWER_HPP
#define ENGINE_LANGUAGE_CLIP_VISION_TOWER_HPP

#include <string>
#include <vector>

#include "engine/language/clip_encoder.hpp"

namespace engine {

struct clip_vision_tower {
  index_type image_size, patch_size;
  linear_layer patch_embedding;  // a convolution whose stride is its size, without bias
  std::vector<float> class_embedding;
  matrix positions;
  row_layer_norm before_layers, after_layers;
  clip_encoder encoder;

  // `name`: what the tensors' names begin with, "vision_model".
  clip_vision_tower(weight_loader& load, const std::string& name, model_config& config)
      : clip_vision_tower(load, name, clip_sizes(config), config) {}

  index_type features() const { return std::ssize(class_embedding); }
  index_type patches() const { return positions.rows() - 1; }
  index_type tokens() const { return positions.rows(); }
  index_type layers() const { return std::ssize(encoder.layers); }

  // Hidden state number `layer` in [0, layers()], as Hugging Face counts: 0 is what the first layer
  // reads. pixels: (images, 3 * size * size), planar; the result has tokens() rows for each image.
  matrix hidden_state(const matrix& pixels, index_type layer) const {
    matrix x = before_layers(embed(pixels));
    const auto sequences = equal_ranges(pixels.rows(), tokens());
    encoder.run(x, sequences, visibility::all, layer);
    return x;
  }

  // The class tokens of the last layer, normalized: (images, features).
  matrix pooled(const matrix& pixels) const {
    const matrix x = hidden_state(pixels, layers());
    matrix first(pixels.rows(), features());
    for (index_type i = 0; i < first.rows(); ++i) first.row(i) = x.row(i * tokens());
    return after_layers(first);
  }

 private:
  clip_vision_tower(weight_loader& load, const std::string& name, const clip_sizes& s,
                    model_config& config)
      : image_size(config.integer("image_size", 1, 4096)),
        patch_size(config.divisor("patch_size", image_size)),
        patch_embedding(
            load.patches(name + ".embeddings.patch_embedding", s.features, 3, patch_size)),
        class_embedding(load.vector(name + ".embeddings.class_embedding", s.features)),
        positions(load.table(name + ".embeddings.position_embedding.weight", patch_count() + 1,
                             s.features)),
        before_layers(load.layer_norm(name + ".pre_layrnorm", s.features, s.epsilon)),
        after_layers(load.layer_norm(name + ".post_layernorm", s.features, s.epsilon)),
        encoder(load, name + ".encoder", s) {}

  index_type patch_count() const { return (image_size / patch_size) * (image_size / patch_size); }

  // Patches of all images as rows of (colour, y, x), row by row of the image.
  matrix cut(const matrix& pixels) const {
    const index_type side = image_size / patch_size, area = patch_size * patch_size;
    matrix all(pixels.rows() * side * side, 3 * area);
    for (index_type p = 0; p < all.rows(); ++p) {
      const index_type row = p / side % side, column = p % side;
      for (index_type c = 0; c < 3; ++c) {
        for (index_type y = 0; y < patch_size; ++y) {
          const index_type line = (c * image_size + row * patch_size + y) * image_size;
          all.row(p).segment(c * area + y * patch_size, patch_size) =
              pixels.row(p / (side * side)).segment(line + column * patch_size, patch_size);
        }
      }
    }
    return all;
  }

  matrix embed(const matrix& pixels) const {
    const matrix projected = patch_embedding(cut(pixels));
    const Eigen::Map<const Eigen::RowVectorXf> first(class_embedding.data(), features());
    matrix x(pixels.rows() * tokens(), features());
    for (index_type i = 0; i < pixels.rows(); ++i) {
      x.row(i * tokens()) = first + positions.row(0);
      x.middleRows(i * tokens() + 1, patches()) =
          projected.middleRows(i * patches(), patches()) + positions.bottomRows(patches());
    }
    return x;
  }
};

}  // namespace engine

#endif
