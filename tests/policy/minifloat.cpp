#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include <vq/core/half.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/policy/minifloat.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/quantize.hpp>

#include "catch.hpp"
#include "golden/float_formats.hpp"

namespace {

using vq::e2m1;
using vq::e4m3;
using vq::e5m2;
using vq::e8m0;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr vq::scale_param unit{};

using e4m3_overflowing = vq::minifloat<4, 3, vq::nan_only, vq::overflowing>;
using e5m2_overflowing = vq::minifloat<5, 2, vq::ieee_specials, vq::overflowing>;

float e8m0_to_float(std::uint32_t pattern) {
  return e8m0::from_bits(static_cast<std::uint8_t>(pattern)).to_float();
}

}  // namespace

TEST_CASE("minifloat: constants of the specifications", "[policy]") {
  STATIC_REQUIRE(e4m3::format::bias == 7);
  STATIC_REQUIRE(e5m2::format::bias == 15);
  STATIC_REQUIRE(vq::e4m3fnuz::format::bias == 8);
  STATIC_REQUIRE(vq::e5m2fnuz::format::bias == 16);
  STATIC_REQUIRE(vq::e4m3fnuz::largest == 240);
  STATIC_REQUIRE(vq::e5m2fnuz::largest == 57344);
  STATIC_REQUIRE(vq::e3m2::largest == 28);
  STATIC_REQUIRE(vq::e2m3::largest == 7.5f);
  STATIC_REQUIRE(e4m3::format::to_float(0x01) == 0x1p-9f);  // smallest subnormal
  STATIC_REQUIRE(e4m3::format::to_float(0x08) == 0x1p-6f);  // smallest normal
  STATIC_REQUIRE(e5m2::format::to_float(0x01) == 0x1p-16f);
  STATIC_REQUIRE(e5m2::format::to_float(0x7c) == infinity);
  STATIC_REQUIRE(e5m2::format::to_float(0xfc) == -infinity);
}

