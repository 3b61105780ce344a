// Depthwise convolution in floats, channels-last: every channel has a window of its own, so
// neighbouring channels are computed side by side and nothing is copied.
#ifndef ENGINE_FLOAT_DEPTHWISE_CONV2D_HPP
#define ENGINE_FLOAT_DEPTHWISE_CONV2D_HPP

#include <vector>

#include "engine/float_conv2d.hpp"

namespace engine {

class float_depthwise_conv2d {
 public:
  float_depthwise_conv2d(const conv2d& op, const shape_type& in, const shape_type& out)
      : walk_(op, in, out),
        channels_(out[2]),
        taps_(op.weight.values.size()),
        end_(channels_, op.bias, op.clamp, op.highest) {
    const index_type area = walk_.kernel_height * walk_.kernel_width;
    for (index_type c = 0; c < channels_; ++c) {
      for (index_type k = 0; k < area; ++k) {
        taps_[at(k * channels_ + c)] = op.weight.values[at(c * area + k)];
      }
    }
  }

  void operator()(const float* in, float* out) const {
    for (index_type p = 0; p < walk_.pixels; ++p, out += channels_) {
      const window w = walk_.at_pixel(p);
      index_type c = 0;
      for (; c + 48 <= channels_; c += 48) sum_taps<48>(in, w, c, out);
      for (; c + 16 <= channels_; c += 16) sum_taps<16>(in, w, c, out);
      for (; c < channels_; ++c) sum_taps<1>(in, w, c, out);
      end_(out, 1);
    }
  }

 private:
  // Channels [c, c + N) of one output pixel.
  template <index_type N>
  void sum_taps(const float* in, const window& w, index_type c, float* out) const {
    using block = Eigen::Array<float, N, 1>;  // stays in registers
    block sum = block::Zero();
    for (index_type y = w.y.first; y < w.y.last; ++y) {
      for (index_type x = w.x.first; x < w.x.last; ++x) {
        const float* value =
            in + ((w.y.origin + y) * walk_.in_width + w.x.origin + x) * channels_ + c;
        const float* tap = taps_.data() + (y * walk_.kernel_width + x) * channels_ + c;
        sum += Eigen::Map<const block>(value) * Eigen::Map<const block>(tap);
      }
    }
    Eigen::Map<block>(out + c) = sum;
  }

  window_walk walk_;
  index_type channels_;
  std::vector<float> taps_;  // (tap, channel)
  layer_end end_;
};

}  // namespace engine

#endif
