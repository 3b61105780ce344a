// The arithmetic a policy may ask of a value: here for one float, in simd/lane.hpp for a register.
//
// Every function has one meaning for both. max(a, b) is `a > b ? a : b`, so a NaN in a gives b.
// round_even needs the default rounding mode.
#ifndef VQ_CORE_LANE_HPP
#define VQ_CORE_LANE_HPP

#include <bit>
#include <cstddef>
#include <cstdint>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

template <class V>
struct lane;

template <>
struct lane<float> {
  static constexpr index_type size = 1;

  static constexpr float select(bool mask, float a, float b) noexcept { return mask ? a : b; }
  static constexpr float(max)(float a, float b) noexcept { return a > b ? a : b; }
  static constexpr float(min)(float a, float b) noexcept { return a < b ? a : b; }
  static constexpr float divide(float a, float b) noexcept { return a / b; }
  static constexpr float abs(float x) noexcept {
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
  }

  // From 2^23 on every float is an integer. Below, adding 2^23 leaves no bits below one, and
  // subtracting it again leaves the rounded integer. The sign is that of x, also of a zero.
  static constexpr float round_even(float x) noexcept {
    constexpr float magic = 8388608.f;
    const float magnitude = abs(x);
    const float rounded = magnitude < magic ? (magnitude + magic) - magic : magnitude;
    const std::uint32_t sign = std::bit_cast<std::uint32_t>(x) & 0x80000000u;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(rounded) | sign);
  }

  // 2^e for an integer e in [-126, 127].
  static constexpr float exp2i(float e) noexcept {
    const auto biased = static_cast<std::uint32_t>(static_cast<std::int32_t>(e) + 127);
    return std::bit_cast<float>(biased << 23);
  }

  // Of a positive normal x = mantissa * 2^exponent, mantissa in [1, 2). Other values give a number,
  // but no particular one; below the normal numbers the exponent is at most -127.
  static constexpr float exponent(float x) noexcept {
    const auto biased = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x) >> 23);
    return static_cast<float>(biased - 127);
  }
  static constexpr float mantissa(float x) noexcept {
    return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) & 0x007fffffu) | 0x3f800000u);
  }

  // table[code] for an integer code in [0, N).
  template <std::size_t N>
  static constexpr float lookup(const float (&table)[N], float code) noexcept {
    return table[static_cast<std::size_t>(code)];
  }

  // How many of the rising bounds lie strictly below x; a NaN counts none.
  template <std::size_t N>
  static constexpr float count_below(const float (&bounds)[N], float x) noexcept {
    std::int32_t count = 0;
    for (const float bound : bounds) count += x > bound ? 1 : 0;
    return static_cast<float>(count);
  }
  // The same, for the bounds `Bounds::values`, which a register may prepare at compile time.
  template <class Bounds>
  static constexpr float count_below(float x) noexcept {
    std::size_t count = 0, left = sizeof Bounds::values / sizeof(float);
    while (left > 0) {  // those before `count` lie below x, those from `count + left` on do not
      const std::size_t half = left / 2;
      const bool below = x > Bounds::values[count + half];
      count += below ? half + 1 : 0;
      left = below ? left - half - 1 : half;
    }
    return static_cast<float>(count);
  }
};

// float, or a register of floats. Integer codes are none: convert them to float first.
template <class V>
concept float_lanes = requires { lane<V>::size; };

}  // namespace vq::inline v1

#endif
