// Floating point in 4 to 16 bits: FP8, FP6, FP4, and the power-of-two scales of MX blocks.
//
//   code  = pattern of x / scale: 1 sign bit, E exponent bits, M mantissa bits
//   value = (-1)^s (1 + m / 2^M) 2^(e - bias) * scale;  (-1)^s m / 2^M 2^(1 - bias) * scale for e = 0
//
//   e4m3      largest 448, NaN, no infinity: weights and activations
//   e5m2      largest 57344, as IEEE 754: gradients
//   e2m1      0 .5 1 1.5 2 3 4 6 and their negatives: MXFP4, NVFP4
//   e4m3fnuz, e5m2fnuz, e3m2, e2m3; e8m0 for scales
//
// Steps grow with the value, so the relative error is constant (at most 2^-(M+1)) down to the
// subnormals: better than uniform<8> on long tails, worse on data that fill their range.
// Rounding is to nearest, halves to even. Beyond the largest value, `saturating` (the default) keeps
// the largest value, infinity included; `overflowing` gives infinity or, where there is none, NaN.
// NaN stays NaN where the format has one; elsewhere it becomes the lowest value. Codes are bit
// patterns, not ordered as numbers, held in a float.
// Sources: OCP 8-bit Floating Point Specification 1.0 (2023) for e4m3 and e5m2, OCP Microscaling
// Formats 1.0 (2023) for the rest, Noune et al. 2022 (arXiv 2206.02915) for fnuz.
#ifndef VQ_POLICY_MINIFLOAT_HPP
#define VQ_POLICY_MINIFLOAT_HPP

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include <vq/core/half.hpp>
#include <vq/core/math.hpp>
#include <vq/core/range.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

// Which patterns are no numbers.
struct ieee_specials {};      // the largest exponent is infinity and NaN
struct nan_only {};           // all ones is NaN ("fn")
struct nan_as_minus_zero {};  // the pattern of -0 is NaN, and the bias is one larger ("fnuz")
struct no_specials {};

struct saturating {};
struct overflowing {};

// Conversions between float and patterns of 1 + Exponent + Mantissa bits.
template <int Exponent, int Mantissa, class Specials>
struct minifloat_format {
  static_assert(Exponent >= 2 && Exponent <= 8, "minifloat: the exponent must have 2 to 8 bits");
  static_assert(Mantissa >= 1 && Exponent + Mantissa <= 15,
                "minifloat: there must be a mantissa bit, and at most 16 bits in all");

  static constexpr bool has_infinity = std::is_same_v<Specials, ieee_specials>;
  static constexpr bool has_nan = !std::is_same_v<Specials, no_specials>;
  static constexpr bool has_minus_zero = !std::is_same_v<Specials, nan_as_minus_zero>;

  static constexpr int bits = 1 + Exponent + Mantissa;
  static constexpr int bias = (1 << (Exponent - 1)) - (has_minus_zero ? 1 : 0);
  static constexpr std::uint32_t sign_bit = 1u << (bits - 1);
  static constexpr std::uint32_t infinity = (sign_bit - 1) >> Mantissa << Mantissa;
  static constexpr std::uint32_t nan = has_infinity     ? infinity | 1u << (Mantissa - 1)
                                       : has_minus_zero ? sign_bit - 1
                                                        : sign_bit;
  static constexpr std::uint32_t largest_pattern =
      has_infinity ? infinity - 1 : sign_bit - (std::is_same_v<Specials, nan_only> ? 2 : 1);

  // The value of a pattern, exactly.
  static constexpr float to_float(std::uint32_t pattern) noexcept {
    const std::uint32_t magnitude = pattern & (sign_bit - 1);
    if (!has_minus_zero && pattern == nan) return std::numeric_limits<float>::quiet_NaN();
    if (magnitude > largest_pattern) {
      if (!has_infinity || magnitude > infinity) return std::numeric_limits<float>::quiet_NaN();
      const float infinite = std::numeric_limits<float>::infinity();
      return pattern == magnitude ? infinite : -infinite;
    }
    const std::uint32_t fraction = magnitude & ((1u << Mantissa) - 1);
    const int exponent = static_cast<int>(magnitude >> Mantissa);
    const double units = exponent == 0 ? fraction : fraction + (1u << Mantissa);
    const auto value = static_cast<float>(
        math::scale_by_power(units, (exponent == 0 ? 1 : exponent) - bias - Mantissa));
    return pattern == magnitude ? value : -value;
  }

  static constexpr float largest = to_float(largest_pattern);

