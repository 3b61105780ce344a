// Output stages behind random convolutions, for the reference and for every instruction set: each
// result is what the definition makes of the exact sum, wherever the output lies in memory.
#ifndef VQ_TESTS_NN_STAGES_HPP
#define VQ_TESTS_NN_STAGES_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <vq/nn.hpp>

#include "catch.hpp"
#include "direct.hpp"

namespace stages {

using vq::index_type;

// want(sum, channel, offset of the output from the first one).
template <class E, class X, class Stage, class Want>
void convolve(E e, direct::random& r, const direct::problem& p, const Stage& stage,
              const vq::tensor_view<typename Stage::output_type, 4>& y, const Want& want) {
  direct::tensor<X> x(direct::order::channels_last, p.x());
  direct::tensor<std::int8_t> w(direct::order::channels_first, p.w());
  r.fill(x.data);
  r.fill(w.data);
  const direct::tensor<X>& in = x;
  const direct::tensor<std::int8_t>& weight = w;
  const auto zero = std::int32_t{r.code<X>()};
  std::vector<std::int32_t> zeros;
  if (r.between(0, 3) == 0) zeros = {3};
  const vq::packed_sizes need = vq::packed_size(p.w(), p.groups);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto packed = vq::pack_weights<std::int8_t>(weight.view(), p.groups, codes, sums, zeros);
  REQUIRE(packed);
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::conv2d_workspace(e, in.view(), *packed, p.window)));
  const auto all = direct::accumulate<X, std::int8_t>(p, in.view(), zero, weight.view(), zeros, {});
  std::vector<typename Stage::output_type> expected;
  const auto size = p.y();
  const auto for_each_output = [&](auto f) {
    for (index_type n = 0; n < size[0]; ++n) {
      for (index_type o = 0; o < size[1]; ++o) {
        for (index_type i = 0; i < size[2]; ++i) {
          for (index_type j = 0; j < size[3]; ++j) f(o, &y(n, o, i, j));
        }
      }
    }
  };
  std::size_t at = 0;
  for_each_output([&](index_type o, const auto* place) {
    expected.push_back(want(all[at++], o, place - y.data_handle()));
  });
  REQUIRE(vq::conv2d(e, in.view(), zero, *packed, {}, p.window, stage, y, workspace) ==
          vq::status::ok);
  at = 0;
  for_each_output([&](index_type, const auto* place) { REQUIRE(*place == expected[at++]); });
}

inline direct::order any_order(direct::random& r) {
  return static_cast<direct::order>(r.between(0, 2));
}

// Powers of two give ties; 1 and more leave the range of the fast path.
inline std::vector<vq::float_multiplier> multipliers(direct::random& r, index_type channels) {
  std::vector<vq::float_multiplier> m(
      static_cast<std::size_t>(r.between(0, 3) == 0 ? 1 : channels));
  for (auto& k : m) {
    k.factor = r.between(0, 2) == 0 ? 0x1p-9f : 0.0001f * static_cast<float>(r.between(1, 90));
  }
  const index_type odd = r.between(0, 11);
  if (odd == 0) m[0].factor = 3e9f;
  if (odd == 1) m[0].factor = std::numeric_limits<float>::quiet_NaN();
  if (odd == 2) m[0].factor = -0.75f;
  return m;
}

// A product and a residual, each rounded to a float, their sum, and one rounding to a code; NaN is
// as low as can be.
template <class Code>
Code code_of_sum(float product, float residual, std::int32_t zero_point, std::int32_t lowest,
                 std::int32_t highest) {
  if (std::isnan(product)) return static_cast<Code>(lowest);
  const float sum = std::clamp(product, -2e6f, 2e6f) + residual;
  const double code = std::nearbyint(static_cast<double>(sum)) + zero_point;
  return static_cast<Code>(
      std::clamp(code, static_cast<double>(lowest), static_cast<double>(highest)));
}

