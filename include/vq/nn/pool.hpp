// Pooling of codes.
//
//   max_pool2d            the largest code of a window; padding takes no part. Scale and zero point
//                         stay.
//   average_pool2d        stage(sum over the window of (x - Zx), channel): the multiplier of the
//                         stage is x.scale / (y.scale * window size) (see average_scale). Padding
//                         counts as zeros, as in PyTorch's count_include_pad=True.
//   global_average_pool   the same with the whole image as the window
//
// Extents are (N, C, H, W) in any memory order; channels last is the fast one. To share the work
// among threads give each of them a part of the batch or of the channels.
#ifndef VQ_NN_POOL_HPP
#define VQ_NN_POOL_HPP

#include <cstdint>
#include <limits>
#include <type_traits>

#include <vq/core/execution.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/conv_shape.hpp>
#include <vq/nn/gemm.hpp>
#include <vq/quantizer/requantize.hpp>

namespace vq::inline v1 {

// The weight of one code in an average, for find_multipliers and Multiplier::of: the "weight scale"
// of a sum of `count` codes.
constexpr affine_param average_scale(index_type count) noexcept {
  return {1 / static_cast<float>(count), 0};
}

namespace detail {

inline constexpr index_type pool_tile = 64;

// The part of a window that lies in [0, size): [first, last) in steps of the window.
struct taps_inside {
  index_type first = 0;
  index_type last = 0;
};
constexpr taps_inside clip_taps(index_type origin, index_type taps, index_type dilation,
                                index_type size) noexcept {
  taps_inside t{0, taps};
  while (t.first < taps && origin + t.first * dilation < 0) ++t.first;
  while (t.last > t.first && origin + (t.last - 1) * dilation >= size) --t.last;
  return t;
}

// For every output position and every tile of at most pool_tile channels: begin(count), then
// take(pointer to the first channel, count) for each pixel of the window inside the image, then
// end(image, channel, count, oy, ox).
template <class X, class Begin, class Take, class End>
constexpr void for_each_window(const tensor_view<const X, 4>& x, size2d out, size2d size,
                               const window2d& w, Begin begin, Take take, End end) noexcept {
  const index_type channels = x.extent(1);
  for (index_type image = 0; image < x.extent(0); ++image) {
    for (index_type oy = 0; oy < out.height; ++oy) {
      const index_type top = oy * w.stride.height - w.padding.top;
      const auto rows = clip_taps(top, size.height, w.dilation.height, x.extent(2));
      for (index_type ox = 0; ox < out.width; ++ox) {
        const index_type left = ox * w.stride.width - w.padding.left;
        const auto columns = clip_taps(left, size.width, w.dilation.width, x.extent(3));
        for (index_type c = 0; c < channels; c += pool_tile) {
          const index_type count = channels - c < pool_tile ? channels - c : pool_tile;
          begin(count);
          for (index_type i = rows.first; i < rows.last; ++i) {
            for (index_type j = columns.first; j < columns.last; ++j) {
              take(x.data_handle() + image * x.stride(0) + c * x.stride(1) +
                       (top + i * w.dilation.height) * x.stride(2) +
                       (left + j * w.dilation.width) * x.stride(3),
                   count);
            }
          }
          end(image, c, count, oy, ox);
        }
      }
    }
  }
}

template <class X, class Y>
constexpr status check_pool(const tensor_view<const X, 4>& x, size2d size, const window2d& w,
                            const tensor_view<Y, 4>& y) noexcept {
  if (!w.valid() || size.height < 1 || size.width < 1) return status::bad_argument;
  const size2d out = output_size({x.extent(2), x.extent(3)}, size, w);
  return y.extents() == shape_type<4>{x.extent(0), x.extent(1), out.height, out.width}
             ? status::ok
             : status::size_mismatch;
}

}  // namespace detail

// size_mismatch where y does not have the size that follows; bad_argument where padding is so wide
// that a window could lie outside of the image (as PyTorch: at most half a kernel).
template <byte_code X>
constexpr status max_pool2d(const tensor_view<const X, 4>& x, size2d size, const window2d& w,
                            const std::type_identity_t<tensor_view<X, 4>>& y) noexcept {
  if (const status s = detail::check_pool(x, size, w, y); s != status::ok) return s;
  const auto half = [](index_type padding, index_type taps) { return 2 * padding <= taps; };
  if (!half(w.padding.top, size.height) || !half(w.padding.bottom, size.height) ||
      !half(w.padding.left, size.width) || !half(w.padding.right, size.width)) {
    return status::bad_argument;
  }
  X most[detail::pool_tile] = {};
  detail::for_each_window(
      x, {y.extent(2), y.extent(3)}, size, w,
      [&](index_type count) {
        for (index_type c = 0; c < count; ++c) most[c] = (std::numeric_limits<X>::min)();
      },
      [&](const X* from, index_type count) {
        const auto take = [&](index_type c, X code) { most[c] = code > most[c] ? code : most[c]; };
        if (x.stride(1) == 1) {
          for (index_type c = 0; c < count; ++c) take(c, from[c]);
        } else {
          for (index_type c = 0; c < count; ++c) take(c, from[c * x.stride(1)]);
        }
      },
      [&](index_type image, index_type channel, index_type count, index_type oy, index_type ox) {
        for (index_type c = 0; c < count; ++c) y(image, channel + c, oy, ox) = most[c];
      });
  return status::ok;
}

// A window of `size` holds at most 2^23 codes. Statuses as of max_pool2d, and of the stage.
template <execution E, byte_code X, output_stage Stage>
constexpr status average_pool2d(
    E, const tensor_view<const X, 4>& x, std::int32_t x_zero_point, size2d size, const window2d& w,
    const Stage& stage,
    const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y) noexcept {
  if (const status s = detail::check_pool(x, size, w, y); s != status::ok) return s;
  if (const status s = stage.check(x.extent(1)); s != status::ok) return s;
  if (size.height * size.width > index_type{1} << 23) return status::overflow;
  std::int32_t sums[detail::pool_tile] = {};
  detail::for_each_window(
      x, {y.extent(2), y.extent(3)}, size, w,
      [&](index_type count) {
        for (index_type c = 0; c < count; ++c) sums[c] = 0;
      },
      [&](const X* from, index_type count) {
        if (x.stride(1) == 1) {
          for (index_type c = 0; c < count; ++c) sums[c] += from[c] - x_zero_point;
        } else {
          for (index_type c = 0; c < count; ++c) sums[c] += from[c * x.stride(1)] - x_zero_point;
        }
      },
      [&](index_type image, index_type channel, index_type count, index_type oy, index_type ox) {
        kernel<requantize_tile<Stage>, E>{}(
            stage, {sums, 0, 1, channel, count, &y(image, channel, oy, ox), 0, y.stride(1)});
      });
  return status::ok;
}
template <byte_code X, output_stage Stage>
constexpr status average_pool2d(
    const tensor_view<const X, 4>& x, std::int32_t x_zero_point, size2d size, const window2d& w,
    const Stage& stage,
    const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y) noexcept {
  return average_pool2d(scalar, x, x_zero_point, size, w, stage, y);
}

// y has the extents (N, C, 1, 1).
template <execution E, byte_code X, output_stage Stage>
constexpr status global_average_pool(
    E e, const tensor_view<const X, 4>& x, std::int32_t x_zero_point, const Stage& stage,
    const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y) noexcept {
  return average_pool2d(e, x, x_zero_point, {x.extent(2), x.extent(3)}, window2d{}, stage, y);
}
template <byte_code X, output_stage Stage>
constexpr status global_average_pool(
    const tensor_view<const X, 4>& x, std::int32_t x_zero_point, const Stage& stage,
    const std::type_identity_t<tensor_view<typename Stage::output_type, 4>>& y) noexcept {
  return global_average_pool(scalar, x, x_zero_point, stage, y);
}

}  // namespace vq::inline v1

#endif
