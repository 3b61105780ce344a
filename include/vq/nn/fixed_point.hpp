// exp, logistic and tanh on int32 fixed-point numbers, for activations and softmax on targets
// without a float unit.
//
// A number of I integer bits is raw * 2^(I - 31): a sign bit, I bits, 31 - I bits behind the point.
// Results have none, so one is INT32_MAX. Products of numbers with I and J integer bits have I + J
// (saturating_rounding_doubling_high_mul of the raw values).
//
//   exp        a Taylor polynomial of degree 4 on [-1/4, 0), then one factor exp(-2^e) for each bit
//              of the rest
//   logistic   1 / (1 + exp(-x)), tanh = (1 - e) / (1 + e) with e = exp(-2 x): division by three
//              steps of Newton's method from 48/17 - 32/17 d
//
// Errors are below 2^-22 (exp, tanh) and 2^-23 (logistic) for up to 5 integer bits. The results are
// those of gemmlowp's functions of the same definitions (fixedpoint/fixedpoint.h), bit for bit.
#ifndef VQ_NN_FIXED_POINT_HPP
#define VQ_NN_FIXED_POINT_HPP

#include <cstdint>
#include <limits>

#include <vq/quantizer/multiplier.hpp>

namespace vq::inline v1::fixed_point {

inline constexpr std::int32_t one = (std::numeric_limits<std::int32_t>::max)();

namespace detail {

constexpr std::int32_t multiply(std::int32_t a, std::int32_t b) noexcept {
  return saturating_rounding_doubling_high_mul(a, b);
}
constexpr std::int32_t shift_left(std::int32_t x, int by) noexcept {
  return saturate(std::int64_t{x} * (std::int64_t{1} << by));
}

// exp of a in [-1/4, 0), around -1/8.
constexpr std::int32_t exp_of_quarter(std::int32_t a) noexcept {
  constexpr std::int32_t exp_of_eighth = 1895147668, third = 715827883;  // exp(-1/8), 1/3
  const std::int32_t x = a + (1 << 28);
  const std::int32_t x2 = multiply(x, x), x3 = multiply(x2, x), x4 = multiply(x2, x2);
  // x^2 / 2 + x^3 / 6 + x^4 / 24
  const std::int32_t higher = multiply(rounding_divide_by_pot(x4, 2) + x3, third) + x2;
  return exp_of_eighth + multiply(exp_of_eighth, x + rounding_divide_by_pot(higher, 1));
}

// 2 / (1 + x) for x in [0, 1], with two integer bits.
constexpr std::int32_t twice_reciprocal_of_one_plus(std::int32_t x) noexcept {
  const std::int32_t half = rounding_half_sum(x, one);        // (1 + x) / 2
  std::int32_t y = 1515870810 + multiply(half, -1010580540);  // 48/17 - 32/17 half
  for (int i = 0; i < 3; ++i) {
    const std::int32_t rest = (1 << 29) - multiply(half, y);
    y += shift_left(multiply(y, rest), 2);
  }
  return y;
}

}  // namespace detail

// exp(a) for a <= 0 with `IntegerBits` integer bits.
template <int IntegerBits>
constexpr std::int32_t exp_of_negative(std::int32_t a) noexcept {
  static_assert(IntegerBits >= 1 && IntegerBits <= 29, "exp_of_negative: no room for a quarter");
  constexpr int fraction_bits = 31 - IntegerBits;
  constexpr std::int32_t quarter = std::int32_t{1} << (fraction_bits - 2);
  constexpr struct {
    int exponent;
    std::int32_t factor;  // exp(-2^exponent)
  } factors[] = {{-2, 1672461947}, {-1, 1302514674}, {0, 790015084}, {1, 290630308},
                 {2, 39332535},    {3, 720401},      {4, 242}};
  if (a == 0) return one;
  if constexpr (IntegerBits > 5) {
    if (a < -(std::int32_t{1} << (fraction_bits + 5))) return 0;  // a < -32
  }
  const std::int32_t last = (a & (quarter - 1)) - quarter;  // in [-1/4, 0)
  const std::int32_t rest = last - a;                       // a multiple of 1/4
  std::int32_t result = detail::exp_of_quarter(detail::shift_left(last, IntegerBits));
  for (const auto& f : factors) {
    if (f.exponent >= IntegerBits) break;
    if ((rest >> (fraction_bits + f.exponent) & 1) != 0)
      result = detail::multiply(result, f.factor);
  }
  return result;
}

// 1 / (1 + x) and (1 - x) / (1 + x) for x in [0, 1].
constexpr std::int32_t one_over_one_plus(std::int32_t x) noexcept {
  return detail::shift_left(detail::twice_reciprocal_of_one_plus(x), 1);
}
constexpr std::int32_t one_minus_over_one_plus(std::int32_t x) noexcept {
  return detail::shift_left(detail::twice_reciprocal_of_one_plus(x) - (1 << 29), 2);
}

// 1 / (1 + exp(-a)).
template <int IntegerBits>
constexpr std::int32_t logistic(std::int32_t a) noexcept {
  if (a == 0) return 1 << 30;
  const std::int32_t positive = one_over_one_plus(exp_of_negative<IntegerBits>(a > 0 ? -a : a));
  return a > 0 ? positive : one - positive;
}

template <int IntegerBits>
constexpr std::int32_t tanh(std::int32_t a) noexcept {
  if (a == 0) return 0;
  // The raw value of a, read with one integer bit more, is 2 a.
  const std::int32_t positive =
      one_minus_over_one_plus(exp_of_negative<IntegerBits + 1>(a > 0 ? -a : a));
  return a > 0 ? positive : -positive;
}

}  // namespace vq::inline v1::fixed_point

#endif
