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
#include <vq/simd/level_search.hpp>

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
#if defined(__AVX512F__)
    if constexpr (size == 16 && N == 16) {
      return _mm512_permutexvar_ps(_mm512_cvttps_epi32(code), _mm512_loadu_ps(table));
    }
#endif
#if defined(__AVX2__)
    if constexpr (size == 8 && N == 16) {
      const __m256i index = _mm256_cvttps_epi32(code);
      return _mm256_blendv_ps(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index),
                              _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index),
                              _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
    }
#endif
    if constexpr (N > 16) {
#if defined(__AVX512F__)
      if constexpr (size == 16) return _mm512_i32gather_ps(_mm512_cvttps_epi32(code), table, 4);
#endif
#if defined(__AVX2__)
      if constexpr (size == 8) return _mm256_i32gather_ps(table, _mm256_cvttps_epi32(code), 4);
#endif
      float each[V::size];
      code.store_unaligned(each);
      for (float& value : each) value = table[static_cast<std::size_t>(value)];
      return V::load_unaligned(each);
    }
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

  template <class Bounds>
  static V count_below(V x) noexcept {
#if defined(__AVX512F__)
    if constexpr (size == 16 && simd::level_bins<Bounds>{}.usable) {
      constexpr const simd::level_bins<Bounds>& bins = simd::bins_of<Bounds>;
      const V inside = (min)((max)(x, V(-bins.limit)), V(bins.limit));
      return _mm512_cvtepi32_ps(simd::count_by_bins<Bounds>(inside));
    }
#endif
#if defined(__AVX512F__)
    if constexpr (size == 16 && simd::level_search<Bounds>::usable) {
      static constexpr simd::level_steps<Bounds> steps{};
      const auto above = [&](__m512 bound) { return _mm512_cmp_ps_mask(x, bound, _CMP_GT_OQ); };
      const auto at = [](const float(&table)[16], __m512i i) {
        return _mm512_permutexvar_ps(i, _mm512_loadu_ps(table));
      };
      __m512i count = _mm512_maskz_set1_epi32(above(_mm512_set1_ps(steps.one[7])), 8);
      const auto add = [&](const float(&table)[16], int step) {
        count =
            _mm512_mask_add_epi32(count, above(at(table, count)), count, _mm512_set1_epi32(step));
      };
      add(steps.four, 4);
      add(steps.two, 2);
      add(steps.one, 1);
      return _mm512_cvtepi32_ps(count);
    }
#endif
#if defined(__AVX2__)
    if constexpr (size == 8 && simd::level_search<Bounds>::usable) {
      static constexpr simd::level_search<Bounds> search{};
      I count = bits_of(x > V(search.first));
      count = count + count + bits_of(x > pick(search.second, count));
      count = count + count + bits_of(x > pick(search.third, count));
      count = count + count + bits_of(x > pick(search.fourth, count));
      return V(0.f) - xsimd::to_float(count);
    }
#endif
    if constexpr (simd::bounds_of<Bounds> <= 32) {
      return count_below(Bounds::values, x);
    } else {
      float each[V::size];
      x.store_unaligned(each);
      for (float& value : each) value = lane<float>::count_below<Bounds>(value);
      return V::load_unaligned(each);
    }
  }

#if XSIMD_VERSION_MAJOR >= 9
  static I to_bits(V x) noexcept { return xsimd::bitwise_cast<std::int32_t>(x); }
  static V from_bits(I x) noexcept { return xsimd::bitwise_cast<float>(x); }
#else
  static I to_bits(V x) noexcept { return xsimd::bitwise_cast<I>(x); }
  static V from_bits(I x) noexcept { return xsimd::bitwise_cast<V>(x); }
#endif

 private:
#if defined(__AVX2__)
  // -1 where the mask is set.
  static I bits_of(xsimd::batch_bool<float, Arch> mask) noexcept {
    return _mm256_castps_si256(mask);
  }
  // table[i mod 8]
  static V pick(const float (&table)[8], I i) noexcept {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), i);
  }
#endif
};

}  // namespace vq::inline v1

#endif
