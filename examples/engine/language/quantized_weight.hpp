// Weights of a linear layer in a format that a recipe names ("nf4-block64", "int8-channel").
//
// A weight-only kernel exists for 4 and 8 bits whose blocks end with the rows; all other formats are
// simulated: the floats that the codes stand for, multiplied as floats. Both give the same up to the
// order of float sums.
#ifndef ENGINE_LANGUAGE_QUANTIZED_WEIGHT_HPP
#define ENGINE_LANGUAGE_QUANTIZED_WEIGHT_HPP

#include <string_view>

#include <vq/core/result.hpp>

#include "engine/language/linear_layer.hpp"

namespace engine {

enum class weight_path {
  packed,    // the kernel, where there is one
  simulated  // always floats
};

// `floats` unchanged for formats that only round_to knows, "keep" and "f32".
// Errors: not_found (no such format), not_finite.
vq::result<weight_matrix> quantize_weight(const matrix& floats, std::string_view format,
                                          weight_path path);

}  // namespace engine

#endif
