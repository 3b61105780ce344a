// Power-of-two factors: FQ-ViT's choices, and what integers make of them.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/calibrate/power_of_two_factor.hpp>
#include <vq/quant.hpp>

#include "golden/golden.hpp"

namespace {

using vq::index_type;
using uint8_codes = vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>;
using int8_codes = vq::uniform<8, vq::asymmetric>;

vq::range range_of(const std::vector<float>& x) {
  vq::range r = vq::empty_range;
  for (const float v : x) r = vq::hull(r, {v, v});
  return r;
}

vq::tensor_view<const float, 2> rows(const std::vector<float>& x, index_type channels) {
  return {x.data(), {static_cast<index_type>(x.size()) / channels, channels}};
}

// Channels whose deviations are powers of two.
std::vector<float> channels_of_all_widths(index_type tokens, index_type channels, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x;
  for (index_type i = 0; i < tokens * channels; ++i) {
    x.push_back(normal(random) * std::exp2(static_cast<float>(i % channels % 5)));
  }
  return x;
}

template <class Policy>
void compare(const golden::test_case& c) {
  const auto x = c.input<float>("x");
  const index_type channels = x.shape.back();
  vq::power_of_two_factors<Policy> seen({}, range_of(x.data), channels);
  REQUIRE(seen.add(rows(x.data, channels)) == vq::status::ok);
  const auto grid = seen.choose();
  REQUIRE(grid);
  const auto params = grid->params();
  std::vector<float> scales, factors, y(x.data.size());
  for (std::size_t i = 0; i < params.size(); ++i) {
    scales.push_back(params[i].scale);
    factors.push_back(std::exp2(static_cast<float>(grid->exponents[i])));
  }
  const vq::quantizer<Policy, vq::per_channel<1>> q;
  REQUIRE(vq::fake_quantize(q, rows(x.data, channels), params,
                            vq::tensor_view<float, 1>{
                                y.data(), {static_cast<index_type>(y.size())}}) == vq::status::ok);
  golden::check(c, "scale", scales);
  golden::check(c, "zero_point", std::vector{grid->finest.zero_point});
  golden::check(c, "factor", factors);
  golden::check(c, "y", y);
}

}  // namespace

TEST_CASE("power_of_two_factors: the grids of FQ-ViT", "[calibrate][golden]") {
  for (const golden::test_case& c : golden::cases("fqvit", "fqvit_ptf")) {
    if (c.params().at("signed").get<bool>()) {
      compare<int8_codes>(c);
    } else {
      compare<uint8_codes>(c);
    }
  }
}

TEST_CASE("power_of_two_factors: batches count together, and the data need not be kept",
          "[calibrate]") {
  constexpr index_type channels = 10;
  const auto x = channels_of_all_widths(90, channels, 1);
  const std::vector<float> first(x.begin(), x.begin() + 300), rest(x.begin() + 300, x.end());
  vq::power_of_two_factors<uint8_codes> whole({}, range_of(x), channels);
  vq::power_of_two_factors<uint8_codes> parts = whole;
  REQUIRE(whole.add(rows(x, channels)) == vq::status::ok);
  REQUIRE(parts.add(rows(first, channels)) == vq::status::ok);
  REQUIRE(parts.add(rows(rest, channels)) == vq::status::ok);
  CHECK(parts.choose()->exponents == whole.choose()->exponents);
  // By hand: deviations 1, 2, 4, 8, 16, whose widest channel has exponent 3.
  const std::vector<std::uint8_t> expected{0, 0, 1, 2, 3, 0, 0, 1, 2, 3};
  CHECK(whole.choose()->exponents == expected);
}

TEST_CASE("power_of_two_factors: shifted codes are the values, and LayerNorm needs no scale",
          "[calibrate]") {
  constexpr index_type channels = 20;
  const auto x = channels_of_all_widths(30, channels, 2);
  vq::power_of_two_factors<uint8_codes> seen({}, range_of(x), channels);
  REQUIRE(seen.add(rows(x, channels)) == vq::status::ok);
  const auto grid = *seen.choose();
  const auto params = grid.params();
  const double scale = grid.finest.scale, epsilon = 1e-6;
  for (std::size_t token = 0; token < 30; ++token) {
    std::vector<double> values, integers;
    for (std::size_t c = 0; c < channels; ++c) {
      const float code = uint8_codes{}.encode(x[token * channels + c], params[c]);
      const int shifted =
          (static_cast<int>(code) - grid.finest.zero_point) * (1 << grid.exponents[c]);
      values.push_back(uint8_codes{}.decode(code, params[c]));
      integers.push_back(shifted);
      CHECK(values.back() == Approx(scale * shifted).epsilon(1e-6));
    }
    const auto normalized = [](const std::vector<double>& v, double added, std::size_t at) {
      double mean = 0, variance = 0;
      for (const double e : v) mean += e / channels;
      for (const double e : v) variance += (e - mean) * (e - mean) / channels;
      return (v[at] - mean) / std::sqrt(variance + added);
    };
    for (std::size_t c = 0; c < channels; ++c) {
      CHECK(normalized(integers, epsilon / (scale * scale), c) ==
            Approx(normalized(values, epsilon, c)).margin(1e-6));
    }
  }
}

TEST_CASE("power_of_two_factors: less error than one step for all", "[calibrate]") {
  constexpr index_type channels = 20;
  const auto x = channels_of_all_widths(200, channels, 3);
  const vq::range whole = range_of(x);
  vq::power_of_two_factors<uint8_codes> seen({}, whole, channels);
  REQUIRE(seen.add(rows(x, channels)) == vq::status::ok);
  const auto params = seen.choose()->params();
  double factored = 0, one_step = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto error = [&](vq::affine_param p) {
      const double e = x[i] - uint8_codes{}.decode(uint8_codes{}.encode(x[i], p), p);
      return e * e;
    };
    factored += error(params[i % channels]);
    one_step += error(uint8_codes{}.fit(whole));
  }
  CHECK(factored < 0.5 * one_step);
}

TEST_CASE("power_of_two_factors: what is no data ends in a status", "[calibrate]") {
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  using factors = vq::power_of_two_factors<uint8_codes>;
  const std::vector<float> one_token{1, 2, 3, 4}, constant(8, 0.5f), zeros(8, 0.f),
      bad{1, not_a_number, 2, 3};
  factors seen({}, {-1, 4}, 4);
  CHECK(seen.choose().error() == vq::status::no_data);
  CHECK(seen.add(rows(bad, 4)) == vq::status::not_finite);
  CHECK(seen.add(rows(one_token, 2)) == vq::status::size_mismatch);
  CHECK(seen.add(vq::tensor_view<const float, 2>{nullptr, {0, 4}}) == vq::status::ok);
  CHECK(seen.choose().error() == vq::status::no_data);
  CHECK(seen.add(rows(one_token, 4)) == vq::status::ok);
  CHECK(seen.choose()->exponents.size() == 4);
  for (const auto& x : {constant, zeros}) {
    factors same({}, range_of(x), 4);
    REQUIRE(same.add(rows(x, 4)) == vq::status::ok);
    const auto p = same.choose()->params()[0];
    CHECK(uint8_codes{}.decode(uint8_codes{}.encode(x[0], p), p) == x[0]);
  }
  CHECK(factors({}, vq::empty_range, 4).add(rows(one_token, 4)) == vq::status::bad_argument);
  CHECK(factors({}, {0, not_a_number}, 4).choose().error() == vq::status::bad_argument);
  CHECK(factors({}, {0, 1}, 4, 16).choose().error() == vq::status::bad_argument);
}
