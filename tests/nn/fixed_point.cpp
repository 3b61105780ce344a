#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <vq/nn/fixed_point.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace fixed_point = vq::fixed_point;

namespace {

// Calls f(raw, real) for numbers of I integer bits from lowest to highest.
template <int I, class F>
void sweep(double lowest, double highest, F f) {
  constexpr int steps = 20000;
  for (int i = 0; i <= steps; ++i) {
    const double real = lowest + (highest - lowest) * i / steps;
    const auto raw = static_cast<std::int32_t>(std::lround(std::ldexp(real, 31 - I)));
    f(raw, std::ldexp(static_cast<double>(raw), I - 31));
  }
}

double value(std::int32_t raw) { return static_cast<double>(raw) * 0x1p-31; }

}  // namespace

TEST_CASE("fixed point: exp, logistic and tanh are within the errors they state", "[nn]") {
  double exp = 0, logistic = 0, tanh = 0;
  sweep<5>(-31.9, 0, [&](std::int32_t raw, double x) {
    exp = std::max(exp, std::abs(value(fixed_point::exp_of_negative<5>(raw)) - std::exp(x)));
  });
  sweep<1>(-1.99, 0, [&](std::int32_t raw, double x) {
    exp = std::max(exp, std::abs(value(fixed_point::exp_of_negative<1>(raw)) - std::exp(x)));
  });
  sweep<4>(-15.9, 15.9, [&](std::int32_t raw, double x) {
    logistic =
        std::max(logistic, std::abs(value(fixed_point::logistic<4>(raw)) - 1 / (1 + std::exp(-x))));
    tanh = std::max(tanh, std::abs(value(fixed_point::tanh<4>(raw)) - std::tanh(x)));
  });
  CHECK(exp < 0x1p-22);
  CHECK(logistic < 0x1p-23);
  CHECK(tanh < 0x1p-22);
}

TEST_CASE("fixed point: the ends of the range", "[nn]") {
  STATIC_REQUIRE(fixed_point::exp_of_negative<5>(0) == fixed_point::one);
  STATIC_REQUIRE(fixed_point::exp_of_negative<5>(-(1 << 30)) == 242);  // exp(-16) * 2^31 = 241.7
  // Far below zero: nothing is left, and 10 integer bits reach to -1024.
  STATIC_REQUIRE(fixed_point::exp_of_negative<10>(-(1 << 30)) == 0);
  STATIC_REQUIRE(fixed_point::logistic<4>(0) == 1 << 30);
  STATIC_REQUIRE(fixed_point::tanh<4>(0) == 0);
  STATIC_REQUIRE(fixed_point::tanh<4>(12345678) == -fixed_point::tanh<4>(-12345678));
}

TEST_CASE("golden: gemmlowp's fixed-point functions", "[golden][nn]") {
  for (const auto& c : golden::cases("requant", "gemmlowp_transcendental")) {
    const auto function = c.params().at("function").get<std::string>();
    std::vector<std::int32_t> y;
    for (const std::int32_t x : c.input<std::int32_t>("x_raw").data) {
      if (function == "exp_on_negative_q5.26") {
        y.push_back(fixed_point::exp_of_negative<5>(x));
      } else if (function == "tanh_q4.27") {
        y.push_back(fixed_point::tanh<4>(x));
      } else if (function == "logistic_q4.27") {
        y.push_back(fixed_point::logistic<4>(x));
      } else {
        REQUIRE(function == "one_over_one_plus_x");
        y.push_back(fixed_point::one_over_one_plus(x));
      }
    }
    golden::check(c, "y_raw", y);
  }
}
