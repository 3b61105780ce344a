// Numbers of 16 bits in pairs, for CPUs without dot products of bytes: two products of at most 2^15
// each are added in 32 bits. Names as in byte_lanes.hpp, and
//
//   add_products(s, a, b)   s plus the products of each pair
//   upper<A>(x)             the upper byte of each 16 bits as a number, signed as A is
//   first_pair, last_pair   the signed bytes 0 and 1 (2 and 3) of each 32 bits as numbers
//   store_wide<A>(from, to) as many codes as fit, to numbers in memory
#ifndef VQ_SIMD_PAIR_LANES_HPP
#define VQ_SIMD_PAIR_LANES_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/simd/byte_lanes.hpp>
#include <vq/simd/dot_product.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

template <class Arch>
concept multiplies_pairs = !has_dot_product<std::uint8_t, Arch> &&
                           (std::same_as<Arch, sse2> || std::same_as<Arch, sse4_1> ||
                            std::derived_from<Arch, avx2> || std::derived_from<Arch, avx512>);

template <int Lanes>
struct pair_lanes;

#if defined(__x86_64__)

template <>
struct pair_lanes<1> : byte_lanes<1> {
  VQ_INLINE static __m128i add_products(__m128i s, __m128i a, __m128i b) {
    return _mm_add_epi32(s, _mm_madd_epi16(a, b));
  }
  template <class A>
  VQ_INLINE static __m128i upper(__m128i x) {
    return std::is_signed_v<A> ? _mm_srai_epi16(x, 8) : _mm_srli_epi16(x, 8);
  }
  VQ_INLINE static __m128i first_pair(__m128i x) { return last_pair(_mm_slli_epi32(x, 16)); }
  VQ_INLINE static __m128i last_pair(__m128i x) {
    const __m128i low = _mm_srli_epi32(_mm_srai_epi16(_mm_slli_epi32(x, 8), 8), 16);
    return _mm_or_si128(low, _mm_and_si128(_mm_srai_epi16(x, 8), _mm_set1_epi32(-0x10000)));
  }
  template <class A>
  VQ_INLINE static void store_wide(const A* from, std::int16_t* to) {
    const __m128i narrow = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), upper<A>(low_bytes(narrow, narrow)));
  }
};

#endif
#if defined(__AVX2__)

template <>
struct pair_lanes<2> : byte_lanes<2> {
  // In assembly: GCC 12 puts all products of a tile before all sums, and so runs out of registers.
  VQ_INLINE static __m256i add_products(__m256i s, __m256i a, __m256i b) {
    __m256i products;
    asm("{vpmaddwd %3, %2, %1|vpmaddwd %1, %2, %3}\n\t{vpaddd %1, %0, %0|vpaddd %0, %0, %1}"
        : "+x"(s), "=&x"(products)
        : "x"(a), "x"(b));
    return s;
  }
  template <class A>
  VQ_INLINE static __m256i upper(__m256i x) {
    return std::is_signed_v<A> ? _mm256_srai_epi16(x, 8) : _mm256_srli_epi16(x, 8);
  }
  VQ_INLINE static __m256i first_pair(__m256i x) { return last_pair(_mm256_slli_epi32(x, 16)); }
  VQ_INLINE static __m256i last_pair(__m256i x) {
    const __m256i low = _mm256_srai_epi32(_mm256_slli_epi32(x, 8), 24);
    return _mm256_blend_epi16(low, _mm256_srai_epi16(x, 8), 0xaa);
  }
  template <class A>
  VQ_INLINE static void store_wide(const A* from, std::int16_t* to) {
    const __m128i narrow = byte_lanes<1>::load(from);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), std::is_signed_v<A>
                                                            ? _mm256_cvtepi8_epi16(narrow)
                                                            : _mm256_cvtepu8_epi16(narrow));
  }
};

#endif
}  // namespace vq::inline v1::simd

#endif