  // |x| rounded to nearest, halves to even, as if there were no largest value: a pattern above
  // largest_pattern is an overflow.
  static constexpr std::uint64_t round_magnitude(float x) noexcept {
    const std::uint32_t wide = std::bit_cast<std::uint32_t>(x) & 0x7fffffffu;
    const int exponent = static_cast<int>(wide >> 23);
    const std::uint64_t fraction = wide & 0x7fffffu;
    const int biased = exponent - 127 + bias;
    if (exponent != 0 && biased >= 1) {  // a carry moves into the exponent, as it should
      const auto shifted = static_cast<std::uint64_t>(biased) << 23;
      return shift_right_even(shifted | fraction, 23 - Mantissa);
    }
    // A subnormal counts units of 2^(1 - bias - Mantissa); x counts 2^(exponent - 150).
    const std::uint64_t units = exponent == 0 ? fraction : fraction | 0x800000u;
    const int shift = 151 - (exponent == 0 ? 1 : exponent) - bias - Mantissa;
    return shift > 63 ? 0 : shift_right_even(units, shift);
  }

  template <class Overflow = saturating>
  static constexpr std::uint32_t from_float(float x, Overflow = {}) noexcept {
    const std::uint32_t sign = std::bit_cast<std::uint32_t>(x) >> 31 != 0 ? sign_bit : 0;
    if (x != x) return has_nan ? nan : sign_bit | largest_pattern;
    const std::uint64_t rounded = round_magnitude(x);
    if (rounded > largest_pattern) {
      if (std::is_same_v<Overflow, saturating> || !has_nan) return sign | largest_pattern;
      return has_infinity ? sign | infinity : has_minus_zero ? sign | nan : nan;
    }
    const auto magnitude = static_cast<std::uint32_t>(rounded);
    return magnitude == 0 && !has_minus_zero ? 0 : sign | magnitude;
  }
};

// The format as a policy. fit: scale = absmax / largest.
template <int Exponent, int Mantissa, class Specials = no_specials, class Overflow = saturating>
struct minifloat {
  using format = minifloat_format<Exponent, Mantissa, Specials>;
  static constexpr int bits = format::bits;
  static constexpr bool symmetric_range = true;
  static constexpr const char* name = "minifloat";
  using code_type = std::conditional_t<(bits <= 8), std::uint8_t, std::uint16_t>;
  using param_type = scale_param;

  static constexpr float largest = format::largest;

  constexpr param_type fit(range r) const noexcept { return fit_scale(r, largest); }

  constexpr float encode(float x, param_type p) const noexcept {
    return static_cast<float>(format::from_float(x * (1 / p.scale), Overflow{}));
  }
  constexpr float decode(float code, param_type p) const noexcept {
    return format::to_float(static_cast<std::uint32_t>(code)) * p.scale;
  }
  // False where encode saturates or overflows, and for NaN.
  constexpr bool in_range(float x, param_type p) const noexcept {
    return format::round_magnitude(x * (1 / p.scale)) <= format::largest_pattern;
  }
};

using e4m3 = minifloat<4, 3, nan_only>;
using e5m2 = minifloat<5, 2, ieee_specials>;
using e4m3fnuz = minifloat<4, 3, nan_as_minus_zero>;
using e5m2fnuz = minifloat<5, 2, nan_as_minus_zero>;
using e3m2 = minifloat<3, 2>;
using e2m3 = minifloat<2, 3>;
using e2m1 = minifloat<2, 1>;

static_assert(quantizer_policy<e4m3> && quantizer_policy<e5m2> && quantizer_policy<e2m1>);
static_assert(e4m3::largest == 448 && e5m2::largest == 57344 && e2m1::largest == 6);

// A scale as a power of two in one byte: 2^(bits - 127), 255 is NaN. No sign, no zero.
struct e8m0 {
  std::uint8_t bits = 127;  // 1

  constexpr e8m0() noexcept = default;
  // The nearest power of two of |x| in the sense of rounding its significand: from 1.5 up. Below
  // 2^-127 the smallest scale, 2^-127; infinity and NaN become NaN.
  constexpr explicit e8m0(float x) noexcept {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x) & 0x7fffffffu;
    const std::uint32_t exponent = magnitude >> 23, fraction = magnitude & 0x7fffffu;
    const bool up = exponent < 255 && fraction >= 0x400000u + (exponent == 0 ? 1u : 0u);
    bits = static_cast<std::uint8_t>(exponent + (up ? 1 : 0));
  }

  static constexpr e8m0 from_bits(std::uint8_t pattern) noexcept {
    e8m0 e;
    e.bits = pattern;
    return e;
  }

  constexpr float to_float() const noexcept {
    if (bits == 255) return std::numeric_limits<float>::quiet_NaN();
    return bits == 0 ? 0x1p-127f : std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 23);
  }
  constexpr explicit operator float() const noexcept { return to_float(); }
  friend constexpr bool operator==(e8m0, e8m0) noexcept = default;  // of the bits
};

}  // namespace vq::inline v1

#endif
