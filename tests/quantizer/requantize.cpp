#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <vq/policy/uniform.hpp>
#include <vq/quantizer/requantize.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

using vq::double_rounding;
using vq::fixed_multiplier;
using vq::float_multiplier;
using vq::single_rounding;

constexpr std::int32_t int32_min = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t int32_max = std::numeric_limits<std::int32_t>::max();

TEST_CASE("fixed multipliers: the two roundings of TFLite differ where they are known to",
          "[requantize]") {
  constexpr double m = 0.4802789503203011;  // 647131 * m = 310803.397
  constexpr auto twice = vq::quantize_multiplier<double_rounding>(m);
  constexpr auto once = vq::quantize_multiplier<single_rounding>(m);
  STATIC_REQUIRE(twice.multiplier == 2062782385);
  STATIC_REQUIRE(twice.shift == -1);
  STATIC_REQUIRE(vq::rescale(647131, twice) == 310804);
  STATIC_REQUIRE(vq::rescale(647131, once) == 310803);

  SECTION("ties of negative numbers go away from zero or up") {
    constexpr auto away = vq::quantize_multiplier<double_rounding>(0.25);
    constexpr auto up = vq::quantize_multiplier<single_rounding>(0.25);
    STATIC_REQUIRE(vq::rescale(-2, away) == -1);
    STATIC_REQUIRE(vq::rescale(-2, up) == 0);
    STATIC_REQUIRE(vq::rescale(-6, away) == -2);
    STATIC_REQUIRE(vq::rescale(-6, up) == -1);
  }
  SECTION("a half without a shift is rounded up by the high product") {
    constexpr auto half = vq::quantize_multiplier<double_rounding>(0.5);
    STATIC_REQUIRE(half.multiplier == 1 << 30);
    STATIC_REQUIRE(half.shift == 0);
    STATIC_REQUIRE(vq::rescale(-1, half) == 0);
    STATIC_REQUIRE(vq::rescale(1, half) == 1);
  }
}

TEST_CASE("fixed multipliers: extremes saturate or vanish", "[requantize]") {
  using vq::fixed_point::saturating_rounding_doubling_high_mul;
  STATIC_REQUIRE(saturating_rounding_doubling_high_mul(int32_min, int32_min) == int32_max);
  STATIC_REQUIRE(saturating_rounding_doubling_high_mul(int32_min, int32_max) == -int32_max);
  STATIC_REQUIRE(vq::fixed_point::rounding_divide_by_pot(int32_min, 31) == -1);
  STATIC_REQUIRE(vq::fixed_point::rounding_divide_by_pot(int32_max, 31) == 1);

  constexpr auto fourfold = vq::quantize_multiplier<>(4.0);
  STATIC_REQUIRE(vq::rescale(int32_max, fourfold) == 1 << 30);
  STATIC_REQUIRE(vq::rescale(int32_min, fourfold) == -(1 << 30));
  STATIC_REQUIRE(vq::rescale(int32_max, vq::quantize_multiplier<single_rounding>(4.0)) ==
                 int32_max);
  STATIC_REQUIRE(vq::quantize_multiplier<>(0.0).multiplier == 0);
  STATIC_REQUIRE(vq::quantize_multiplier<>(1e-300).multiplier == 0);
  STATIC_REQUIRE(vq::quantize_multiplier<>(0x1p-33).multiplier == 0);
  STATIC_REQUIRE(vq::quantize_multiplier<>(0x1p-32).shift == -31);
  STATIC_REQUIRE(vq::quantize_multiplier<>(1e30).multiplier == int32_max);
  STATIC_REQUIRE(vq::quantize_multiplier<>(1e30).shift == 30);
  // Rounds to 2^31 and is halved.
  STATIC_REQUIRE(vq::quantize_multiplier<>(1 - 0x1p-40).multiplier == 1 << 30);
  STATIC_REQUIRE(vq::quantize_multiplier<>(1 - 0x1p-40).shift == 1);
}

