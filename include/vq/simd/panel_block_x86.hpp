// The integer product on x86 without dot products of bytes: widened to 16 bits, vpmaddwd adds two
// products of at most 2^15 each in int32.
#ifndef VQ_SIMD_PANEL_BLOCK_X86_HPP
#define VQ_SIMD_PANEL_BLOCK_X86_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/panel_block.hpp>

namespace vq::inline v1::simd {

#if defined(__x86_64__)

template <class A>
struct panel_block<A, avx512> {
  struct block {
    __m512i v[2];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m512i v[2];
  };
  static constexpr int tile_blocks = 2;
  static constexpr int tile_rows(int blocks) { return blocks == 2 ? 4 : 6; }

  VQ_INLINE static block load(const std::int8_t* b) {
    const auto* from = reinterpret_cast<const __m256i*>(b);
    return {{held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from))),
             held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from + 1)))}};
  }
  VQ_INLINE static __m512i spread(std::int32_t bits) {
    const __m256i codes = _mm256_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm512_cvtepi8_epi16(codes) : _mm512_cvtepu8_epi16(codes);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    const auto* from = reinterpret_cast<const __m256i*>(start);
    return {{_mm512_cvtepu32_epi64(_mm256_loadu_si256(from)),
             _mm512_cvtepu32_epi64(_mm256_loadu_si256(from + 1))}};
  }
  VQ_INLINE static void add(sums& s, __m512i a, const block& b) {
    s.v[0] = _mm512_add_epi32(s.v[0], _mm512_madd_epi16(a, b.v[0]));
    s.v[1] = _mm512_add_epi32(s.v[1], _mm512_madd_epi16(a, b.v[1]));
  }
  VQ_INLINE static __m512i total(const sums& s) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_permutex2var_epi32(s.v[0], even, s.v[1]),
                            _mm512_permutex2var_epi32(s.v[0], odd, s.v[1]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { _mm512_storeu_si512(c, total(s)); }
};

template <class A, std::derived_from<avx2> Arch>
  requires(!has_dot_product<std::uint8_t, Arch>)
struct panel_block<A, Arch> {
  struct block {
    __m256i v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m256i v[4];
  };
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 2; }

  VQ_INLINE static block load(const std::int8_t* b) {
    const auto* from = reinterpret_cast<const __m128i*>(b);
    return {{held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 2))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 3)))}};
  }
  VQ_INLINE static __m256i spread(std::int32_t bits) {
    const __m128i codes = _mm_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    const auto* from = reinterpret_cast<const __m128i*>(start);
    return {{_mm256_cvtepu32_epi64(_mm_loadu_si128(from)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 1)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 2)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 3))}};
  }
  VQ_INLINE static void add(sums& s, __m256i a, const block& b) {
    s.v[0] = _mm256_add_epi32(s.v[0], _mm256_madd_epi16(a, b.v[0]));
    s.v[1] = _mm256_add_epi32(s.v[1], _mm256_madd_epi16(a, b.v[1]));
    s.v[2] = _mm256_add_epi32(s.v[2], _mm256_madd_epi16(a, b.v[2]));
    s.v[3] = _mm256_add_epi32(s.v[3], _mm256_madd_epi16(a, b.v[3]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 2; ++i) {  // 8 columns each; hadd works in 128-bit halves
      const __m256i halves = _mm256_hadd_epi32(s.v[2 * i], s.v[2 * i + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + 8 * i),
                          _mm256_permute4x64_epi64(halves, 0xd8));
    }
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
