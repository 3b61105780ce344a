// y = x W^T + bias on rows of floats, for models that read text.
//
// Weights are floats, or codes of 4 or 8 bits that the weight-only product of vq/nn decodes while
// it multiplies. Which of the two, the format of the tensor decides (quantized_weight.hpp).
#ifndef ENGINE_LANGUAGE_LINEAR_LAYER_HPP
#define ENGINE_LANGUAGE_LINEAR_LAYER_HPP

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include <vq/nn/weight_only_panels.hpp>

#include "engine/float_conv2d.hpp"
#include "engine/tensor.hpp"

namespace engine {

struct packed_weight {
  std::shared_ptr<const std::vector<std::uint8_t>> storage;
  vq::weight_only matrix;  // points into the storage
};

using weight_matrix = std::variant<matrix, packed_weight>;  // (outputs, inputs)

struct linear_layer {
  weight_matrix weight;
  std::vector<float> bias;  // empty: none

  matrix operator()(const matrix& x) const;
};

}  // namespace engine

#endif
