// Sums in double against sums in long double, and what they do with what is not a number.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/core/sums.hpp>

#include "catch.hpp"

using vq::index_type;

TEST_CASE("sums: small ones are exact", "[core]") {
  static constexpr float x[] = {1, -2, 3, 0.5f}, y[] = {1.5f, -2, 2, 1};
  STATIC_REQUIRE(vq::sum_values{}(x, 4) == vq::value_sums{2.5, 14.25});
  STATIC_REQUIRE(vq::sum_values{}(x, 0) == vq::value_sums{});
  constexpr auto e = vq::sum_errors{}(x, y, 4);
  STATIC_REQUIRE(e == vq::error_sums{.signal = 14.25,
                                     .other = 11.25,
                                     .product = 12,
                                     .squared_error = 1.5,
                                     .absolute_error = 2,
                                     .largest_error = 1,
                                     .largest_signal = 3});
  constexpr vq::tensor_view<const float, 2> column{x, {2, 1}, {2, 1}};
  STATIC_REQUIRE(vq::sums_of(vq::scalar, column) == vq::value_sums{4, 10});
}

TEST_CASE("sums: the error is within the bound", "[core]") {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(100003);
  long double sum = 0, magnitudes = 0, squares = 0;
  for (float& v : x) {
    v = std::exp(5 * normal(random)) * normal(random);
    sum += static_cast<long double>(v);
    magnitudes += std::fabs(static_cast<long double>(v));
    squares += static_cast<long double>(v) * static_cast<long double>(v);
  }
  const auto count = static_cast<index_type>(x.size());
  const vq::value_sums s = vq::sum_values{}(x.data(), count);
  const long double bound = (static_cast<long double>(count) / 16 + 5) * 0x1p-53L;
  CHECK(std::fabs(static_cast<long double>(s.sum) - sum) <= bound * magnitudes);
  CHECK(std::fabs(static_cast<long double>(s.squares) - squares) <= bound * squares);
}

TEST_CASE("sums: NaN and infinity are seen by sums, not by maxima", "[core]") {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {1, nan, 2}, y[] = {3, 1, 2}, z[] = {1, -infinity, 2};
  const auto s = vq::sum_values{}(x, 3);
  CHECK((std::isnan(s.sum) && std::isnan(s.squares)));
  CHECK(vq::sum_values{}(z, 3).sum == -double{infinity});
  const auto e = vq::sum_errors{}(x, y, 3);
  CHECK(std::isnan(e.squared_error));
  CHECK((e.largest_error == 2 && e.largest_signal == 2));
}