TEST_CASE("fixed multipliers: the nearest 31 bits, and a result within one of the real product",
          "[requantize]") {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> exponent(-12, 4);
  std::uniform_int_distribution<std::int32_t> accumulator(-(1 << 24), 1 << 24);
  int different = 0;
  for (int i = 0; i < 20000; ++i) {
    const double real = std::exp2(exponent(random));
    const auto twice = vq::quantize_multiplier<double_rounding>(real);
    const auto once = vq::quantize_multiplier<single_rounding>(real);
    REQUIRE(std::abs(twice.real() - real) <= real * 0x1p-31);
    const std::int32_t acc = accumulator(random);
    const double exact = acc * once.real();
    REQUIRE(std::abs(vq::rescale(acc, once) - exact) <= 0.5);
    REQUIRE(std::abs(vq::rescale(acc, twice) - exact) <= 1);
    different += vq::rescale(acc, once) != vq::rescale(acc, twice) ? 1 : 0;
  }
  CHECK(different > 500);  // so both are really implemented
}

TEST_CASE("float multiplier: halves to even, clamped as a float before it is rounded",
          "[requantize]") {
  constexpr float_multiplier half{0.5f};
  STATIC_REQUIRE(half.rescale(1, -128, 127) == 0);
  STATIC_REQUIRE(half.rescale(3, -128, 127) == 2);
  STATIC_REQUIRE(half.rescale(5, -128, 127) == 2);
  STATIC_REQUIRE(half.rescale(-1, -128, 127) == 0);
  STATIC_REQUIRE(half.rescale(-3, -128, 127) == -2);
  constexpr float_multiplier large{1e30f};
  CHECK(large.rescale(int32_max, -128, 127) == 127);
  CHECK(large.rescale(int32_min, -128, 127) == -128);
  STATIC_REQUIRE(large.rescale(0, -128, 127) == 0);
  constexpr float_multiplier undefined{std::numeric_limits<float>::quiet_NaN()};
  CHECK(undefined.rescale(5, -128, 127) == -128);
  STATIC_REQUIRE(float_multiplier::of(0.5f, 0.25f, 2.f).factor == 0.0625f);
}

TEST_CASE("find_multipliers: one for each weight scale, or the reason why not", "[requantize]") {
  const vq::affine_param x{0.02f, 3}, y{0.1f, -5};
  const std::array<vq::affine_param, 2> w{{{0.5f, 0}, {0.25f, 0}}};
  std::array<float_multiplier, 2> floats;
  REQUIRE(vq::find_multipliers<float_multiplier>(x, w, y, floats) == vq::status::ok);
  CHECK(floats[0].factor == 0.02f * 0.5f / 0.1f);
  CHECK(floats[1].factor == 0.02f * 0.25f / 0.1f);
  std::array<fixed_multiplier<>, 2> fixed;
  REQUIRE(vq::find_multipliers<fixed_multiplier<>>(x, w, y, fixed) == vq::status::ok);
  CHECK(fixed[1].real() == Approx(0.05).epsilon(1e-7));

  std::array<float_multiplier, 1> one;
  CHECK(vq::find_multipliers<float_multiplier>(x, w, y, one) == vq::status::too_few_params);
  CHECK(vq::find_multipliers<float_multiplier>(x, w, {0, 0}, floats) == vq::status::not_finite);
  CHECK(vq::find_multipliers<float_multiplier>({NAN, 0}, w, y, floats) == vq::status::not_finite);
}

