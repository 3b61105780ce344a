// The few functions of real analysis that folding and calibration need, in double, without the C
// library: usable in constant expressions and on bare metal. Errors are given in ulp of double or
// as relative error, measured against the C library in tests/core/math.cpp.
#ifndef VQ_CORE_MATH_HPP
#define VQ_CORE_MATH_HPP

#include <bit>
#include <cstdint>
#include <limits>

#include <vq/core/config.hpp>

namespace vq::inline v1::math {

inline constexpr double pi = 3.14159265358979323846;
inline constexpr double ln2 = 0.69314718055994530942;

constexpr double abs(double x) noexcept { return x < 0 ? -x : x; }

// Square root within 1 ulp; NaN below zero. Newton's iteration from an estimate of the exponent.
constexpr double sqrt(double x) noexcept {
  if (x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (!(x > 0) || x > (std::numeric_limits<double>::max)()) return x;
  if (x < (std::numeric_limits<double>::min)()) return sqrt(x * 0x1p108) * 0x1p-54;
  double root =
      std::bit_cast<double>((std::bit_cast<std::uint64_t>(x) >> 1) + (511ull << 52) + (1ull << 51));
  for (int i = 0; i < 6; ++i) root = 0.5 * (root + x / root);
  return root;
}

// x * 2^e for a normal result.
constexpr double scale_by_power(double x, int e) noexcept {
  return x * std::bit_cast<double>(static_cast<std::uint64_t>(e + 1023) << 52);
}

// e^x with relative error below 1e-15; 0 below -708, infinity above 709.
constexpr double exp(double x) noexcept {
  if (x != x) return x;
  if (x < -708) return 0;
  if (x > 709) return std::numeric_limits<double>::infinity();
  // x = n ln2 + r with |r| <= ln2 / 2; ln2 in two parts keeps r exact to the last bit.
  const int n = static_cast<int>(x / ln2 + (x < 0 ? -0.5 : 0.5));
  constexpr double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;
  const double r = (x - n * ln2_high) - n * ln2_low;
  double sum = 1, term = 1;
  for (int k = 1; k <= 14; ++k) {
    term *= r / k;
    sum += term;
  }
  return scale_by_power(sum, n);
}

// Natural logarithm of a positive normal number, absolute error below 1e-15 + 2 ulp.
constexpr double log(double x) noexcept {
  if (!(x > 0)) {
    return x < 0 || x != x ? std::numeric_limits<double>::quiet_NaN()
                           : -std::numeric_limits<double>::infinity();
  }
  if (x > (std::numeric_limits<double>::max)()) return x;
  if (x < (std::numeric_limits<double>::min)()) return log(x * 0x1p54) - 54 * ln2;
  const auto pattern = std::bit_cast<std::uint64_t>(x);
  int n = static_cast<int>(pattern >> 52) - 1023;
  double m = std::bit_cast<double>((pattern & 0xfffffffffffffu) | (1023ull << 52));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++n;
  }
  // log m = 2 atanh((m - 1) / (m + 1)), an odd series in s with |s| < 0.172
  const double s = (m - 1) / (m + 1);
  double sum = 0, power = s;
  for (int k = 1; k <= 23; k += 2) {
    sum += power / k;
    power *= s * s;
  }
  return 2 * sum + n * ln2;
}

// Density of the standard normal distribution.
constexpr double normal_density(double x) noexcept { return exp(-0.5 * x * x) / sqrt(2 * pi); }

// Distribution function of the standard normal distribution, absolute error below 1e-14.
// Power series near zero (Marsaglia 2004, J. Stat. Software 11(4)), continued fraction beyond.
constexpr double normal_cumulative(double x) noexcept {
  if (x != x) return x;
  if (abs(x) < 5) {
    double sum = x, term = x;
    for (int k = 3; k < 200; k += 2) {
      term *= x * x / k;
      sum += term;
      if (abs(term) < 1e-17 * abs(sum)) break;
    }
    return 0.5 + sum * normal_density(x);
  }
  double fraction = abs(x);
  for (int k = 60; k > 0; --k) fraction = abs(x) + k / fraction;
  const double tail = normal_density(x) / fraction;
  return x < 0 ? tail : 1 - tail;
}

}  // namespace vq::inline v1::math

#endif
