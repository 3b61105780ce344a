#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <vq/nn/planar_linear.hpp>
#include <vq/quant.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

// What a code counts is what the policy decodes.
template <class Policy>
void planes_hold_values(const Policy& policy, typename Policy::param_type param,
                        const vq::code_planes& planes) {
  for (int c = 0; c < (1 << Policy::bits); ++c) {
    const double value = planes.value(c);
    CAPTURE(c, Policy::name);
    CHECK(value == Approx(policy.decode(static_cast<float>(c), param)).epsilon(1e-6).margin(1e-12));
  }
}

struct layer {
  index_type outputs, inputs;
  std::vector<std::int8_t> weight, packed;
  std::vector<std::int32_t> sums;
  vq::packed_weights view;

  layer(index_type out, index_type in) : outputs(out), inputs(in) {
    std::mt19937 random(9);
    for (index_type i = 0; i < out * in; ++i) {
      weight.push_back(static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127));
    }
    const auto need = vq::packed_size(vq::shape_type<2>{out, in});
    packed.resize(static_cast<std::size_t>(need.codes));
    sums.resize(static_cast<std::size_t>(need.sums));
    view = *vq::pack_weights<std::int8_t>(
        vq::tensor_view<const std::int8_t, 2>{weight.data(), {out, in}}, packed, sums);
  }
};

// Against the sum of the planes' values in double, and the same floats for both executions.
template <class Policy>
void matches_values_of_planes(const vq::code_planes& planes) {
  constexpr index_type rows = 5, inputs = 65, outputs = 70;
  const layer l(outputs, inputs);
  std::mt19937 random(10);
  std::vector<std::uint8_t> x(rows * inputs);
  for (auto& code : x) code = static_cast<std::uint8_t>(random() % (1u << Policy::bits));
  std::vector<float> scales(outputs), bias(outputs, 0.5f), y(rows * outputs), wide(y);
  for (std::size_t o = 0; o < scales.size(); ++o)
    scales[o] = 0.01f + 0.001f * static_cast<float>(o);
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::planar_linear_workspace(vq::simd::native, rows, l.view)));
  REQUIRE(vq::planar_linear(vq::scalar, x, rows, planes, l.view, scales, bias, y, workspace) ==
          vq::status::ok);
  REQUIRE(vq::planar_linear(vq::simd::native, x, rows, planes, l.view, scales, bias, wide,
                            workspace) == vq::status::ok);
  CHECK(y == wide);
  for (index_type m = 0; m < rows; ++m) {
    for (index_type o = 0; o < outputs; ++o) {
      double sum = 0, magnitude = 0;
      for (index_type k = 0; k < inputs; ++k) {
        const double product = planes.value(x[static_cast<std::size_t>(m * inputs + k)]) *
                               l.weight[static_cast<std::size_t>(o * inputs + k)];
        sum += product;
        magnitude += std::fabs(product);
      }
      const double scale = scales[static_cast<std::size_t>(o)];
      const double error = y[static_cast<std::size_t>(m * outputs + o)] - (sum * scale + 0.5);
      CHECK(std::fabs(error) <= 1e-6 * (magnitude * scale + 0.5));
    }
  }
}

template <class Policy>
void check(const Policy& policy, typename Policy::param_type param, const vq::code_planes& planes) {
  planes_hold_values(policy, param, planes);
  matches_values_of_planes<Policy>(planes);
}

}  // namespace

TEST_CASE("planar_linear: the product of what the codes stand for", "[nn]") {
  const vq::twin_uniform<4> twin_4;
  const vq::twin_uniform<8> twin_8;
  const vq::twin_uniform<8, vq::two_sided> gelu_8;
  const vq::log2_scale<4> log2_4;
  const vq::log_sqrt2_scale<4> log_sqrt2_4;
  CHECK(vq::planes_of(twin_4, {0.1f, 3}).count == 1);
  CHECK(vq::planes_of(twin_8, {0.1f, 5}).count == 2);
  check(twin_4, {0.1f, 3}, vq::planes_of(twin_4, {0.1f, 3}));
  check(twin_8, {0.01f, 5}, vq::planes_of(twin_8, {0.01f, 5}));
  check(gelu_8, {0.04f, 4}, vq::planes_of(gelu_8, {0.04f, 4}));
  check(log2_4, {0.7f}, *vq::planes_of(log2_4, {0.7f}));
  check(log_sqrt2_4, {0.7f}, *vq::planes_of(log_sqrt2_4, {0.7f}));
  matches_values_of_planes<vq::adaptive_log<4>>(
      *vq::planes_of(vq::adaptive_log<4>{}, {3.f, 16, 0.17f}));
}

TEST_CASE("planar_linear: any values as 16-bit fractions, within 2^-16 of the largest", "[nn]") {
  const auto within = [](const auto& policy, auto param, const vq::code_planes& planes) {
    double largest = 0;
    for (int c = 0; c < (1 << policy.bits); ++c) {
      largest = std::max(largest, double{policy.decode(static_cast<float>(c), param)});
    }
    for (int c = 0; c < (1 << policy.bits); ++c) {
      const double value = planes.value(c);
      const double exact = policy.decode(static_cast<float>(c), param);
      CHECK(std::fabs(value - exact) <= largest * 0x1.01p-16);
    }
  };
  const vq::adaptive_log<4> log_4;
  const vq::adaptive_log<8> log_8;
  const vq::log2_scale<6> log2_6;
  const vq::adaptive_log_param p{0.7f, 20, 0}, fine{1.f, 3, 0}, gelu{3.f, 16, 0.17f};
  within(log_4, p, *vq::planes_of(log_4, p));
  within(log_8, fine, *vq::planes_of(log_8, fine));
  within(log_4, gelu, *vq::planes_of(log_4, gelu));
  within(log2_6, vq::scale_param{0.3f}, *vq::fixed_point_planes(log2_6, {0.3f}));
  CHECK(vq::fixed_point_planes(log_4, gelu).error() == vq::status::bad_argument);
  const vq::twin_uniform<4, vq::two_sided> with_negatives;
  CHECK(vq::fixed_point_planes(with_negatives, {}).error() == vq::status::bad_argument);
}

TEST_CASE("planar_linear: refuses what does not fit", "[nn]") {
  CHECK(vq::planes_of(vq::log2_scale<6>{}, {1.f}).error() == vq::status::bad_argument);
  const layer l(4, 8);
  const vq::code_planes planes = vq::planes_of(vq::twin_uniform<4>{}, {0.1f, 2});
  std::vector<std::uint8_t> x(16);
  std::vector<float> scales(4, 1.f), y(8);
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::planar_linear_workspace(vq::scalar, 2, l.view)));
  const auto run = [&](auto... changed) {
    return vq::planar_linear(vq::scalar, x, 2, planes, l.view, scales, {}, y, changed...);
  };
  CHECK(run(std::span(workspace)) == vq::status::ok);
  CHECK(run(std::span(workspace).first(3)) == vq::status::too_little_workspace);
  scales.resize(3);
  CHECK(run(std::span(workspace)) == vq::status::too_few_params);
  scales.resize(4);
  y.resize(7);
  CHECK(run(std::span(workspace)) == vq::status::size_mismatch);
}
