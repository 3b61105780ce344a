// Which part of a convolution's window lies inside the image.
#ifndef ENGINE_WINDOW_HPP
#define ENGINE_WINDOW_HPP

#include <algorithm>

#include "engine/operation.hpp"

namespace engine {

// Taps [first, last) of one axis; tap t reads position `origin + t`.
struct tap_range {
  index_type origin, first, last;
};

struct window {
  tap_range y, x;
};

// The geometry of a convolution without its weights.
struct window_walk {
  index_type in_height, in_width, in_channels;
  index_type out_width, pixels;  // of the output: pixels = height * width
  index_type kernel_height, kernel_width, stride, padding;

  window_walk(const conv2d& op, const shape_type& in, const shape_type& out)
      : in_height(in[0]),
        in_width(in[1]),
        in_channels(in[2]),
        out_width(out[1]),
        pixels(out[0] * out[1]),
        kernel_height(op.weight.extent(2)),
        kernel_width(op.weight.extent(3)),
        stride(op.stride),
        padding(op.padding) {}

  // The window of output pixel p, which counts along rows.
  window at_pixel(index_type p) const {
    return {clipped(p / out_width, kernel_height, in_height),
            clipped(p % out_width, kernel_width, in_width)};
  }

 private:
  tap_range clipped(index_type out, index_type kernel, index_type size) const {
    const index_type origin = out * stride - padding;
    return {origin, std::max<index_type>(0, -origin), std::min(kernel, size - origin)};
  }
};

}  // namespace engine

#endif
