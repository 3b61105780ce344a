// Every operation in integers, prepared once (weights packed, multipliers computed) from the
// parameters of its inputs and its output, and then called for many images.
#ifndef ENGINE_INT8_KERNEL_HPP
#define ENGINE_INT8_KERNEL_HPP

#include <array>
#include <cstdint>
#include <functional>
#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>

#include "engine/quantized_graph.hpp"

namespace engine {

// The memory of one call: the input reads an image, the last layer writes floats.
struct int8_call {
  const float* image = nullptr;
  std::array<const activation_code*, 2> in{};
  activation_code* codes = nullptr;
  float* floats = nullptr;
  std::span<std::int32_t> scratch;
};

struct int8_kernel {
  std::function<vq::status(const int8_call&)> run;
  index_type scratch = 0;  // int32 of scratch memory that a call needs
};
using kernel_or_status = vq::result<int8_kernel>;

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

// The operation of node `i`; E: scalar_t or simd::native_t. bad_argument: the layer has no integer kernel, because it
// reads or gives floats, or is one that has to be folded or fused first.
template <vq::execution E>
kernel_or_status prepare_int8(const quantized_graph& q, index_type i);

}  // namespace engine

#endif
