// Sums on registers: the doubles of the reference, bit for bit, and NaN where it has NaN.
#include <bit>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;
using native = vq::simd::native_t;

bool same(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b) || (a != a && b != b);
}
bool same(const vq::value_sums& a, const vq::value_sums& b) {
  return same(a.sum, b.sum) && same(a.squares, b.squares);
}
bool same(const vq::error_sums& a, const vq::error_sums& b) {
  return same(a.signal, b.signal) && same(a.other, b.other) && same(a.product, b.product) &&
         same(a.squared_error, b.squared_error) && same(a.absolute_error, b.absolute_error) &&
         same(a.largest_error, b.largest_error) && same(a.largest_signal, b.largest_signal);
}

}  // namespace

TEST_CASE("sums: the bits of the reference, for every length", "[simd]") {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> x(400), y(400);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = normal(random) * (i % 11 == 0 ? 1e30f : 1.f);
    y[i] = x[i] + normal(random) * 1e-3f;
  }
  x[100] = -0.f;
  y[101] = std::numeric_limits<float>::denorm_min();
  for (const bool with_nan : {false, true}) {
    if (with_nan) x[57] = y[200] = std::numeric_limits<float>::quiet_NaN();
    for (index_type n = 0; n < 300; ++n) {
      const float *a = x.data() + n % 7, *b = y.data() + n % 5;
      CAPTURE(n, with_nan);
      REQUIRE(same(vq::kernel<vq::sum_values, native>{}(a, n), vq::sum_values{}(a, n)));
      REQUIRE(same(vq::kernel<vq::sum_errors, native>{}(a, b, n), vq::sum_errors{}(a, b, n)));
    }
  }
}