TEST_CASE("minifloat: e2m1 has eight magnitudes", "[policy]") {
  constexpr float magnitudes[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  for (std::uint32_t code = 0; code < 8; ++code) {
    CHECK(e2m1::format::to_float(code) == magnitudes[code]);
    CHECK(e2m1::format::to_float(code + 8) == -magnitudes[code]);
  }
  CHECK(std::signbit(e2m1::format::to_float(8)));
}

TEST_CASE("minifloat: halves go to the even code, subnormals included", "[policy]") {
  constexpr e4m3 p;
  STATIC_REQUIRE(p.encode(1.0625f, unit) == 0x38);  // between 1 (0x38) and 1.125 (0x39)
  STATIC_REQUIRE(p.encode(1.1875f, unit) == 0x3a);  // between 1.125 (0x39) and 1.25 (0x3a)
  STATIC_REQUIRE(p.encode(0x1p-10f, unit) == 0x00);
  STATIC_REQUIRE(p.encode(0x3p-10f, unit) == 0x02);
  STATIC_REQUIRE(p.encode(0x1.000002p-10f, unit) == 0x01);
  STATIC_REQUIRE(p.encode(0x1.fp-7f, unit) == 0x08);  // the last subnormal rounds to a normal
  STATIC_REQUIRE(p.encode(0x1p-149f, unit) == 0);
  STATIC_REQUIRE(p.encode(0.f, unit) == 0);
  STATIC_REQUIRE(p.encode(-0.f, unit) == 0x80);
}

TEST_CASE("minifloat: beyond the largest value it saturates, or overflows where told", "[policy]") {
  constexpr e4m3 saturating;
  constexpr e4m3_overflowing overflowing;
  STATIC_REQUIRE(saturating.encode(464.f, unit) == 0x7e);
  STATIC_REQUIRE(saturating.encode(1e30f, unit) == 0x7e);
  STATIC_REQUIRE(saturating.encode(-infinity, unit) == 0xfe);
  STATIC_REQUIRE(overflowing.encode(464.f, unit) == 0x7e);  // a tie, to the even 448
  STATIC_REQUIRE(overflowing.encode(464.00003f, unit) == 0x7f);
  STATIC_REQUIRE(overflowing.encode(-infinity, unit) == 0xff);
  STATIC_REQUIRE(e5m2{}.encode(61440.f, unit) == 0x7b);
  STATIC_REQUIRE(e5m2_overflowing{}.encode(61439.996f, unit) == 0x7b);
  STATIC_REQUIRE(e5m2_overflowing{}.encode(61440.f, unit) == 0x7c);  // a tie, to even: infinity
  STATIC_REQUIRE(e2m1{}.encode(-100.f, unit) == 0xf);
  STATIC_REQUIRE(saturating.in_range(464.f, unit));
  STATIC_REQUIRE(!saturating.in_range(-465.f, unit));
}

TEST_CASE("minifloat: NaN stays NaN, or becomes the lowest value", "[policy]") {
  CHECK(std::isnan(e4m3{}.decode(e4m3{}.encode(not_a_number, unit), unit)));
  CHECK(std::isnan(e5m2{}.decode(e5m2{}.encode(-not_a_number, unit), unit)));
  CHECK(vq::e4m3fnuz{}.encode(not_a_number, unit) == 0x80);
  CHECK(e2m1{}.decode(e2m1{}.encode(not_a_number, unit), unit) == -6);
  CHECK_FALSE(e4m3{}.in_range(not_a_number, unit));
}

TEMPLATE_TEST_CASE("minifloat: every code but NaN comes back", "[policy]", e4m3, e5m2_overflowing,
                   e2m1, vq::e3m2, vq::e2m3, vq::e4m3fnuz, vq::e5m2fnuz,
                   (vq::minifloat<5, 10, vq::ieee_specials, vq::overflowing>),
                   (vq::minifloat<8, 7, vq::ieee_specials, vq::overflowing>)) {
  constexpr TestType p;
  for (std::uint32_t code = 0; code < 1u << p.bits; ++code) {
    const float value = p.decode(static_cast<float>(code), unit);
    if (value != value) continue;
    if (p.encode(value, unit) != static_cast<float>(code)) FAIL("code " << code);
  }
}

TEMPLATE_TEST_CASE("minifloat: encoding finds the nearest value", "[policy]", e4m3, e5m2, e2m1,
                   vq::e4m3fnuz) {
  constexpr TestType p;
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    const int exponent = static_cast<int>(random() % 24) - 12;
    const float x = std::ldexp(static_cast<float>(random() % 65536) - 32768, exponent - 15);
    if (!(std::abs(x) <= p.largest)) continue;
    const float chosen = std::abs(p.decode(p.encode(x, unit), unit) - x);
    for (std::uint32_t code = 0; code < 1u << p.bits; ++code) {
      const float other = std::abs(p.decode(static_cast<float>(code), unit) - x);
      if (other < chosen) FAIL("x " << x << " code " << code);
    }
  }
}

TEST_CASE("minifloat: with 16 bits it is half and bfloat16", "[policy]") {
  using half = vq::minifloat_format<5, 10, vq::ieee_specials>;
  using bfloat16 = vq::minifloat_format<8, 7, vq::ieee_specials>;
  std::mt19937 random(3);
  for (int i = 0; i < 100'000; ++i) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (x != x) continue;
    const bool same = half::from_float(x, vq::overflowing{}) == vq::half(x).bits &&
                      bfloat16::from_float(x, vq::overflowing{}) == vq::bfloat16(x).bits;
    if (!same) FAIL("x " << x);
  }
}

TEST_CASE("minifloat: fit gives the largest magnitude the largest code", "[policy]") {
  constexpr e4m3 p;
  STATIC_REQUIRE(p.fit({-896, 10}).scale == 2);
  STATIC_REQUIRE(p.encode(-896, p.fit({-896, 10})) == 0xfe);
  STATIC_REQUIRE(p.decode(0xfe, p.fit({-896, 10})) == -896);
  STATIC_REQUIRE(p.fit({0, 0}).scale == 1);
  STATIC_REQUIRE(p.fit(vq::empty_range).scale == 1);
  STATIC_REQUIRE(p.fit({0, 1e-44f}).scale == std::numeric_limits<float>::min());
  STATIC_REQUIRE(e2m1{}.fit({-1, 3}).scale == 0.5f);
}

