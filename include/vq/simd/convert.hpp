// half and bfloat16 to floats and back on registers.
//
// half has instructions (F16C, AVX-512, AArch64); where it has none, the reference stays. bfloat16
// is rounded in integers: AVX-512's own conversion takes subnormal numbers for zeros, so it serves
// only registers that hold none.
#ifndef VQ_SIMD_CONVERT_HPP
#define VQ_SIMD_CONVERT_HPP

#include <concepts>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/core/convert.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/held.hpp>

namespace vq::inline v1 {

namespace simd {

// Two registers of floats at a time:
//   load(in, a, b)    from 2 * width narrow floats
//   store(a, b, out)  to as many
template <class Arch, class T>
struct half_registers;

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

template <std::derived_from<avx512> Arch>
struct half_registers<Arch, half> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const half* in, V& a, V& b) noexcept {
    a = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in)));
    b = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + 16)));
  }
  VQ_INLINE static void store(V a, V b, half* out) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16),
                        _mm512_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT));
  }
};

template <std::derived_from<avx512> Arch>
struct half_registers<Arch, bfloat16> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const bfloat16* in, V& a, V& b) noexcept {
    a = widen(in);
    b = widen(in + 16);
  }
  VQ_INLINE static void store(V a, V b, bfloat16* out) noexcept {
#if defined(__AVX512BF16__)
    if constexpr (std::derived_from<Arch, avx512_bf16>) {
      constexpr int subnormal = 0x20;
      const auto tiny = static_cast<unsigned>(_mm512_fpclass_ps_mask(a, subnormal)) |
                        static_cast<unsigned>(_mm512_fpclass_ps_mask(b, subnormal));
      if (tiny == 0) [[likely]] {
        const auto both = _mm512_cvtne2ps_pbh(b, a);
        std::memcpy(&out->bits, &both, sizeof both);
        return;
      }
    }
#endif
    round(held(_mm512_castps_si512(a)), held(_mm512_castps_si512(b)), out);
  }

 private:
  VQ_INLINE static __m512 widen(const bfloat16* in) noexcept {
    const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
  }
  // The upper words of both in turns, a's first, and one more where the lower word is above the
  // middle, or in the middle with an odd upper one.
  VQ_INLINE static void round(__m512i a, __m512i b, bfloat16* out) noexcept {
    constexpr int or_and = 0xf8, or_and_not = 0xf4;  // x | (y & z), x | (y & ~z)
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    const __m512i one = _mm512_set1_epi16(1), middle = _mm512_set1_epi16(-0x8000);
    const __m512i high = _mm512_ternarylogic_epi32(_mm512_srli_epi32(a, 16), b, upper, or_and);
    const __m512i low = _mm512_ternarylogic_epi32(_mm512_slli_epi32(b, 16), a, upper, or_and_not);
    const __m512i beyond = _mm512_ternarylogic_epi32(low, high, one, or_and);
    __m512i words = _mm512_mask_add_epi16(high, _mm512_cmpgt_epu16_mask(beyond, middle), high, one);
    const __mmask16 nan =
        _mm512_cmp_ps_mask(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), _CMP_UNORD_Q);
    if (nan != 0) [[unlikely]] {
      const __m512i infinity = _mm512_set1_epi16(0x7f80);
      const __m512i magnitude = _mm512_and_si512(high, _mm512_set1_epi16(0x7fff));
      const __mmask32 nans =
          _mm512_cmpgt_epu16_mask(magnitude, infinity) |
          (_mm512_cmpeq_epi16_mask(magnitude, infinity) & _mm512_test_epi16_mask(low, low));
      words = _mm512_mask_mov_epi16(words, nans, _mm512_or_si512(high, _mm512_set1_epi16(0x40)));
    }
    alignas(64) constexpr std::uint16_t order[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                     22, 24, 26, 28, 30, 1,  3,  5,  7,  9,  11,
                                                     13, 15, 17, 19, 21, 23, 25, 27, 29, 31};
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(_mm512_load_si512(order), words));
  }
};

#endif

#if defined(__AVX2__)

#if defined(__F16C__)
template <std::derived_from<avx2> Arch>
struct half_registers<Arch, half> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const half* in, V& a, V& b) noexcept {
    a = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
    b = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 8)));
  }
  VQ_INLINE static void store(V a, V b, half* out) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8),
                     _mm256_cvtps_ph(b, _MM_FROUND_TO_NEAREST_INT));
  }
};
#endif

