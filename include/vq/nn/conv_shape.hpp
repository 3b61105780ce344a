// Where a window stands on an image: strides, padding on each side, dilation, and the sizes that
// follow from them.
//
//   out = (in + padding before + padding after - dilation * (kernel - 1) - 1) / stride + 1
#ifndef VQ_NN_CONV_SHAPE_HPP
#define VQ_NN_CONV_SHAPE_HPP

#include <vq/core/config.hpp>

namespace vq::inline v1 {

struct size2d {
  index_type height = 1;
  index_type width = 1;
  friend constexpr bool operator==(const size2d&, const size2d&) noexcept = default;
};

// In elements. Negative padding (cropping) is refused.
struct padding2d {
  index_type top = 0;
  index_type bottom = 0;
  index_type left = 0;
  index_type right = 0;

  constexpr bool any() const noexcept { return top != 0 || bottom != 0 || left != 0 || right != 0; }
};

constexpr padding2d pad_evenly(index_type by) noexcept { return {by, by, by, by}; }

struct window2d {
  size2d stride = {1, 1};
  padding2d padding = {};
  size2d dilation = {1, 1};

  constexpr bool valid() const noexcept {
    return stride.height > 0 && stride.width > 0 && dilation.height > 0 && dilation.width > 0 &&
           padding.top >= 0 && padding.bottom >= 0 && padding.left >= 0 && padding.right >= 0;
  }
};

// How many positions of the input one window spans.
constexpr index_type window_span(index_type kernel, index_type dilation) noexcept {
  return dilation * (kernel - 1) + 1;
}

// Output size along one axis; 0 where the window does not fit once.
constexpr index_type window_positions(index_type padded_in, index_type kernel, index_type stride,
                                      index_type dilation) noexcept {
  const index_type rest = padded_in - window_span(kernel, dilation);
  return rest < 0 ? 0 : rest / stride + 1;
}

constexpr size2d output_size(size2d in, size2d kernel, const window2d& w) noexcept {
  return {window_positions(in.height + w.padding.top + w.padding.bottom, kernel.height,
                           w.stride.height, w.dilation.height),
          window_positions(in.width + w.padding.left + w.padding.right, kernel.width,
                           w.stride.width, w.dilation.width)};
}

// The padding of TFLite's and ONNX's SAME: out = ceil(in / stride), the odd element goes to the end
// (SAME_UPPER).
constexpr padding2d same_padding(size2d in, size2d kernel, size2d stride = {},
                                 size2d dilation = {}) noexcept {
  const auto total = [](index_type size, index_type k, index_type s, index_type d) {
    const index_type out = (size + s - 1) / s;
    const index_type need = (out - 1) * s + window_span(k, d) - size;
    return need > 0 ? need : index_type{0};
  };
  const index_type rows = total(in.height, kernel.height, stride.height, dilation.height);
  const index_type columns = total(in.width, kernel.width, stride.width, dilation.width);
  return {rows / 2, rows - rows / 2, columns / 2, columns - columns / 2};
}

}  // namespace vq::inline v1

#endif
