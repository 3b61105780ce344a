// Layers computed by their definition, in double, for the tests of folding: what a fold must not
// change. Maps are (N, C, H, W), row-major.
#ifndef VQ_TESTS_FOLD_LAYERS_HPP
#define VQ_TESTS_FOLD_LAYERS_HPP

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include <vq/fold.hpp>

namespace layers {

using vq::index_type;
using shape4 = vq::shape_type<4>;

struct map {
  shape4 shape{};
  std::vector<double> data;

  explicit map(const shape4& s) : shape(s), data(std::size_t(vq::volume(s))) {}
  template <class T>
  map(const shape4& s, const std::vector<T>& values)
      : shape(s), data(values.begin(), values.end()) {}
  double& operator()(index_type n, index_type c, index_type y, index_type x) {
    return data[std::size_t(((n * shape[1] + c) * shape[2] + y) * shape[3] + x)];
  }
  double operator()(index_type n, index_type c, index_type y, index_type x) const {
    return const_cast<map&>(*this)(n, c, y, x);
  }
};

// `padding` and the others along (height, width).
struct options {
  std::array<index_type, 2> stride{1, 1}, padding{0, 0}, dilation{1, 1}, output_padding{0, 0};
  index_type groups = 1;
};

// Calls f(n, o, oy, ox, i, iy, ix, j, ky, kx) for every product of a convolution of `input` (or,
// transposed, of `output`) in the channel j of its group.
template <class F>
void for_each_product(const shape4& input, const shape4& output, const shape4& kernel,
                      const options& how, F f) {
  const index_type rows = kernel[0] / how.groups, columns = kernel[1];
  for (index_type n = 0; n < output[0]; ++n)
    for (index_type o = 0; o < kernel[0]; ++o)
      for (index_type oy = 0; oy < output[2]; ++oy)
        for (index_type ox = 0; ox < output[3]; ++ox)
          for (index_type j = 0; j < columns; ++j)
            for (index_type ky = 0; ky < kernel[2]; ++ky)
              for (index_type kx = 0; kx < kernel[3]; ++kx) {
                const index_type iy = oy * how.stride[0] - how.padding[0] + ky * how.dilation[0];
                const index_type ix = ox * how.stride[1] - how.padding[1] + kx * how.dilation[1];
                if (iy < 0 || ix < 0 || iy >= input[2] || ix >= input[3]) continue;
                f(n, o, oy, ox, o / rows * columns + j, iy, ix, j, ky, kx);
              }
}

// weight (O, I/g, KH, KW).
template <class View>
map convolution(const map& x, const View& weight, const std::vector<float>& bias,
                const options& how = {}) {
  const shape4 k = weight.extents();
  const auto size = [&](int axis) {
    const auto a = std::size_t(axis);
    return (x.shape[a + 2] + 2 * how.padding[a] - how.dilation[a] * (k[a + 2] - 1) - 1) /
               how.stride[a] +
           1;
  };
  map y({x.shape[0], k[0], size(0), size(1)});
  for (index_type n = 0; n < y.shape[0]; ++n)
    for (index_type o = 0; o < y.shape[1]; ++o)
      for (index_type oy = 0; oy < y.shape[2]; ++oy)
        for (index_type ox = 0; ox < y.shape[3]; ++ox)
          y(n, o, oy, ox) = bias.empty() ? 0.0 : double(bias[std::size_t(o)]);
  for_each_product(
      x.shape, y.shape, k, how,
      [&](auto n, auto o, auto oy, auto ox, auto i, auto iy, auto ix, auto j, auto ky, auto kx) {
        y(n, o, oy, ox) += x(n, i, iy, ix) * double(weight(o, j, ky, kx));
      });
  return y;
}

// weight (I, O/g, KH, KW): the transpose of a convolution from its output map to its input map.
template <class View>
map transposed_convolution(const map& x, const View& weight, const std::vector<float>& bias,
                           const options& how = {}) {
  const shape4 k = weight.extents();
  const auto size = [&](int axis) {
    const auto a = std::size_t(axis);
    return (x.shape[a + 2] - 1) * how.stride[a] - 2 * how.padding[a] +
           how.dilation[a] * (k[a + 2] - 1) + how.output_padding[a] + 1;
  };
  map y({x.shape[0], k[1] * how.groups, size(0), size(1)});
  for (index_type n = 0; n < y.shape[0]; ++n)
    for (index_type o = 0; o < y.shape[1]; ++o)
      for (index_type oy = 0; oy < y.shape[2]; ++oy)
        for (index_type ox = 0; ox < y.shape[3]; ++ox)
          y(n, o, oy, ox) = bias.empty() ? 0.0 : double(bias[std::size_t(o)]);
  for_each_product(
      y.shape, x.shape, k, how,
      [&](auto n, auto i, auto iy, auto ix, auto o, auto oy, auto ox, auto j, auto ky, auto kx) {
        y(n, o, oy, ox) += x(n, i, iy, ix) * double(weight(i, j, ky, kx));
      });
  return y;
}

inline map batch_norm(map x, const vq::batch_norm& bn) {
  const index_type area = x.shape[2] * x.shape[3];
  for (std::size_t at = 0; at < x.data.size(); ++at) {
    const auto c = std::size_t(index_type(at) / area % x.shape[1]);
    const double gamma = bn.gamma.empty() ? 1.0 : double(bn.gamma[c]);
    const double beta = bn.beta.empty() ? 0.0 : double(bn.beta[c]);
    x.data[at] = gamma * (x.data[at] - double(bn.mean[c])) /
                     std::sqrt(double(bn.variance[c]) + double(bn.epsilon)) +
                 beta;
  }
  return x;
}

inline map apply(map x, const std::function<double(double)>& f) {
  std::transform(x.data.begin(), x.data.end(), x.data.begin(), f);
  return x;
}
inline double relu(double x) { return x > 0 ? x : 0; }
inline double relu6(double x) { return x < 0 ? 0 : x > 6 ? 6 : x; }

inline double largest(const map& x) {
  double most = 0;
  for (double v : x.data) most = std::max(most, std::abs(v));
  return most;
}
inline double distance(const map& a, const map& b) {
  if (a.shape != b.shape) return HUGE_VAL;
  double most = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    most = std::max(most, std::abs(a.data[i] - b.data[i]));
  }
  return most;
}

inline std::vector<float> random_values(index_type count, unsigned seed, float lowest = -1,
                                        float highest = 1) {
  std::mt19937 source(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) {
    v = lowest + (highest - lowest) * float(source() >> 8) * 0x1p-24f;
  }
  return values;
}

inline map random_map(const shape4& shape, unsigned seed, float lowest = -1, float highest = 1) {
  return {shape, random_values(vq::volume(shape), seed, lowest, highest)};
}

// Statistics such as training leaves: gamma of both signs, variances over two decades.
struct trained_batch_norm {
  std::vector<float> gamma, beta, mean, variance;
  float epsilon = 1e-3f;

  trained_batch_norm(index_type channels, unsigned seed)
      : gamma(random_values(channels, seed, -1.5f, 1.5f)),
        beta(random_values(channels, seed + 1)),
        mean(random_values(channels, seed + 2)),
        variance(random_values(channels, seed + 3, 0.05f, 5)) {}
  operator vq::batch_norm() const {
    return {.gamma = gamma, .beta = beta, .mean = mean, .variance = variance, .epsilon = epsilon};
  }
};

}  // namespace layers

#endif
