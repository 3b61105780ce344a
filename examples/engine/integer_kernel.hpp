// Every operation of a quantized network, prepared once (weights packed, multipliers computed) from
// the formats of its inputs and its output, and then called for many images.
#ifndef ENGINE_INTEGER_KERNEL_HPP
#define ENGINE_INTEGER_KERNEL_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>

#include "engine/quantized_graph.hpp"

namespace engine {

// Tensors of one call: codes, or floats where the graph has no format for them. The input node reads
// an image.
struct integer_call {
  std::array<const std::byte*, 2> in{};
  std::byte* out = nullptr;
  std::span<std::int32_t> scratch;
  float* floats = nullptr;
};

struct integer_kernel {
  std::function<vq::status(const integer_call&)> run;
  index_type scratch = 0;  // int32 that a call needs
  index_type floats = 0;   // floats that a call needs
};
using kernel_or_status = vq::result<integer_kernel>;

inline const float* as_floats(const std::byte* tensor) {
  return reinterpret_cast<const float*>(tensor);
}
inline float* as_floats(std::byte* tensor) { return reinterpret_cast<float*>(tensor); }
inline const activation_code* as_codes(const std::byte* tensor) {
  return reinterpret_cast<const activation_code*>(tensor);
}
inline activation_code* as_codes(std::byte* tensor) {
  return reinterpret_cast<activation_code*>(tensor);
}
inline std::span<const activation_code> as_codes(const std::byte* tensor, index_type size) {
  return {as_codes(tensor), at(size)};
}
inline std::span<activation_code> as_codes(std::byte* tensor, index_type size) {
  return {as_codes(tensor), at(size)};
}

// A (height, width, channels) image as vq/nn sees it: (1, channels, height, width) by strides.
template <class T>
vq::tensor_view<T, 4> as_nchw(T* data, const shape_type& shape) {
  const bool image = shape.size() == 3;
  const index_type height = image ? shape[0] : 1, width = image ? shape[1] : 1;
  const index_type channels = shape.back();
  return {data,
          {1, channels, height, width},
          {height * width * channels, 1, width * channels, channels}};
}

// The operation of node `i` in integers; E: scalar_t or simd::native_t. bad_argument: the layer has no
// such kernel, because it reads or gives floats, or is one that has to be folded or fused first.
template <vq::execution E>
kernel_or_status prepare_int8(const quantized_graph& q, index_type i);

// The same of a transformer: matrix products on integer codes; layer norm, softmax, GELU and residual
// sums in floats between them. bad_argument: the layer has no kernel for these formats.
template <vq::execution E>
kernel_or_status prepare_mixed(const quantized_graph& q, index_type i);

}  // namespace engine

#endif
