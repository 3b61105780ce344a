// Ranges on registers: those of the definition, bit for bit, with the signs of zeros.
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

// By the definition: -0 is below +0.
vq::observed expected(const float* x, index_type count) {
  vq::observed o;
  for (index_type i = 0; i < count; ++i) {
    o.finite = o.finite && std::isfinite(x[i]);
    const auto less = [](float a, float b) {
      return a < b || (a == 0 && b == 0 && std::signbit(a) && !std::signbit(b));
    };
    if (i == 0 || less(x[i], o.seen.lowest)) o.seen.lowest = x[i];
    if (i == 0 || less(o.seen.highest, x[i])) o.seen.highest = x[i];
  }
  return o;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

template <class E>
bool right(E, const float* x, index_type count) {
  const vq::observed want = expected(x, count);
  const vq::observed range = vq::kernel<vq::find_range, E>{}(x, count);
  const vq::observed magnitude = vq::kernel<vq::find_absmax, E>{}(x, count);
  if (range.finite != want.finite || magnitude.finite != want.finite) return false;
  if (!want.finite) return true;
  const float absmax = std::max(std::fabs(want.seen.lowest), std::fabs(want.seen.highest));
  return same_bits(range.seen.lowest, want.seen.lowest) &&
         same_bits(range.seen.highest, want.seen.highest) &&
         (count == 0 ||
          (same_bits(magnitude.seen.highest, absmax) && same_bits(magnitude.seen.lowest, -absmax)));
}

}  // namespace

TEST_CASE("range: every length, sign and position", "[simd]") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(300);
  for (const float shift : {0.f, 9.f, -9.f}) {  // both signs, only one
    for (float& v : x) v = normal(random) + shift;
    for (index_type n = 0; n <= 2 * 64 + 3; ++n) {
      CAPTURE(n, shift);
      REQUIRE(right(vq::simd::native, x.data() + n % 7, n));
      REQUIRE(right(vq::scalar, x.data() + n % 7, n));
    }
  }
}

TEST_CASE("range: zeros keep their signs", "[simd]") {
  for (index_type n = 1; n <= 131; ++n) {
    for (const float rest : {0.f, -0.f, 1.f, -1.f}) {
      std::vector<float> x(static_cast<std::size_t>(n), rest);
      for (const float other : {0.f, -0.f}) {
        for (const std::size_t at : {std::size_t{0}, x.size() / 2, x.size() - 1}) {
          const float kept = x[at];
          x[at] = other;
          REQUIRE(right(vq::simd::native, x.data(), n));
          x[at] = kept;
        }
      }
    }
  }
}

TEST_CASE("range: one NaN or infinity anywhere is noticed, large and subnormal values are not",
          "[simd]") {
  constexpr float most = std::numeric_limits<float>::max();
  for (const index_type n : {1, 5, 16, 31, 64, 127, 128, 131, 300}) {
    std::vector<float> x(static_cast<std::size_t>(n), 1.f);
    for (std::size_t at = 0; at < x.size(); ++at) {
      for (const std::uint32_t bits :
           {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0x7f800000u, 0xff800000u, 1u, 0x80000001u}) {
        x[at] = std::bit_cast<float>(bits);
        REQUIRE(right(vq::simd::native, x.data(), n));
      }
      for (const float v : {most, -most}) {
        x[at] = v;
        REQUIRE(right(vq::simd::native, x.data(), n));
      }
      x[at] = 1.f;
    }
  }
}
