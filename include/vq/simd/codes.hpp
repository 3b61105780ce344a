// A register of codes (as floats) to and from memory, in any layout.
//
// The general path goes through a small array and the layout's own load and store, one code at a
// time; bytes have instructions for it where the architecture offers them. Both move integers that
// fit, so both give the same bytes.
#ifndef VQ_SIMD_CODES_HPP
#define VQ_SIMD_CODES_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <vq/core/code_layout.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/lane.hpp>

namespace vq::inline v1::simd {

// For the extents of arrays, which are unsigned.
template <class Arch>
inline constexpr std::size_t lanes_of = floats<Arch>::size;

template <class Arch, class Layout, class Code>
struct codes {
  using V = floats<Arch>;
  using stored_type = typename Layout::template stored_type<Code>;
  static constexpr index_type width = lane<V>::size;
  static constexpr bool is_byte = std::is_same_v<Layout, bytes> && sizeof(Code) == 1;

  // The codes at positions [i, i + count), count <= width; lanes beyond are zero.
  static V load(const stored_type* in, index_type i, index_type count) noexcept {
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    if constexpr (is_byte && std::derived_from<Arch, avx512>) {
      const auto mask = static_cast<__mmask16>((1u << count) - 1u);
      const __m128i narrow = _mm_maskz_loadu_epi8(mask, in + i);
      return _mm512_cvtepi32_ps(std::is_signed_v<Code> ? _mm512_cvtepi8_epi32(narrow)
                                                       : _mm512_cvtepu8_epi32(narrow));
    }
#endif
#if defined(__AVX2__)
    if constexpr (is_byte && std::derived_from<Arch, avx2>) {
      if (count == width) {
        const __m128i narrow = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in + i));
        return _mm256_cvtepi32_ps(std::is_signed_v<Code> ? _mm256_cvtepi8_epi32(narrow)
                                                         : _mm256_cvtepu8_epi32(narrow));
      }
    }
#endif
    float wide[lanes_of<Arch>] = {};
    for (index_type k = 0; k < count; ++k) {
      wide[k] = static_cast<float>(Layout::template load<Code>(in, i + k));
    }
    return V::load_unaligned(wide);
  }

  // Stores the first `count` lanes as the codes at positions [i, i + count).
  static void store(V code, stored_type* out, index_type i, index_type count) noexcept {
    const ints<Arch> wide = xsimd::to_int(code);
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    if constexpr (is_byte && std::derived_from<Arch, avx512>) {
      const auto mask = static_cast<__mmask16>((1u << count) - 1u);
      _mm_mask_storeu_epi8(out + i, mask, _mm512_cvtepi32_epi8(wide));
      return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (is_byte && std::derived_from<Arch, avx2>) {
      if (count == width) {
        const __m128i pairs =
            _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
        const __m128i narrow =
            std::is_signed_v<Code> ? _mm_packs_epi16(pairs, pairs) : _mm_packus_epi16(pairs, pairs);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), narrow);
        return;
      }
    }
#endif
    std::int32_t narrow[lanes_of<Arch>];
    wide.store_unaligned(narrow);
    for (index_type k = 0; k < count; ++k) {
      Layout::store(out, i + k, static_cast<Code>(narrow[k]));
    }
  }

  // The codes at positions [i, i + 4 * width): four registers become one full one.
  static void store_four(const V (&code)[4], stored_type* out, index_type i) noexcept {
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    if constexpr (is_byte && std::derived_from<Arch, avx512>) {
      const __m512i low = _mm512_packs_epi32(xsimd::to_int(code[0]), xsimd::to_int(code[1]));
      const __m512i high = _mm512_packs_epi32(xsimd::to_int(code[2]), xsimd::to_int(code[3]));
      const __m512i mixed =
          std::is_signed_v<Code> ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
      const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
      _mm512_storeu_si512(out + i, _mm512_permutexvar_epi32(order, mixed));
      return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (is_byte && std::derived_from<Arch, avx2>) {
      const __m256i low = _mm256_packs_epi32(xsimd::to_int(code[0]), xsimd::to_int(code[1]));
      const __m256i high = _mm256_packs_epi32(xsimd::to_int(code[2]), xsimd::to_int(code[3]));
      const __m256i mixed =
          std::is_signed_v<Code> ? _mm256_packs_epi16(low, high) : _mm256_packus_epi16(low, high);
      const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                          _mm256_permutevar8x32_epi32(mixed, order));
      return;
    }
#endif
    for (int k = 0; k < 4; ++k) store(code[k], out, i + k * width, width);
  }
};

#if defined(__AVX2__)
// All bits of the first `count` of 8 lanes.
template <class Arch>
VQ_INLINE __m256i first_lanes(index_type count) noexcept {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif

// The first `count` <= width floats; the lanes beyond hold `rest`.
template <class Arch>
VQ_INLINE floats<Arch> load_some(const float* in, index_type count, float rest) noexcept {
  constexpr index_type width = lane<floats<Arch>>::size;
  if (count >= width) return floats<Arch>::load_unaligned(in);
#if defined(__AVX512F__)
  if constexpr (width == 16) {
    const auto mask = static_cast<__mmask16>((1u << count) - 1u);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask, in);
  }
#endif
#if defined(__AVX2__)
  if constexpr (width == 8) {
    const __m256i mask = first_lanes<Arch>(count);
    return _mm256_blendv_ps(_mm256_set1_ps(rest), _mm256_maskload_ps(in, mask),
                            _mm256_castsi256_ps(mask));
  }
#endif
  float padded[lanes_of<Arch>];
  for (index_type k = 0; k < width; ++k) padded[k] = k < count ? in[k] : rest;
  return floats<Arch>::load_unaligned(padded);
}
// Lanes beyond repeat the first, so that they change no reduction; count >= 1.
template <class Arch>
VQ_INLINE floats<Arch> load_some(const float* in, index_type count) noexcept {
  return load_some<Arch>(in, count, in[0]);
}

template <class Arch>
VQ_INLINE void store_some(floats<Arch> x, float* out, index_type count) noexcept {
  constexpr index_type width = lane<floats<Arch>>::size;
  if (count >= width) {
    x.store_unaligned(out);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (width == 16) {
    _mm512_mask_storeu_ps(out, static_cast<__mmask16>((1u << count) - 1u), x);
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (width == 8) {
    _mm256_maskstore_ps(out, first_lanes<Arch>(count), x);
    return;
  }
#endif
  float padded[lanes_of<Arch>];
  x.store_unaligned(padded);
  for (index_type k = 0; k < count; ++k) out[k] = padded[k];
}

// Begins to fetch what a loop reads or writes a few lines after `at`. x86 follows streams of reads by
// itself, if not always early enough, and leaves those of writes to the program. The address is an
// integer, since it may lie beyond all that there is.
template <class T>
VQ_INLINE void prefetch_read([[maybe_unused]] const T* at) noexcept {
#if defined(__x86_64__)
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) + 768));
#endif
}
template <class T>
VQ_INLINE void prefetch_write([[maybe_unused]] const T* at) noexcept {
#if defined(__x86_64__)
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) + 512), 1);
#endif
}

// Calls f(offset, count) for registers that cover `size` values; the last one may be short.
template <class Arch, class F>
VQ_INLINE void for_each_register(index_type size, F f) noexcept {
  constexpr index_type width = lane<floats<Arch>>::size;
  index_type i = 0;
  for (; i + width <= size; i += width) f(i, width);
  if (i < size) f(i, size - i);
}

}  // namespace vq::inline v1::simd

#endif
