// The two 16-bit float formats, as storage: half (IEEE 754 binary16) and bfloat16.
//
// They convert from float with one rounding to nearest, halves to even; beyond the largest finite
// value they become infinity; NaN stays NaN, quiet and with the upper bits of its payload, as the
// instructions of CPUs have it. to_float is exact; a signaling NaN of half becomes quiet. `half` also
// converts from double directly: going through float first would round twice.
#ifndef VQ_CORE_HALF_HPP
#define VQ_CORE_HALF_HPP

#include <bit>
#include <cstdint>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// value * 2^-shift, rounded half to even; shift in [1, 63].
constexpr std::uint64_t shift_right_even(std::uint64_t value, int shift) noexcept {
  const std::uint64_t rest = value & ((std::uint64_t{1} << shift) - 1);
  const std::uint64_t tie = std::uint64_t{1} << (shift - 1);
  const std::uint64_t down = value >> shift;
  return down + ((rest > tie || (rest == tie && (down & 1) != 0)) ? 1 : 0);
}

// 1 sign bit, 5 exponent bits, 10 mantissa bits; largest 65504, smallest normal 2^-14.
struct half {
  std::uint16_t bits = 0;

  constexpr half() noexcept = default;
  constexpr explicit half(double x) noexcept : bits(from_double(x)) {}
  constexpr explicit half(float x) noexcept : half(static_cast<double>(x)) {}

  static constexpr half from_bits(std::uint16_t pattern) noexcept {
    half h;
    h.bits = pattern;
    return h;
  }

  constexpr float to_float() const noexcept {
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 31u;
    const std::uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0) {  // subnormal: mantissa * 2^-24
      const float value = static_cast<float>(mantissa) * 0x1p-24f;
      return sign != 0 ? -value : value;
    }
    const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    const std::uint32_t quiet = exponent == 31 && mantissa != 0 ? 0x400000u : 0;
    return std::bit_cast<float>(sign | wide << 23 | mantissa << 13 | quiet);
  }
  constexpr explicit operator float() const noexcept { return to_float(); }
  friend constexpr bool operator==(half, half) noexcept = default;  // of the bits

 private:
  static constexpr std::uint16_t from_double(double x) noexcept {
    const auto wide = std::bit_cast<std::uint64_t>(x);
    const auto sign = static_cast<std::uint16_t>(wide >> 48 & 0x8000u);
    const int exponent = static_cast<int>(wide >> 52 & 0x7ffu) - 1023;
    const std::uint64_t mantissa = wide & 0xfffffffffffffu;
    const auto with_sign = [&](std::uint64_t magnitude) {
      return static_cast<std::uint16_t>(sign | magnitude);
    };
    if (exponent == 1024) return with_sign(mantissa != 0 ? 0x7e00u | mantissa >> 42 : 0x7c00u);
    if (exponent > 15) return with_sign(0x7c00u);
    if (exponent >= -14) {  // a carry of the rounding moves into the exponent, as it should
      const auto biased = static_cast<std::uint64_t>(exponent + 15) << 52;
      return with_sign(shift_right_even(biased | mantissa, 42));
    }
    if (exponent < -25) return sign;
    return with_sign(shift_right_even(mantissa | 0x10000000000000u, 28 - exponent));
  }
};

// The upper half of a float: 1 sign bit, 8 exponent bits, 7 mantissa bits.
struct bfloat16 {
  std::uint16_t bits = 0;

  constexpr bfloat16() noexcept = default;
  constexpr explicit bfloat16(float x) noexcept : bits(from_float(x)) {}

  static constexpr bfloat16 from_bits(std::uint16_t pattern) noexcept {
    bfloat16 b;
    b.bits = pattern;
    return b;
  }

  constexpr float to_float() const noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
  constexpr explicit operator float() const noexcept { return to_float(); }
  friend constexpr bool operator==(bfloat16, bfloat16) noexcept = default;  // of the bits

 private:
  static constexpr std::uint16_t from_float(float x) noexcept {
    const auto wide = std::bit_cast<std::uint32_t>(x);
    if ((wide & 0x7fffffffu) > 0x7f800000u) {
      return static_cast<std::uint16_t>(wide >> 16 | 0x40u);  // quiet, and not infinity
    }
    return static_cast<std::uint16_t>(shift_right_even(wide, 16));
  }
};

}  // namespace vq::inline v1

#endif
