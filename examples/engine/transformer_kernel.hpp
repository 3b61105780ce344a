// The operations of a quantized transformer: matrix products on integer codes; layer norm, softmax,
// GELU and residual sums in floats between them. Prepared once, then called for many images.
#ifndef ENGINE_TRANSFORMER_KERNEL_HPP
#define ENGINE_TRANSFORMER_KERNEL_HPP

#include <array>
#include <cstddef>
#include <functional>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>

#include "engine/quantized_graph.hpp"

namespace engine {

// Tensors of one call: codes, or floats where the graph has no format for them.
struct mixed_call {
  std::array<const std::byte*, 2> in{};
  std::byte* out = nullptr;
  std::span<std::int32_t> scratch;
  float* floats = nullptr;
};

inline const float* as_floats(const std::byte* tensor) {
  return reinterpret_cast<const float*>(tensor);
}
inline float* as_floats(std::byte* tensor) { return reinterpret_cast<float*>(tensor); }
inline std::span<const activation_code> as_codes(const std::byte* tensor, index_type size) {
  return {reinterpret_cast<const activation_code*>(tensor), at(size)};
}
inline std::span<activation_code> as_codes(std::byte* tensor, index_type size) {
  return {reinterpret_cast<activation_code*>(tensor), at(size)};
}

struct mixed_kernel {
  std::function<vq::status(const mixed_call&)> run;
  index_type scratch = 0;  // int32 that a call needs
  index_type floats = 0;   // floats that a call needs
};

// The operation of node `i`; E: scalar_t or simd::native_t. bad_argument: the layer has no kernel for
// these formats.
template <vq::execution E>
vq::result<mixed_kernel> prepare_mixed(const quantized_graph& q, index_type i);

}  // namespace engine

#endif
