// Residual addition on registers: codes of both inputs interleaved as 16-bit pairs, so that one
// vpmaddwd multiplies both by their multipliers and adds them.
#ifndef VQ_SIMD_ADD_HPP
#define VQ_SIMD_ADD_HPP

#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/add.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1 {

#if defined(__x86_64__)

// AVX2 instructions for AVX-512, too: the loads and stores are the limit, not the arithmetic.
template <byte_code A, byte_code B, byte_code Y, class Arch>
  requires(std::derived_from<Arch, simd::avx2> || std::derived_from<Arch, simd::avx512>)
struct kernel<add_codes<A, B, Y>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const add_param& p, const A* a, const B* b, index_type count,
                                   Y* y) const noexcept {
    const constants k(p);
    index_type i = 0;
    for (; i + 16 <= count; i += 16) sixteen(k, a + i, b + i, y + i);
    if (i < count) {
      A a_end[16] = {};
      B b_end[16] = {};
      Y y_end[16];
      std::memcpy(a_end, a + i, static_cast<std::size_t>(count - i));
      std::memcpy(b_end, b + i, static_cast<std::size_t>(count - i));
      sixteen(k, a_end, b_end, y_end);
      std::memcpy(y + i, y_end, static_cast<std::size_t>(count - i));
    }
  }

 private:
  struct constants {
    __m256i a_zero, b_zero, high, low, slack, half, zero, lowest, highest;
    __m128i shift;

    VQ_INLINE explicit constants(const add_param& p) noexcept
        : a_zero(_mm256_set1_epi16(static_cast<short>(p.a_zero_point))),
          b_zero(_mm256_set1_epi16(static_cast<short>(p.b_zero_point))),
          high(_mm256_set1_epi32(p.a_high | p.b_high << 16)),
          low(_mm256_set1_epi32(p.a_low | p.b_low << 16)),
          slack(_mm256_set1_epi32(add_param::slack)),
          half(_mm256_set1_epi32(1 << (p.shift - 1))),
          zero(_mm256_set1_epi16(static_cast<short>(p.zero_point))),
          lowest(_mm256_set1_epi16(static_cast<short>(p.lowest))),
          highest(_mm256_set1_epi16(static_cast<short>(p.highest))),
          shift(_mm_cvtsi32_si128(p.shift)) {}
  };

  template <class T>
  VQ_INLINE static __m256i widen(const T* codes, __m256i zero_point) noexcept {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    const __m256i wide =
        std::is_signed_v<T> ? _mm256_cvtepi8_epi16(narrow) : _mm256_cvtepu8_epi16(narrow);
    return _mm256_sub_epi16(wide, zero_point);
  }
  VQ_INLINE static __m256i rescale(const constants& k, __m256i pairs) noexcept {
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(pairs, k.low), k.slack);
    const __m256i high = _mm256_add_epi32(_mm256_madd_epi16(pairs, k.high), k.half);
    return _mm256_sra_epi32(_mm256_add_epi32(high, _mm256_srai_epi32(low, 15)), k.shift);
  }
  // Saturating to 16 bits on the way changes nothing: the result is clamped to fewer.
  VQ_INLINE static void sixteen(const constants& k, const A* a, const B* b, Y* y) noexcept {
    const __m256i from_a = widen(a, k.a_zero), from_b = widen(b, k.b_zero);
    const __m256i steps = _mm256_packs_epi32(rescale(k, _mm256_unpacklo_epi16(from_a, from_b)),
                                             rescale(k, _mm256_unpackhi_epi16(from_a, from_b)));
    const __m256i codes =
        _mm256_min_epi16(_mm256_max_epi16(_mm256_adds_epi16(steps, k.zero), k.lowest), k.highest);
    const __m128i first = _mm256_castsi256_si128(codes);
    const __m128i last = _mm256_extracti128_si256(codes, 1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), std::is_signed_v<Y>
                                                        ? _mm_packs_epi16(first, last)
                                                        : _mm_packus_epi16(first, last));
  }
};

#endif

}  // namespace vq::inline v1

#endif
