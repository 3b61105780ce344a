#include <limits>
#include <vector>

#include <vq/analyze/rank_correlation.hpp>

#include "catch.hpp"

namespace {

using values = std::vector<double>;

}  // namespace

TEST_CASE("rank correlation: only the order counts", "[analyze]") {
  CHECK(*vq::rank_correlation(values{1, 2, 3, 4}, values{0.1, 5, 5.1, 1e9}) == Approx(1));
  CHECK(*vq::rank_correlation(values{1, 2, 3, 4}, values{7, 1, 0, -3}) == Approx(-1));
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(*vq::rank_correlation(values{1, 2, infinity}, values{1, 2, 3}) == Approx(1));
}

TEST_CASE("rank correlation: values of 1 - 6 sum d^2 / (n^3 - n)", "[analyze]") {
  // d = 1, 1, 1, 1, 0: 1 - 6 * 4 / 120
  CHECK(*vq::rank_correlation(values{1, 2, 3, 4, 5}, values{2, 1, 4, 3, 5}) == Approx(0.8));
  // Wikipedia, "Spearman's rank correlation coefficient": IQ and hours of television, -29/165
  const values iq{86, 97, 99, 100, 101, 103, 106, 110, 112, 113},
      hours{2, 20, 28, 27, 50, 29, 7, 17, 6, 12};
  CHECK(*vq::rank_correlation(iq, hours) == Approx(-29.0 / 165));
}

TEST_CASE("rank correlation: equal values share the mean of their ranks", "[analyze]") {
  CHECK(vq::mean_ranks(values{3, 1, 3, 0}) == values{3.5, 2, 3.5, 1});
  // Ranks 1 2 3 4 against 1.5 1.5 3.5 3.5: 4 / sqrt(5 * 4)
  CHECK(*vq::rank_correlation(values{1, 2, 3, 4}, values{1, 1, 2, 2}) == Approx(0.894427191));
}

TEST_CASE("rank correlation: what has no order has no correlation", "[analyze]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(vq::rank_correlation(values{1, 2}, values{1, 2, 3}).error() == vq::status::size_mismatch);
  CHECK(vq::rank_correlation(values{}, values{}).error() == vq::status::no_data);
  CHECK(vq::rank_correlation(values{1}, values{1}).error() == vq::status::no_data);
  CHECK(vq::rank_correlation(values{1, 2}, values{3, 3}).error() == vq::status::no_data);
  CHECK(vq::rank_correlation(values{1, 2}, values{nan, 3}).error() == vq::status::not_finite);
}
