// A CNN or a ViT in 8 bits, calibrated: weights symmetric per channel, activations asymmetric per
// tensor with ranges of least squared error.
#ifndef ENGINE_SAFETY_QUANTIZED_MODEL_HPP
#define ENGINE_SAFETY_QUANTIZED_MODEL_HPP

#include <filesystem>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/quantized_graph.hpp"

namespace engine {

// From all images of `data` (empty: the calibration images beside the model, ../data), of a ViT from
// the first `images`, 128 at most. Errors: what is wrong with which file or layer.
vq::result<quantized_graph, vq::failure> quantize_model(const std::filesystem::path& folder,
                                                        const std::filesystem::path& data,
                                                        index_type images, index_type threads);

}  // namespace engine

#endif
