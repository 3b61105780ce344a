// The floats of one tensor of a model, checked.
#ifndef ENGINE_TENSOR_LOADING_HPP
#define ENGINE_TENSOR_LOADING_HPP

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "engine/tensor.hpp"

namespace engine {

// Errors: not_found, type_mismatch, bad_format (another shape, a value that is not finite), with
// file, tensor and rule.
inline vq::result<std::vector<float>, vq::failure> load_floats(const vq::safetensors_file& file,
                                                               const std::string& name,
                                                               const shape_type& shape) {
  const auto refuse = [&](const std::string& rule) {
    return vq::failure{vq::status::bad_format,
                       vq::sentence(file.name(), ": tensor ", vq::in_quotes(name), ": ", rule)};
  };
  const auto entry = file.get(name);
  if (!entry) return entry.error();
  if ((*entry)->shape != shape) {
    return refuse(
        vq::sentence("shape ", spelled((*entry)->shape), " where ", spelled(shape), " is needed"));
  }
  auto values = file.to_floats(name);
  if (!values) return values.error();
  for (const float value : *values) {
    if (!std::isfinite(value)) return refuse(vq::describe(vq::status::not_finite));
  }
  return values;
}

}  // namespace engine

#endif
