// The C library is the reference; the bounds are those that core/math.hpp states.
#include <cmath>
#include <random>

#include <vq/core/math.hpp>

#include "catch.hpp"

namespace math = vq::math;

TEST_CASE("math: sqrt is within one ulp, subnormals included", "[core]") {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-300, 300);
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::pow(10, exponent(random));
    REQUIRE(std::abs(math::sqrt(x) / std::sqrt(x) - 1) < 3e-16);
  }
  CHECK(math::sqrt(5e-324) == Approx(std::sqrt(5e-324)).epsilon(1e-15));
  STATIC_REQUIRE(math::sqrt(0.0) == 0.0);
  STATIC_REQUIRE(math::sqrt(4.0) == 2.0);
  CHECK(std::isnan(math::sqrt(-1.0)));
}

TEST_CASE("math: exp has a relative error below 1e-15", "[core]") {
  for (double x = -707; x < 709; x += 0.0371) {
    REQUIRE(std::abs(math::exp(x) / std::exp(x) - 1) < 1e-15);
  }
  CHECK(math::exp(-1000) == 0);
  CHECK(std::isinf(math::exp(1000)));
  CHECK(std::isnan(math::exp(std::nan(""))));
}

TEST_CASE("math: log agrees with the C library over the whole range", "[core]") {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponent(-307, 308);
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::pow(10, exponent(random));
    REQUIRE(std::abs(math::log(x) - std::log(x)) < 1e-15 * (1 + std::abs(std::log(x))));
  }
  CHECK(math::log(1e-310) == Approx(std::log(1e-310)).epsilon(1e-14));
  CHECK(std::isinf(math::log(0)));
  CHECK(std::isnan(math::log(-1)));
}

TEST_CASE("math: the normal distribution agrees with erfc to 1e-14", "[core]") {
  for (double x = -12; x < 12; x += 0.0137) {
    REQUIRE(std::abs(math::normal_cumulative(x) - 0.5 * std::erfc(-x / std::sqrt(2.0))) < 1e-14);
  }
  CHECK(math::normal_density(0) == Approx(0.3989422804014327).epsilon(1e-15));
}