TEST_CASE("quantize_bias: in units of the accumulator; what does not fit is refused with a remedy",
          "[requantize]") {
  const vq::affine_param x{0.02f, 7};
  const std::array<float, 2> bias{0.5f, -0.25f};
  std::array<std::int32_t, 2> codes{};

  SECTION("halves go to the even code") {
    const std::array<vq::affine_param, 2> w{{{1.f, 0}, {1.f, 0}}};
    const std::array<float, 2> ties{1.25f, 1.75f};
    REQUIRE(vq::quantize_bias(ties, {0.5f, 0}, w, codes) == vq::status::ok);
    CHECK(codes == std::array<std::int32_t, 2>{2, 4});  // 2.5 and 3.5
  }
  SECTION("one weight scale serves all outputs") {
    const std::array<vq::affine_param, 1> w{{{0.5f, 0}}};
    REQUIRE(vq::quantize_bias(bias, x, w, codes) == vq::status::ok);
    CHECK(codes == std::array<std::int32_t, 2>{50, -25});
  }
  SECTION("a tiny weight scale overflows; the smallest one that is allowed does not") {
    std::array<vq::affine_param, 2> w{{{1e-9f, 0}, {0.5f, 0}}};  // 0.5 / 2e-11 = 2.5e10
    CHECK(vq::quantize_bias(bias, x, w, codes) == vq::status::overflow);
    w[0].scale = vq::smallest_weight_scale(bias[0], x);
    REQUIRE(vq::quantize_bias(bias, x, w, codes) == vq::status::ok);
    CHECK(codes[0] == Approx(1 << 30).epsilon(1e-6));
  }
  SECTION("wrong data") {
    const std::array<vq::affine_param, 1> w{{{0.5f, 0}}};
    const std::array<float, 2> infinite{INFINITY, 0.f};
    CHECK(vq::quantize_bias(infinite, x, w, codes) == vq::status::not_finite);
    CHECK(vq::quantize_bias(bias, {0, 0}, w, codes) == vq::status::not_finite);
    CHECK(vq::quantize_bias(bias, x, {}, codes) == vq::status::too_few_params);
    CHECK(vq::quantize_bias(bias, x, w, std::span(codes).first(1)) == vq::status::too_few_params);
  }
}

TEST_CASE("output stages: activations are limits of the codes", "[requantize]") {
  constexpr vq::affine_param y{0.1f, -28};
  constexpr auto all = vq::uniform<8, vq::asymmetric>::limits;
  STATIC_REQUIRE(vq::relu(all, y).lowest == -28);
  STATIC_REQUIRE(vq::relu(all, y).highest == 127);
  STATIC_REQUIRE(vq::relu6(all, y).highest == 32);  // 6 / 0.1 - 28
  STATIC_REQUIRE(vq::relu6(all, {0.01f, 0}).highest == 127);

  static constexpr float_multiplier m[2] = {{0.5f}, {2.f}};
  vq::to_codes<std::int8_t> stage{.multipliers = m, .zero_point = -28, .codes = vq::relu6(all, y)};
  CHECK(stage.check(2) == vq::status::ok);
  CHECK(stage(10, 0) == -23);
  CHECK(stage(10, 1) == -8);
  CHECK(stage(-10, 1) == -28);
  CHECK(stage(1000, 1) == 32);

  SECTION("single channels may be cut lower, never higher") {
    static constexpr std::int32_t highest[2] = {0, 100};
    stage.highest = highest;
    CHECK(stage.check(2) == vq::status::ok);
    CHECK(stage(1000, 0) == 0);
    CHECK(stage(1000, 1) == 32);
  }
  SECTION("what does not fit the channels or the codes is refused") {
    CHECK(stage.check(3) == vq::status::too_few_params);
    static constexpr std::int32_t highest[3] = {0, 1, 2};
    stage.highest = std::span(highest).first(2);
    stage.multipliers = std::span(m).first(1);
    CHECK(stage.check(3) == vq::status::too_few_params);
    stage.highest = {};
    CHECK(stage.check(3) == vq::status::ok);
    stage.codes.highest = 128;
    CHECK(stage.check(3) == vq::status::bad_argument);
    stage.codes.highest = 127;
    stage.zero_point = 1 << 24;
    CHECK(stage.check(3) == vq::status::bad_argument);
  }
  SECTION("floats and accumulators") {
    static constexpr float scales[2] = {0.5f, 0.25f}, bias[2] = {1.f, -1.f};
    constexpr vq::to_float plain{.scales = scales};
    constexpr vq::to_float biased{.scales = scales, .bias = bias};
    STATIC_REQUIRE(plain(3, 1) == 0.75f);
    STATIC_REQUIRE(biased(3, 1) == -0.25f);
    CHECK(biased.check(3) == vq::status::too_few_params);
    STATIC_REQUIRE(vq::to_accumulators{}(7, 5) == 7);
  }
}

