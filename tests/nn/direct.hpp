// The definition of a quantized convolution as seven loops, and random problems for it. The library
// is compared with this; it shares no code with it.
#ifndef VQ_TESTS_NN_DIRECT_HPP
#define VQ_TESTS_NN_DIRECT_HPP

#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <vq/nn.hpp>

namespace direct {

using vq::index_type;

enum class order { channels_first, channels_last, sliced };

// Strides of a tensor (N, C, H, W). `sliced` is channels last with gaps everywhere.
inline vq::shape_type<4> strides(order o, const vq::shape_type<4>& e) {
  if (o == order::channels_first) return vq::row_major_strides(e);
  const index_type gap = o == order::sliced ? 3 : 0;
  const index_type pixel = e[1] + gap, row = e[3] * pixel + gap;
  return {e[2] * row + gap, 1, row, pixel};
}
inline std::size_t span_of(const vq::shape_type<4>& e, const vq::shape_type<4>& s) {
  index_type last = 0;
  for (std::size_t i = 0; i < 4; ++i) last += (e[i] - 1) * s[i];
  return static_cast<std::size_t>(last + 1);
}

template <class T>
struct tensor {
  tensor(order o, const vq::shape_type<4>& e)
      : extents(e), steps(strides(o, e)), data(span_of(e, steps), T{77}) {}
  vq::tensor_view<const T, 4> view() const { return {data.data(), extents, steps}; }
  vq::tensor_view<T, 4> view() { return {data.data(), extents, steps}; }

  vq::shape_type<4> extents, steps;
  std::vector<T> data;
};

struct problem {
  index_type batch = 1, channels = 1, height = 1, width = 1;
  index_type outputs = 1, kernel_height = 1, kernel_width = 1, groups = 1;
  vq::window2d window;