template <class E, class X, class Code, class Addend>
void residuals(E e, direct::random& r) {
  const direct::problem p = r.convolution();
  const auto m = multipliers(r, p.outputs);
  direct::tensor<Code> y(any_order(r), p.y());
  std::vector<Addend> other(y.data.size());
  r.fill(other);
  const vq::affine_param out{0.03125f, std::int32_t{r.code<Code>()}};
  const vq::affine_param in{0.001f * static_cast<float>(r.between(1, 90)),
                            std::int32_t{r.code<Addend>()}};
  vq::to_codes<Code> product{.multipliers = m, .zero_point = out.zero_point};
  if (r.between(0, 1) == 0) product.codes = vq::relu(product.codes, out);
  if (r.between(0, 9) == 0) product.zero_point = r.between(0, 1) == 0 ? -1048500 : 1048500;
  std::vector<std::int32_t> highest(static_cast<std::size_t>(p.outputs));
  for (auto& h : highest) h = product.codes.lowest + static_cast<std::int32_t>(r.between(0, 90));
  if (r.between(0, 4) == 0) product.highest = highest;
  const auto want = [&](const auto& residual) {
    return [&](std::int32_t sum, index_type o, index_type offset) {
      const auto channel = static_cast<std::size_t>(o);
      const std::int32_t cut = product.highest.empty() ? 255 : highest[channel];
      const float steps =
          static_cast<float>(residual[static_cast<std::size_t>(offset)] - in.zero_point) *
          (in.scale / out.scale);
      return code_of_sum<Code>(static_cast<float>(sum) * m[m.size() == 1 ? 0 : channel].factor,
                               steps, product.zero_point, product.codes.lowest,
                               std::min(cut, product.codes.highest));
    };
  };
  if constexpr (std::is_same_v<Code, Addend>) {
    if (r.between(0, 2) == 0) {  // in place
      y.data = other;
      return convolve<E, X>(e, r, p, vq::adding(product, y.data.data(), in, out, y.data.data()),
                            y.view(), want(other));
    }
  }
  convolve<E, X>(e, r, p, vq::adding(product, other.data(), in, out, y.data.data()), y.view(),
                 want(other));
}

template <class E, class X, class Code>
void codes(E e, direct::random& r) {
  const direct::problem p = r.convolution();
  const auto m = multipliers(r, p.outputs);
  direct::tensor<Code> y(any_order(r), p.y());
  const vq::to_codes<Code> stage{.multipliers = m, .zero_point = std::int32_t{r.code<Code>()}};
  convolve<E, X>(e, r, p, stage, y.view(), [&](std::int32_t sum, index_type o, index_type) {
    const float factor = m[m.size() == 1 ? 0 : static_cast<std::size_t>(o)].factor;
    return code_of_sum<Code>(static_cast<float>(sum) * factor, 0.f, stage.zero_point,
                             stage.codes.lowest, stage.codes.highest);
  });
}

template <class E, class X>
void floats(E e, direct::random& r) {
  const direct::problem p = r.convolution();
  std::vector<float> scales(static_cast<std::size_t>(r.between(0, 1) == 0 ? 1 : p.outputs)), bias;
  if (r.between(0, 2) > 0) bias.resize(static_cast<std::size_t>(p.outputs));
  for (float& s : scales) s = 0.01f * static_cast<float>(r.between(-40, 90));
  for (float& b : bias) b = 0.1f * static_cast<float>(r.between(-900, 900));
  direct::tensor<float> y(any_order(r), p.y());
  const vq::to_float stage{.scales = scales, .bias = bias};
  convolve<E, X>(e, r, p, stage, y.view(), [&](std::int32_t sum, index_type o, index_type) {
    const auto channel = static_cast<std::size_t>(o);
    const float x = static_cast<float>(sum) * scales[scales.size() == 1 ? 0 : channel];
    return bias.empty() ? x : x + bias[channel];
  });
}

template <class E>
void all(E e, unsigned seed, int times) {
  direct::random r(seed);
  for (int i = 0; i < times; ++i) {
    CAPTURE(i);
    residuals<E, std::uint8_t, std::int8_t, std::int8_t>(e, r);
    residuals<E, std::int8_t, std::uint8_t, std::int8_t>(e, r);
    codes<E, std::uint8_t, std::int8_t>(e, r);
    floats<E, std::int8_t>(e, r);
  }
}

}  // namespace stages

#endif
