// The largest element of each of `width` registers of int32, as one register: a transposition that
// halves the work at every step, instead of one reduction for each register. And what fills them, and
// the parameters of as many runs of values that follow from it.
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

#if defined(__AVX512F__)
// Elements Apart from each other become one: of a where the mask is clear, else of b. Of three
// instructions one is a shuffle, for which there is a single port.
template <int Apart, std::uint16_t Mask>
VQ_INLINE __m512i joined_maxima(__m512i a, __m512i b) noexcept {
  constexpr auto at = [](int i) { return (i ^ Apart) + (i & Apart ? 16 : 0); };
  const __m512i other =
      _mm512_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9),
                        at(10), at(11), at(12), at(13), at(14), at(15));
  return _mm512_max_epi32(_mm512_mask_mov_epi32(a, Mask, b),
                          _mm512_permutex2var_epi32(a, other, b));
}
#endif

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
    I half[8], quarter[4];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) half[r] = joined_maxima<8, 0xff00>(row[r], row[r + 8]);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) quarter[r] = joined_maxima<4, 0xf0f0>(half[r], half[r + 4]);
    const I even = joined_maxima<2, 0xcccc>(quarter[0], quarter[2]);
    return joined_maxima<1, 0xaaaa>(even, joined_maxima<2, 0xcccc>(quarter[1], quarter[3]));
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

// Fits `rows` <= width rows of `length` >= width values that lie one after another, all in one
// register. Returns the largest magnitude of each as bits, 0 beyond.
template <class Arch, class Policy>
VQ_INLINE ints<Arch> fit_rows(const Policy& policy, const float* in, index_type length,
                              index_type rows, typename Policy::param_type* params) noexcept {
  using I = ints<Arch>;
  I most[lanes_of<Arch>];
  for (index_type r = 0; r < lane<floats<Arch>>::size; ++r) {
    most[r] = r < rows ? largest_bits<Arch>(in + r * length, length) : I(0);
  }
  const I absmax = row_maxima<Arch>(most);
  float scale[lanes_of<Arch>];
  policy.fit_absmax(lane<floats<Arch>>::from_bits(absmax)).store_unaligned(scale);
  for (index_type r = 0; r < rows; ++r) params[r] = policy.param_of(scale[r]);
  return absmax;
}

}  // namespace vq::inline v1::simd

#endif