TEST_CASE("minifloat: a quantizer packs two e2m1 codes in a byte", "[policy]") {
  const float x[] = {0.5f, -6, 1.4f, 0, 12, 4, -1, 0.3f};
  constexpr vq::quantizer<e2m1, vq::per_group<4>> q;
  const vq::tensor_view<const float, 1> view{x, {8}};
  vq::scale_param params[2];
  std::uint8_t codes[4] = {};
  REQUIRE(vq::fit(q, view, params) == vq::status::ok);
  CHECK(params[0].scale == 1);
  CHECK(params[1].scale == 2);
  REQUIRE(vq::quantize(q, view, params, codes) == vq::status::ok);
  CHECK(codes[0] == 0x1f);  // .5, -6
  CHECK(codes[1] == 0x30);  // 1.5, 0
  CHECK(codes[2] == 0x74);  // 6, 2 (times 2)
  CHECK(codes[3] == 0x90);  // -.5, 0 (times 2; .15 is below the midpoint)
  float back[8];
  REQUIRE(vq::dequantize(q, codes, params, vq::tensor_view<float, 1>{back, {8}}) == vq::status::ok);
  CHECK(back[1] == -6);
  CHECK(back[4] == 12);
  const float bad[] = {1, not_a_number};
  CHECK(vq::fit(q, vq::tensor_view<const float, 1>{bad, {2}}, params) == vq::status::not_finite);
}

TEST_CASE("e8m0: powers of two, rounded from 1.5 up", "[policy]") {
  STATIC_REQUIRE(e8m0(1.f).bits == 127);
  STATIC_REQUIRE(e8m0(1.4999999f).bits == 127);
  STATIC_REQUIRE(e8m0(1.5f).bits == 128);
  STATIC_REQUIRE(e8m0(-0.25f).bits == 125);
  STATIC_REQUIRE(e8m0(0.f).bits == 0);
  STATIC_REQUIRE(e8m0(infinity).bits == 255);
  STATIC_REQUIRE(e8m0(0x1p-127f).to_float() == 0x1p-127f);
  STATIC_REQUIRE(e8m0(0x1.8p127f).bits == 255);
  STATIC_REQUIRE(e8m0{}.to_float() == 1);
}

TEST_CASE("minifloat: values and checksums of PyTorch and ml_dtypes", "[policy][golden]") {
  golden::check_to_float("e4m3fn", 8, e4m3::format::to_float);
  golden::check_to_float("e5m2", 8, e5m2::format::to_float);
  golden::check_to_float("e4m3fnuz", 8, vq::e4m3fnuz::format::to_float);
  golden::check_to_float("e5m2fnuz", 8, vq::e5m2fnuz::format::to_float);
  golden::check_to_float("e2m1", 4, e2m1::format::to_float);
  golden::check_to_float("e8m0fnu", 8, e8m0_to_float);
}

TEST_CASE("minifloat: patterns of PyTorch and ml_dtypes", "[policy][golden]") {
  const auto check = [](const char* name, const char* role, auto policy) {
    using format = typename decltype(policy)::format;
    golden::check_from_number<float>(
        name, role, policy.bits,
        [policy](float x) { return static_cast<std::uint32_t>(policy.encode(x, unit)); },
        format::to_float);
  };
  check("e4m3fn/from_f32", "patterns", e4m3{});
  check("e4m3fn/from_f32", "patterns_ml_dtypes", e4m3_overflowing{});
  check("e5m2/from_f32", "patterns", e5m2_overflowing{});
  check("e4m3fnuz/from_f32", "patterns",
        vq::minifloat<4, 3, vq::nan_as_minus_zero, vq::overflowing>{});
  check("e5m2fnuz/from_f32", "patterns",
        vq::minifloat<5, 2, vq::nan_as_minus_zero, vq::overflowing>{});
  check("e2m1/from_f32", "patterns", e2m1{});
  golden::check_from_number<float>(
      "e8m0fnu/from_f32", "patterns", 8, [](float x) { return std::uint32_t{e8m0(x).bits}; },
      e8m0_to_float);
}