TEST_CASE("requantize: takes tensors in any memory order, channel by channel", "[requantize]") {
  constexpr vq::index_type n = 2, c = 70, h = 2, w = 3;
  std::vector<std::int32_t> acc(n * c * h * w);
  for (std::size_t i = 0; i < acc.size(); ++i) acc[i] = static_cast<std::int32_t>(i) - 300;
  std::vector<float_multiplier> m(c);
  for (std::size_t i = 0; i < m.size(); ++i) m[i].factor = 0.01f * static_cast<float>(i + 1);
  const vq::to_codes<std::int8_t> stage{.multipliers = m, .zero_point = 3};

  const vq::tensor_view<const std::int32_t, 4> planar{acc.data(), {n, c, h, w}};
  std::vector<std::int8_t> out(acc.size());
  const vq::tensor_view<std::int8_t, 4> channels_last{
      out.data(), {n, c, h, w}, {h * w * c, 1, w * c, c}};
  REQUIRE(vq::requantize(planar, stage, channels_last) == vq::status::ok);
  for (vq::index_type i = 0; i < n; ++i) {
    for (vq::index_type k = 0; k < c; ++k) {
      const double real = planar(i, k, 1, 2) * (0.01 * static_cast<double>(k + 1));
      const double code = std::min(127.0, std::max(-128.0, std::nearbyint(real) + 3));
      REQUIRE(std::abs(channels_last(i, k, 1, 2) - code) <= 1);  // 1: m is not exact
      REQUIRE(channels_last(i, k, 1, 2) == stage(planar(i, k, 1, 2), k));
    }
  }
  const vq::tensor_view<std::int8_t, 4> other{out.data(), {n, c, w, h}};
  CHECK(vq::requantize(planar, stage, other) == vq::status::size_mismatch);
  m.resize(c - 1);
  const vq::to_codes<std::int8_t> too_short{.multipliers = m};
  CHECK(vq::requantize(planar, too_short, channels_last) == vq::status::too_few_params);
}

TEST_CASE("golden: fixed-point requantization of gemmlowp and TFLite", "[golden][requantize]") {
  for (const golden::test_case& c : golden::cases("requant")) {
    std::vector<std::int32_t> y, shifts;
    if (c.op() == "srdhm" || c.op() == "half_sum") {
      const auto a = c.input<std::int32_t>("a").data, b = c.input<std::int32_t>("b").data;
      for (std::size_t i = 0; i < a.size(); ++i) {
        y.push_back(c.op() == "srdhm"
                        ? vq::fixed_point::saturating_rounding_doubling_high_mul(a[i], b[i])
                        : vq::fixed_point::rounding_half_sum(a[i], b[i]));
      }
      golden::check(c, "y", y);
    } else if (c.op() == "rdbp") {
      const auto x = c.input<std::int32_t>("x").data, e = c.input<std::int32_t>("exponent").data;
      for (std::size_t i = 0; i < x.size(); ++i) {
        y.push_back(vq::fixed_point::rounding_divide_by_pot(x[i], e[i]));
      }
      golden::check(c, "y", y);
    } else if (c.op() == "quantize_multiplier") {
      const bool once = c.params().at("rounding").get<std::string>().starts_with("single");
      for (const double real : c.input<double>("real").data) {
        const auto twice = vq::quantize_multiplier<double_rounding>(real);
        const auto single = vq::quantize_multiplier<single_rounding>(real);
        y.push_back(once ? single.multiplier : twice.multiplier);
        shifts.push_back(once ? single.shift : twice.shift);
      }
      golden::check(c, "multiplier", y);
      golden::check(c, "shift", shifts);
    } else if (c.op() == "mbqm32" || c.op() == "mbqm64") {
      const auto x = c.input<std::int64_t>("x").data;
      const auto m = c.input<std::int32_t>("multiplier").data;
      const auto shift = c.input<int>("shift").data;
      const bool once = c.params().value("rounding", "") == "single";
      for (std::size_t i = 0; i < x.size(); ++i) {
        const fixed_multiplier<double_rounding> twice{m[i], shift[i]};
        const fixed_multiplier<single_rounding> single{m[i], shift[i]};
        const auto narrow = static_cast<std::int32_t>(x[i]);
        y.push_back(c.op() == "mbqm64" ? vq::rescale(x[i], twice)
                    : once             ? vq::rescale(narrow, single)
                                       : vq::rescale(narrow, twice));
      }
      golden::check(c, "y", y);
    }
    // TFLite's kernels and gemmlowp's functions are in tests/nn.
  }
}