template <std::derived_from<avx2> Arch>
struct half_registers<Arch, bfloat16> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const bfloat16* in, V& a, V& b) noexcept {
    a = widen(in);
    b = widen(in + 8);
  }
  VQ_INLINE static void store(V a, V b, bfloat16* out) noexcept {
    __m256i low = round(a), high = round(b);
    if (_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_UNORD_Q)) != 0) [[unlikely]] {
      low = with_nan(low, a);
      high = with_nan(high, b);
    }
    const __m256i both =
        _mm256_packs_epi32(_mm256_srai_epi32(low, 16), _mm256_srai_epi32(high, 16));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm256_permute4x64_epi64(both, 0b11'01'10'00));
  }

 private:
  VQ_INLINE static __m256 widen(const bfloat16* in) noexcept {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16));
  }
  // With the result in the upper half of each element.
  VQ_INLINE static __m256i round(__m256 x) noexcept {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  }
  VQ_INLINE static __m256i with_nan(__m256i rounded, __m256 x) noexcept {
    const __m256i quiet = _mm256_or_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(rounded, quiet, is_nan);
  }
};

#endif

#if defined(__aarch64__)

template <std::derived_from<neon> Arch>
struct half_registers<Arch, half> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const half* in, V& a, V& b) noexcept {
    const float16x8_t both = vreinterpretq_f16_u16(vld1q_u16(&in->bits));
    a = vcvt_f32_f16(vget_low_f16(both));
    b = vcvt_high_f32_f16(both);
  }
  VQ_INLINE static void store(V a, V b, half* out) noexcept {
    vst1q_u16(&out->bits, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a), b)));
  }
};

template <std::derived_from<neon> Arch>
struct half_registers<Arch, bfloat16> {
  using V = floats<Arch>;
  VQ_INLINE static void load(const bfloat16* in, V& a, V& b) noexcept {
    const uint16x8_t both = vld1q_u16(&in->bits);
    a = vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(both), 16));
    b = vreinterpretq_f32_u32(vshll_high_n_u16(both, 16));
  }
  VQ_INLINE static void store(V a, V b, bfloat16* out) noexcept {
    vst1q_u16(&out->bits, vshrn_high_n_u32(vshrn_n_u32(round(a), 16), round(b), 16));
  }

 private:
  VQ_INLINE static uint32x4_t round(float32x4_t x) noexcept {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vbslq_u32(vceqq_f32(x, x), rounded, quiet);
  }
};

#endif

template <class Arch, class T>
concept has_half_registers = requires { typename half_registers<Arch, T>::V; };

}  // namespace simd

template <narrow_float T, class Arch>
  requires simd::has_half_registers<Arch, T>
struct kernel<widen_floats<T>, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  static constexpr index_type width = lane<V>::size, step = 2 * width;

  [[gnu::flatten]] void operator()(const T* in, index_type count, float* out) const noexcept {
    V a, b;
    index_type i = 0;
    for (; i + step <= count; i += step) {
      simd::half_registers<Arch, T>::load(in + i, a, b);
      a.store_unaligned(out + i);
      b.store_unaligned(out + i + width);
    }
    if (i < count) {
      T padded[2 * simd::lanes_of<Arch>];
      for (index_type k = 0; k < count - i; ++k) padded[k] = in[i + k];
      simd::half_registers<Arch, T>::load(padded, a, b);
      simd::store_some<Arch>(a, out + i, count - i);
      if (count - i > width) simd::store_some<Arch>(b, out + i + width, count - i - width);
    }
  }
};

template <narrow_float T, class Arch>
  requires simd::has_half_registers<Arch, T>
struct kernel<narrow_floats<T>, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  static constexpr index_type width = lane<V>::size, step = 2 * width;

  [[gnu::flatten]] void operator()(const float* in, index_type count, T* out) const noexcept {
    index_type i = 0;
    for (; i + step <= count; i += step) {
      simd::prefetch_write(out + i);
      simd::half_registers<Arch, T>::store(V::load_unaligned(in + i),
                                           V::load_unaligned(in + i + width), out + i);
    }
    if (i < count) {
      const index_type left = count - i;
      const V a = simd::load_some<Arch>(in + i, left, 0.f);
      const V b = left > width ? simd::load_some<Arch>(in + i + width, left - width, 0.f) : V(0.f);
      T padded[2 * simd::lanes_of<Arch>];
      simd::half_registers<Arch, T>::store(a, b, padded);
      for (index_type k = 0; k < left; ++k) out[i + k] = padded[k];
    }
  }
};

}  // namespace vq::inline v1

#endif
