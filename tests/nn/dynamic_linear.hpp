// A dynamic linear layer, with memory of its own and as its definition says, for the tests of nn and
// of the wide kernels.
#ifndef VQ_TESTS_NN_DYNAMIC_LINEAR_HPP
#define VQ_TESTS_NN_DYNAMIC_LINEAR_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <vq/nn.hpp>

#include "catch.hpp"
#include "direct.hpp"

namespace dynamic {

using vq::index_type;

inline float& element(std::vector<float>& all, index_type i) {
  return all[static_cast<std::size_t>(i)];
}

// Random rows of very different ranges, some of them all zeros, and weights of one type of codes.
template <class W>
struct problem {
  index_type rows, inputs, outputs;
  std::vector<float> x, scales, bias;
  std::vector<W> w;
  std::vector<std::int32_t> zero_points;  // of the weights: none, one, or one for each output

  problem(direct::random& r, index_type most_rows, index_type most)
      : rows(r.between(1, most_rows)), inputs(r.between(1, most)), outputs(r.between(1, most)) {
    for (index_type m = 0; m < rows; ++m) {
      const float step = 0.001f * static_cast<float>(r.between(0, 40) * r.between(0, 40));
      const index_type shift = r.between(-300, 300);
      for (index_type k = 0; k < inputs; ++k) {
        x.push_back(step * static_cast<float>(r.between(-300, 300) + shift));
      }
    }
    w.resize(static_cast<std::size_t>(inputs * outputs));
    r.fill(w);
    scales.resize(static_cast<std::size_t>(r.between(0, 2) == 0 ? 1 : outputs));
    for (float& s : scales) s = 0.0001f * static_cast<float>(r.between(1, 900));
    if (r.between(0, 2) > 0) bias.resize(static_cast<std::size_t>(outputs));
    for (float& b : bias) b = 0.1f * static_cast<float>(r.between(-90, 90));
    const index_type zeros = r.between(0, 3);
    if (zeros == 0) zero_points = {5};
    if (zeros == 1) zero_points.resize(static_cast<std::size_t>(outputs));
    for (std::int32_t& z : zero_points) z = static_cast<std::int32_t>(r.between(-100, 100));
  }

  vq::tensor_view<const float, 2> view() const { return {x.data(), {rows, inputs}}; }
  float scale(index_type o) const {
    return scales[scales.size() == 1 ? 0 : static_cast<std::size_t>(o)];
  }
  std::int32_t weight(index_type o, index_type k) const {
    const std::int32_t zero =
        zero_points.empty()
            ? 0
            : zero_points[zero_points.size() == 1 ? 0 : static_cast<std::size_t>(o)];
    return w[static_cast<std::size_t>(o * inputs + k)] - zero;
  }
};

template <class E, class W, class P = vq::serial_t>
vq::status run(E e, const problem<W>& p, const vq::tensor_view<const float, 2>& x,
               const vq::tensor_view<float, 2>& y, const P& parallel = {}) {
  const vq::shape_type<2> shape{p.outputs, p.inputs};
  const auto need = vq::packed_size(shape);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto w = vq::pack_weights<W>(vq::tensor_view<const W, 2>{p.w.data(), shape}, codes, sums,
                                     p.zero_points);
  REQUIRE(w);
  std::vector<std::byte> workspace(static_cast<std::size_t>(
      vq::linear_workspace(e, vq::dynamic_int8, x, *w, parallel.workers())));
  return vq::linear(e, vq::dynamic_int8, x, *w, p.scales, p.bias, y, workspace, parallel);
}
template <class E, class W>
std::vector<float> outputs(E e, const problem<W>& p) {
  std::vector<float> y(static_cast<std::size_t>(p.rows * p.outputs), -7.f);
  REQUIRE(run(e, p, p.view(), {y.data(), {p.rows, p.outputs}}) == vq::status::ok);
  return y;
}

// Row by row: a grid of 256 steps from the least value to the largest one, both widened to hold 0;
// the sum in int64; then the four float operations of the layer.
template <class W>
std::vector<float> definition(const problem<W>& p) {
  std::vector<float> y;
  for (index_type m = 0; m < p.rows; ++m) {
    const float* const x = p.x.data() + m * p.inputs;
    const float least = std::min(0.f, *std::min_element(x, x + p.inputs));
    const float most = std::max(0.f, *std::max_element(x, x + p.inputs));
    const auto range = static_cast<double>(most) - static_cast<double>(least);
    const float scale = range > 0 ? static_cast<float>(range / 255) : 1.f;
    const double zero = range > 0 ? std::nearbyint(static_cast<double>(least) / (range / -255)) : 0;
    const float reciprocal = 1 / scale;
    for (index_type o = 0; o < p.outputs; ++o) {
      std::int64_t sum = 0;
      for (index_type k = 0; k < p.inputs; ++k) {
        const double steps = static_cast<double>(std::nearbyint(x[k] * reciprocal));
        const double code = std::clamp(steps + zero, 0., 255.) - zero;
        sum += static_cast<std::int64_t>(code) * p.weight(o, k);
      }
      const float product = static_cast<float>(sum) * p.scale(o) * scale;
      y.push_back(p.bias.empty() ? product : product + p.bias[static_cast<std::size_t>(o)]);
    }
  }
  return y;
}

}  // namespace dynamic

#endif
