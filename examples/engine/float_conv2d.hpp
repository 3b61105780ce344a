// Convolution in floats, channels-last: windows are copied into rows of a matrix, tile by tile, and
// multiplied by the weights (im2col and GEMM). Sum: what the products are summed in.
#ifndef ENGINE_FLOAT_CONV2D_HPP
#define ENGINE_FLOAT_CONV2D_HPP

#include <algorithm>
#include <vector>

#include <Eigen/Core>

#include "engine/operation.hpp"
#include "engine/window.hpp"

namespace engine {

template <class T>
using matrix_of = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using matrix = matrix_of<float>;

inline float clamped(float x, vq::range r) {
  x = x > r.lowest ? x : r.lowest;
  return x < r.highest ? x : r.highest;
}

// What happens to the sums of a layer: the bias is added, the activation applied.
struct layer_end {
  std::vector<float> bias, highest;  // one per channel
  float lowest;

  // Empty `biases` are zero, empty `limits` are clamp.highest for all channels.
  layer_end(index_type channels, const std::vector<float>& biases, vq::range clamp,
            const std::vector<float>& limits = {})
      : bias(biases), highest(limits), lowest(clamp.lowest) {
    bias.resize(at(channels));
    highest.resize(at(channels), clamp.highest);
  }

  void operator()(float* values, index_type rows) const {
    const std::size_t channels = bias.size();
    for (index_type r = 0; r < rows; ++r, values += channels) {
      for (std::size_t c = 0; c < channels; ++c) {
        values[c] = clamped(values[c] + bias[c], {lowest, highest[c]});
      }
    }
  }
};

template <class Sum = float>
class float_conv2d {
 public:
  float_conv2d(const conv2d& op, const shape_type& in, const shape_type& out)
      : walk_(op, in, out),
        channels_(out[2]),
        groups_(op.groups),
        depth_(walk_.kernel_height * walk_.kernel_width * op.weight.extent(1)),
        is_product_(depth_ == in[2] && op.stride == 1 && op.padding == 0 && op.groups == 1),
        end_(channels_, op.bias, op.clamp, op.highest) {
    pack(op.weight);
  }

  // Floats of scratch memory that a call needs.
  index_type scratch() const { return is_product_ ? 0 : tile * depth_; }

  void operator()(const float* in, float* out, float* scratch) const {
    const index_type each = channels_ / groups_;
    for (index_type p = 0; p < walk_.pixels; p += tile) {
      const index_type rows = std::min(tile, walk_.pixels - p);
      Eigen::Map<matrix> to(out + p * channels_, rows, channels_);
      for (index_type g = 0; g < groups_; ++g) {
        const float* windows = is_product_ ? in + p * walk_.in_channels : scratch;
        if (!is_product_) {
          for (index_type r = 0; r < rows; ++r) copy_window(in, p + r, g, scratch + r * depth_);
        }
        to.middleCols(g * each, each).noalias() =
            (Eigen::Map<const matrix>(windows, rows, depth_).template cast<Sum>() * weights_[at(g)])
                .template cast<float>();
      }
      end_(to.data(), rows);
    }
  }

 private:
  static constexpr index_type tile = 64;  // output pixels whose windows stay in the cache

  // (out, in, height, width) to (height, width, in) x out for each group.
  void pack(const tensor& weight) {
    const index_type each = channels_ / groups_, inputs = weight.extent(1);
    const index_type area = depth_ / inputs;
    weights_.assign(at(groups_), matrix_of<Sum>(depth_, each));
    for (index_type o = 0; o < channels_; ++o) {
      for (index_type i = 0; i < inputs; ++i) {
        for (index_type k = 0; k < area; ++k) {
          weights_[at(o / each)](k * inputs + i, o % each) =
              Sum{weight.values[at((o * inputs + i) * area + k)]};
        }
      }
    }
  }

  // Row by row of the window: zeros outside the image, neighbouring pixels in one piece.
  void copy_window(const float* in, index_type p, index_type group, float* to) const {
    const index_type inputs = walk_.in_channels / groups_;
    const auto [y, x] = walk_.at_pixel(p);
    const index_type row = walk_.kernel_width * inputs;
    for (index_type t = 0; t < walk_.kernel_height; ++t, to += row) {
      if (t < y.first || t >= y.last) {
        std::fill_n(to, row, 0.f);
        continue;
      }
      std::fill_n(to, x.first * inputs, 0.f);
      const float* from = in + ((y.origin + t) * walk_.in_width + x.origin) * walk_.in_channels;
      if (groups_ == 1) {
        std::copy(from + x.first * inputs, from + x.last * inputs, to + x.first * inputs);
      } else {
        for (index_type u = x.first; u < x.last; ++u) {
          std::copy_n(from + u * walk_.in_channels + group * inputs, inputs, to + u * inputs);
        }
      }
      std::fill(to + x.last * inputs, to + row, 0.f);
    }
  }

  window_walk walk_;
  index_type channels_, groups_, depth_;
  bool is_product_;                      // a 1x1 window without stride: the image is the matrix
  std::vector<matrix_of<Sum>> weights_;  // one per group
  layer_end end_;
};

}  // namespace engine

#endif
