// Can the integer layers of a model overflow? Calibrates and quantizes a CNN or a ViT to 8 bits and
// checks every layer against every target (vq/analyze/integer_safety.hpp).
#ifndef ENGINE_SAFETY_MODEL_SAFETY_HPP
#define ENGINE_SAFETY_MODEL_SAFETY_HPP

#include <filesystem>
#include <vector>

#include <vq/analyze/integer_safety.hpp>
#include <vq/core/result.hpp>

#include "engine/tensor.hpp"

namespace engine {

struct model_safety {
  std::vector<vq::safety_report> reports;  // target by target, layers in their order
  index_type layers = 0;
};

// Arguments and errors are those of quantize_model (quantized_model.hpp).
vq::result<model_safety, vq::failure> check_model_safety(const std::filesystem::path& folder,
                                                         const std::filesystem::path& data,
                                                         index_type images, index_type threads);

}  // namespace engine

#endif
