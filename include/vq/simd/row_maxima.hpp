// The largest element of each of `width` registers of int32, as one register: a transposition that
// halves the work at every step, instead of one reduction for each register. And what fills them.
#ifndef VQ_SIMD_ROW_MAXIMA_HPP
#define VQ_SIMD_ROW_MAXIMA_HPP

#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/simd/codes.hpp>

namespace vq::inline v1::simd {

#if defined(__x86_64__)

// Four registers to one with four rows in each 128-bit lane.
template <class Arch>
VQ_INLINE ints<Arch> four_row_maxima(const ints<Arch>* row) noexcept {
  using I = ints<Arch>;
  const auto pair = [](I a, I b) -> I {  // a b a b
    if constexpr (I::size == 4) {
      return (xsimd::max)(I(_mm_unpacklo_epi32(a, b)), I(_mm_unpackhi_epi32(a, b)));
    }
#if defined(__AVX2__)
    if constexpr (I::size == 8) {
      return _mm256_max_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    }
#endif
#if defined(__AVX512F__)
    if constexpr (I::size == 16) {
      return _mm512_max_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    }
#endif
  };
  const I a = pair(row[0], row[1]), b = pair(row[2], row[3]);
  if constexpr (I::size == 4) {
    return (xsimd::max)(I(_mm_unpacklo_epi64(a, b)), I(_mm_unpackhi_epi64(a, b)));
  }
#if defined(__AVX2__)
  if constexpr (I::size == 8) {
    return _mm256_max_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  }
#endif
#if defined(__AVX512F__)
  if constexpr (I::size == 16) {
    return _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  }
#endif
}

template <class Arch>
VQ_INLINE ints<Arch> row_maxima(const ints<Arch> (&row)[lanes_of<Arch>]) noexcept {
  using I = ints<Arch>;
  if constexpr (I::size == 4) return four_row_maxima<Arch>(row);
#if defined(__AVX2__)
  if constexpr (I::size == 8) {
    const I a = four_row_maxima<Arch>(row), b = four_row_maxima<Arch>(row + 4);
    return _mm256_max_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
  }
#endif
#if defined(__AVX512F__)
  if constexpr (I::size == 16) {
    const auto pair = [](I a, I b) -> I {  // lanes a a b b
      return _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xdd));
    };
    const I a = pair(four_row_maxima<Arch>(row), four_row_maxima<Arch>(row + 4));
    const I b = pair(four_row_maxima<Arch>(row + 8), four_row_maxima<Arch>(row + 12));
    return pair(a, b);
  }
#endif
}

#else

template <class Arch>
VQ_INLINE ints<Arch> row_maxima(const ints<Arch> (&row)[lanes_of<Arch>]) noexcept {
  std::int32_t most[lanes_of<Arch>] = {};
  for (std::size_t r = 0; r < lanes_of<Arch>; ++r) {
    std::int32_t each[lanes_of<Arch>];
    row[r].store_unaligned(each);
    for (const std::int32_t value : each) most[r] = value > most[r] ? value : most[r];
  }
  return ints<Arch>::load_unaligned(most);
}

#endif

// The largest magnitudes in x, as bits, one in each lane; NaN and infinity come last in their order.
// size >= width.
template <class Arch>
VQ_INLINE ints<Arch> largest_bits(const float* x, index_type size) noexcept {
  using V = floats<Arch>;
  using I = ints<Arch>;
  constexpr index_type width = lane<V>::size;
  const auto bits = [&](index_type i) {
    return lane<V>::to_bits(V::load_unaligned(x + i)) & I(0x7fffffff);
  };
  I a = bits(0), b = a;
  index_type i = width;
  for (; i + 2 * width <= size; i += 2 * width) {
    a = (xsimd::max)(a, bits(i));
    b = (xsimd::max)(b, bits(i + width));
  }
  for (; i + width <= size; i += width) a = (xsimd::max)(a, bits(i));
  if (i < size) b = (xsimd::max)(b, bits(size - width));  // some of them again
  return (xsimd::max)(a, b);
}

}  // namespace vq::inline v1::simd

#endif
