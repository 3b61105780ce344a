// Quantized linear layer: a convolution whose positions are the rows of x.
//
//   acc[m][o] = bias[o] + sum over k of (x[m][k] - Zx) * (w[o][k] - Zw[o])
//   y[m][o]   = stage(acc, o)
//
// x has the extents (rows, inputs), y (rows, outputs). Rows of neighbouring codes are read where
// they are; a transposed x is copied into the workspace first. Threads share rows and outputs.
#ifndef VQ_NN_LINEAR_HPP
#define VQ_NN_LINEAR_HPP

#include <cstdint>
#include <span>

#include <vq/nn/conv2d.hpp>

namespace vq::inline v1 {

namespace detail {

// (rows, features) as an image of one column: (1, features, rows, 1).
template <class T>
constexpr tensor_view<T, 4> as_image(const tensor_view<T, 2>& x) noexcept {
  return {x.data_handle(), {1, x.extent(1), x.extent(0), 1}, {0, x.stride(1), x.stride(0), 0}};
}

}  // namespace detail

// How many int32 linear() needs as its workspace.
template <execution E, byte_code X>
constexpr index_type linear_workspace(E e, const tensor_view<const X, 2>& x,
                                      const packed_weights& w, index_type workers = 1) noexcept {
  return conv2d_workspace(e, detail::as_image(x), w, window2d{}, workers);
}
template <byte_code X>
constexpr index_type linear_workspace(const tensor_view<const X, 2>& x,
                                      const packed_weights& w) noexcept {
  return linear_workspace(scalar, x, w);
}

// Statuses as of conv2d().
template <execution E, byte_code X, output_stage Stage, parallel_for Parallel = serial_t>
status linear(E e, const tensor_view<const X, 2>& x, std::int32_t x_zero_point,
              const packed_weights& w, std::span<const std::int32_t> bias, const Stage& stage,
              const std::type_identity_t<tensor_view<typename Stage::output_type, 2>>& y,
              std::span<std::int32_t> workspace, const Parallel& parallel = {}) noexcept {
  return conv2d(e, detail::as_image(x), x_zero_point, w, bias, window2d{}, stage,
                detail::as_image(y), workspace, parallel);
}
template <byte_code X, output_stage Stage>
status linear(const tensor_view<const X, 2>& x, std::int32_t x_zero_point, const packed_weights& w,
              std::span<const std::int32_t> bias, const Stage& stage,
              const std::type_identity_t<tensor_view<typename Stage::output_type, 2>>& y,
              std::span<std::int32_t> workspace) noexcept {
  return linear(scalar, x, x_zero_point, w, bias, stage, y, workspace);
}

}  // namespace vq::inline v1

#endif