  vq::shape_type<4> x() const { return {batch, channels, height, width}; }
  vq::shape_type<4> w() const { return {outputs, channels / groups, kernel_height, kernel_width}; }
  vq::shape_type<4> y() const {
    const auto count = [](index_type in, index_type before, index_type after, index_type k,
                          index_type d, index_type s) {
      index_type positions = 0;
      for (index_type at = -before; at + d * (k - 1) < in + after; at += s) ++positions;
      return positions;
    };
    return {batch, outputs,
            count(height, window.padding.top, window.padding.bottom, kernel_height,
                  window.dilation.height, window.stride.height),
            count(width, window.padding.left, window.padding.right, kernel_width,
                  window.dilation.width, window.stride.width)};
  }
};

// Accumulators in row-major order.
template <class X, class W>
std::vector<std::int32_t> accumulate(const problem& p, const vq::tensor_view<const X, 4>& x,
                                     std::int32_t x_zero, const vq::tensor_view<const W, 4>& w,
                                     const std::vector<std::int32_t>& w_zero,
                                     const std::vector<std::int32_t>& bias) {
  std::vector<std::int32_t> all;
  const auto size = p.y();
  const index_type in_group = p.channels / p.groups, out_group = p.outputs / p.groups;
  for (index_type n = 0; n < size[0]; ++n) {
    for (index_type o = 0; o < size[1]; ++o) {
      for (index_type oy = 0; oy < size[2]; ++oy) {
        for (index_type ox = 0; ox < size[3]; ++ox) {
          std::int64_t sum = bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
          const std::int32_t zero =
              w_zero.empty() ? 0 : w_zero[w_zero.size() == 1 ? 0 : static_cast<std::size_t>(o)];
          for (index_type c = 0; c < in_group; ++c) {
            for (index_type i = 0; i < p.kernel_height; ++i) {
              for (index_type j = 0; j < p.kernel_width; ++j) {
                const index_type iy = oy * p.window.stride.height - p.window.padding.top +
                                      i * p.window.dilation.height;
                const index_type ix = ox * p.window.stride.width - p.window.padding.left +
                                      j * p.window.dilation.width;
                if (iy < 0 || ix < 0 || iy >= p.height || ix >= p.width) continue;
                sum += std::int64_t{x(n, o / out_group * in_group + c, iy, ix) - x_zero} *
                       (w(o, c, i, j) - zero);
              }
            }
          }
          all.push_back(static_cast<std::int32_t>(sum));
        }
      }
    }
  }
  return all;
}

class random {
 public:
  explicit random(unsigned seed) : engine_(seed) {}
  index_type between(index_type lowest, index_type highest) {
    return std::uniform_int_distribution<index_type>(lowest, highest)(engine_);
  }
  template <class T>
  void fill(std::vector<T>& values) {
    for (T& v : values) {
      v = static_cast<T>(between(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
  }
  template <class T>
  T code() {
    return static_cast<T>(between(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  }
  // Of activations: any code, the lowest (as after a ReLU), or 0.
  template <class T>
  T zero_point() {
    const index_type choice = between(0, 3);
    return choice == 0 ? std::numeric_limits<T>::min() : choice == 1 ? T{0} : code<T>();
  }
  // Small, and odd in every way: uneven padding, strides, dilation, groups, channels that fill no
  // register.
  problem convolution() {
    problem p;
    p.batch = between(1, 2);
    p.groups = between(0, 2) == 0 ? between(1, 5) : 1;
    const bool depthwise = between(0, 3) == 0;
    if (depthwise) p.groups = between(2, 70);
    p.channels = p.groups * (depthwise ? 1 : between(1, 9));
    p.outputs = p.groups * (depthwise ? 1 : between(1, between(0, 3) == 0 ? 80 : 20));
    p.kernel_height = between(1, 4);
    p.kernel_width = between(1, 4);
    if (between(0, 3) == 0) p.kernel_height = p.kernel_width = 1;
    p.window.stride = {between(1, 3), between(1, 3)};
    p.window.dilation = {between(1, 2), between(1, 2)};
    if (between(0, 2) != 0) {
      p.window.padding = {between(0, 2), between(0, 2), between(0, 2), between(0, 2)};
    }
    if (between(0, 2) == 0) p.window.stride = p.window.dilation = {1, 1};
    p.height = between(1, 7) + (p.kernel_height - 1) * p.window.dilation.height;
    p.width = between(1, 40) + (p.kernel_width - 1) * p.window.dilation.width;
    return p;
  }
  // A kernel for each channel, whole registers of them; padding that may reach beyond the image.
  problem depthwise() {
    problem p;
    p.batch = between(1, 2);
    p.groups = p.channels = p.outputs = 16 * between(1, 9);
    p.kernel_height = between(1, 6);
    p.kernel_width = between(1, 6);
    p.window.stride = {between(1, 2), between(1, 2)};
    const auto beyond = [&](index_type kernel) { return between(0, kernel + 1); };
    p.window.padding = {beyond(p.kernel_height), beyond(p.kernel_height), beyond(p.kernel_width),
                        beyond(p.kernel_width)};
    p.height = between(1, 7) + p.kernel_height - 1;
    p.width = between(1, between(0, 3) == 0 ? 90 : 12) + p.kernel_width - 1;
    return p;
  }

 private:
  std::mt19937 engine_;
};

// One convolution of random codes through the library, compared with the loops above. `zeros`: how
// many zero points the weights have: none, one (1), one for each output (2).
template <class X, class W, class E>
bool agrees(E execution, random& r, const problem& p, order of_x, index_type zeros,
            std::int32_t& status) {
  const auto any_order = [&] { return static_cast<order>(r.between(0, 2)); };
  tensor<X> x(of_x, p.x());
  tensor<W> w(any_order(), p.w());
  tensor<std::int32_t> y(any_order(), p.y());
  r.fill(x.data);
  r.fill(w.data);
  const auto x_zero = std::int32_t{r.zero_point<X>()};
  std::vector<std::int32_t> bias, w_zero;
  if (r.between(0, 1) == 0) bias.resize(static_cast<std::size_t>(p.outputs));
  for (auto& b : bias) b = static_cast<std::int32_t>(r.between(-100000, 100000));
  if (zeros == 1) w_zero = {std::int32_t{r.code<W>()}};
  if (zeros == 2) w_zero.resize(static_cast<std::size_t>(p.outputs));
  if (zeros == 2)
    for (auto& z : w_zero) z = std::int32_t{r.code<W>()};

  const vq::packed_sizes need = vq::packed_size(p.w(), p.groups);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const tensor<X>& input = x;
  const tensor<W>& weight = w;
  const auto packed = vq::pack_weights<W>(weight.view(), p.groups, codes, sums, w_zero);
  if (!packed) return false;
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::conv2d_workspace(execution, input.view(), *packed, p.window)));
  const vq::status s = vq::conv2d(execution, input.view(), x_zero, *packed, bias, p.window,
                                  vq::to_accumulators{}, y.view(), workspace);
  status = static_cast<std::int32_t>(s);
  const auto want = accumulate<X, W>(p, input.view(), x_zero, weight.view(), w_zero, bias);
  std::size_t i = 0;
  const auto size = p.y();
  std::vector<std::int32_t> got(want.size());
  for (index_type n = 0; n < size[0]; ++n) {
    for (index_type o = 0; o < size[1]; ++o) {
      for (index_type oy = 0; oy < size[2]; ++oy) {
        for (index_type ox = 0; ox < size[3]; ++ox) got[i++] = y.view()(n, o, oy, ox);
      }
    }
  }
  return s == vq::status::ok && got == want;
}
template <class X, class W, class E>
bool agrees(E execution, random& r, std::int32_t& status) {
  const problem p = r.convolution();
  const auto of_x = static_cast<order>(r.between(0, 2));
  return agrees<X, W>(execution, r, p, of_x, r.between(0, 2), status);
}

}  // namespace direct

#endif
