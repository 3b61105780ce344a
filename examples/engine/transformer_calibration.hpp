// Quantizes a vision transformer from calibration images, in the order of computation: each layer is
// fitted to what the layers before it, quantized already, will really give it.
//
//   output of a layer norm   rewritten first (norm_rewriting.hpp), or
//                            affine like the outputs of linear layers and attention
//   after softmax and GELU   the candidate with the best signal-to-noise ratio on the images
//   weights                  symmetric per channel; weight_refinement.hpp
//
// Everything that a matrix product reads becomes codes.
#ifndef ENGINE_TRANSFORMER_CALIBRATION_HPP
#define ENGINE_TRANSFORMER_CALIBRATION_HPP

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/image_set.hpp"
#include "engine/parallel.hpp"
#include "engine/quantized_graph.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

// Errors: a precision rule that selects nothing; what the library says of a layer, with its name.
vq::result<quantized_graph, vq::failure> quantize_transformer(const graph& g,
                                                              const image_set& images,
                                                              const transformer_scheme& scheme,
                                                              const parallel_for& run);

}  // namespace engine

#endif
