// A register of floats as a lane: what op:: means for many values at once. The only file that knows
// which release of xsimd it is.
//
// max and min are not the library's own, whose answer for NaN changed between releases: on x86 the
// instruction has the meaning that lane<float> defines, elsewhere they are a compare and a select.
#ifndef VQ_SIMD_LANE_HPP
#define VQ_SIMD_LANE_HPP

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <xsimd/xsimd.hpp>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/core/lane.hpp>

namespace vq::inline v1 {

template <class Arch>
struct lane<xsimd::batch<float, Arch>> {
  using V = xsimd::batch<float, Arch>;
  using I = xsimd::batch<std::int32_t, Arch>;
  static constexpr auto size = static_cast<index_type>(V::size);

  static V select(xsimd::batch_bool<float, Arch> mask, V a, V b) noexcept {
    return xsimd::select(mask, a, b);
  }
  static V(max)(V a, V b) noexcept {
#if defined(__AVX512F__)
    if constexpr (size == 16) return _mm512_max_ps(a, b);
#endif
#if defined(__AVX__)
    if constexpr (size == 8) return _mm256_max_ps(a, b);
#endif
#if defined(__x86_64__)
    if constexpr (size == 4) return _mm_max_ps(a, b);
#endif
    return xsimd::select(a > b, a, b);
  }
  static V(min)(V a, V b) noexcept {
#if defined(__AVX512F__)
    if constexpr (size == 16) return _mm512_min_ps(a, b);
#endif
#if defined(__AVX__)
    if constexpr (size == 8) return _mm256_min_ps(a, b);
#endif
#if defined(__x86_64__)
    if constexpr (size == 4) return _mm_min_ps(a, b);
#endif
    return xsimd::select(a < b, a, b);
  }
  // xsimd divides by an estimate of the reciprocal on AArch64.
  static V divide(V a, V b) noexcept {
#if defined(__aarch64__)
    return vdivq_f32(a, b);
#else
    return a / b;
#endif
  }
  static V abs(V x) noexcept { return from_bits(to_bits(x) & I(0x7fffffff)); }
  static V round_even(V x) noexcept { return xsimd::nearbyint(x); }
  static V exponent(V x) noexcept { return xsimd::to_float((to_bits(x) >> 23) - I(127)); }
  static V mantissa(V x) noexcept {
    return from_bits((to_bits(x) & I(0x007fffff)) | I(0x3f800000));
  }
  static V exp2i(V e) noexcept { return from_bits((xsimd::to_int(e) + I(127)) << 23); }

  template <std::size_t N>
  static V lookup(const float (&table)[N], V code) noexcept {
    V found(table[0]);
    for (std::size_t i = 1; i < N; ++i) {
      found = xsimd::select(code > V(static_cast<float>(i) - 0.5f), V(table[i]), found);
    }
    return found;
  }
  template <std::size_t N>
  static V count_below(const float (&bounds)[N], V x) noexcept {
    V count(0.f);
    for (const float bound : bounds) {
      count = count + xsimd::select(x > V(bound), V(1.f), V(0.f));
    }
    return count;
  }

#if XSIMD_VERSION_MAJOR >= 9
  static I to_bits(V x) noexcept { return xsimd::bitwise_cast<std::int32_t>(x); }
  static V from_bits(I x) noexcept { return xsimd::bitwise_cast<float>(x); }
#else
  static I to_bits(V x) noexcept { return xsimd::bitwise_cast<I>(x); }
  static V from_bits(I x) noexcept { return xsimd::bitwise_cast<V>(x); }
#endif
};

}  // namespace vq::inline v1

#endif
