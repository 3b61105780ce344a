#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <vq/core/half.hpp>

#include "catch.hpp"
#include "golden/float_formats.hpp"

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float half_to_float(std::uint32_t pattern) {
  return vq::half::from_bits(static_cast<std::uint16_t>(pattern)).to_float();
}
float bfloat16_to_float(std::uint32_t pattern) {
  return vq::bfloat16::from_bits(static_cast<std::uint16_t>(pattern)).to_float();
}

}  // namespace

TEST_CASE("half: ends of the range", "[core]") {
  STATIC_REQUIRE(vq::half(1.f).bits == 0x3c00);
  STATIC_REQUIRE(vq::half(-2.f).bits == 0xc000);
  STATIC_REQUIRE(vq::half(65504.f).bits == 0x7bff);
  STATIC_REQUIRE(vq::half(65519.996f).bits == 0x7bff);  // below the midpoint to 65536
  STATIC_REQUIRE(vq::half(65520.f).bits == 0x7c00);     // the midpoint goes to even, infinity
  STATIC_REQUIRE(vq::half(-infinity).bits == 0xfc00);
  STATIC_REQUIRE(vq::half(0x1p-14f).bits == 0x0400);
  STATIC_REQUIRE(vq::half(0x1p-24f).bits == 0x0001);
  STATIC_REQUIRE(vq::half(0x1p-25f).bits == 0x0000);  // half of the smallest: to even, zero
  STATIC_REQUIRE(vq::half(0x1.000002p-25f).bits == 0x0001);
  STATIC_REQUIRE(vq::half(-0.f).bits == 0x8000);
  STATIC_REQUIRE(vq::half(0x1.ff8p-15f).bits == 0x03ff);
  STATIC_REQUIRE(vq::half(0x1.ffcp-15f).bits == 0x0400);  // a tie, to the even code: normal
}

TEST_CASE("half: a double is rounded once", "[core]") {
  // Through float this would first become the midpoint 1 + 2^-11, and then 1.
  STATIC_REQUIRE(vq::half(1 + 0x1p-11 + 0x1p-40).bits == 0x3c01);
  STATIC_REQUIRE(vq::half(static_cast<float>(1 + 0x1p-11 + 0x1p-40)).bits == 0x3c00);
}

TEST_CASE("half and bfloat16: every pattern but NaN comes back", "[core]") {
  for (std::uint32_t pattern = 0; pattern < 65536; ++pattern) {
    const float h = half_to_float(pattern), b = bfloat16_to_float(pattern);
    const bool half_same =
        h != h ? std::isnan(half_to_float(vq::half(h).bits)) : vq::half(h).bits == pattern;
    const bool bfloat_same = b != b ? std::isnan(bfloat16_to_float(vq::bfloat16(b).bits))
                                    : vq::bfloat16(b).bits == pattern;
    if (!half_same || !bfloat_same) FAIL("pattern " << pattern);
  }
}

TEST_CASE("bfloat16: the upper half of a float, rounded to even", "[core]") {
  STATIC_REQUIRE(vq::bfloat16(1.f).bits == 0x3f80);
  STATIC_REQUIRE(vq::bfloat16(1 + 0x1p-8f).bits == 0x3f80);
  STATIC_REQUIRE(vq::bfloat16(1 + 0x3p-8f).bits == 0x3f82);
  STATIC_REQUIRE(vq::bfloat16(3.4e38f).bits == 0x7f80);
  STATIC_REQUIRE(vq::bfloat16(0x1p-149f).bits == 0x0000);
  // A NaN whose upper half alone would read as infinity stays NaN.
  const auto nan = vq::bfloat16(std::bit_cast<float>(0x7f800001u));
  CHECK(std::isnan(nan.to_float()));
}

TEST_CASE("half and bfloat16: values and checksums of PyTorch", "[core][golden]") {
  golden::check_to_float("f16", 16, half_to_float);
  golden::check_to_float("bf16", 16, bfloat16_to_float);
}

TEST_CASE("half and bfloat16: patterns of PyTorch and NumPy", "[core][golden]") {
  const auto to_half = [](auto x) { return std::uint32_t{vq::half(x).bits}; };
  const auto to_bfloat16 = [](float x) { return std::uint32_t{vq::bfloat16(x).bits}; };
  for (const std::string suffix : {"", "/random"}) {
    golden::check_from_number<float>("f16/from_f32" + suffix, "patterns", 16, to_half,
                                     half_to_float);
    golden::check_from_number<float>("bf16/from_f32" + suffix, "patterns", 16, to_bfloat16,
                                     bfloat16_to_float);
  }
  golden::check_from_number<double>("f16/from_f64", "patterns_numpy", 16, to_half, half_to_float);
}
