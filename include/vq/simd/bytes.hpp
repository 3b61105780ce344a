// Integers in registers as 8-bit codes in memory, and back: narrowing with saturation, which xsimd
// lacks, one instruction set after the other.
//
//   round(x)              to int32, halves to even; NaN and what is below int32 become INT_MIN
//   narrow(a, b)          two registers of int32 as one of int16, saturated, in an order of its own
//   add(p, q)             of such registers, saturated
//   as_pairs(a)           the halves of each int32 as two int16, where they are equal in all of a
//   store<Lowest>(p, q, out)          both as 4 * width codes in memory's order, saturated to the
//                                     type of the codes and not below Lowest
//   store<Lowest>(p, q, out, count)   the first `count` of them
//   load(in), load(in, count)   `width` codes as int32, or the first `count` of them and zeros
#ifndef VQ_SIMD_BYTES_HPP
#define VQ_SIMD_BYTES_HPP

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/simd/execution.hpp>
#include <vq/simd/lane.hpp>

namespace vq::inline v1::simd {

// Not defined for an instruction set without these instructions.
template <class Arch, class Code>
struct byte_codes;

template <class Arch, class Code>
concept has_byte_codes = sizeof(Code) == 1 && requires { byte_codes<Arch, Code>::width; };

// Nothing to raise where Lowest is the end at which the narrowing saturates.
template <class Code, int Lowest>
inline constexpr bool saturates_at = Lowest == (std::numeric_limits<Code>::min)();

// A partial register by way of memory. The copy is a loop of single bytes on purpose: sizes are
// small, and a call would keep the kernel's constants from staying in registers.
template <class Code>
VQ_INLINE void copy_codes(const Code* from, Code* to, index_type count) noexcept {
  for (index_type i = 0; i < count; ++i) to[i] = from[i];
}

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

template <std::derived_from<avx512> Arch, class Code>
struct byte_codes<Arch, Code> {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using pairs = __m512i;
  static constexpr index_type width = 16;

  VQ_INLINE static I round(V x) noexcept { return _mm512_cvtps_epi32(x); }
  VQ_INLINE static pairs narrow(I a, I b) noexcept { return _mm512_packs_epi32(a, b); }
  VQ_INLINE static pairs add(pairs p, pairs q) noexcept { return _mm512_adds_epi16(p, q); }
  VQ_INLINE static pairs as_pairs(I a) noexcept { return a; }

  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out) noexcept {
    _mm512_storeu_si512(out, join<Lowest>(p, q));
  }
  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out, index_type count) noexcept {
    _mm512_mask_storeu_epi8(out, (std::uint64_t{1} << count) - 1, join<Lowest>(p, q));
  }
  VQ_INLINE static I load(const Code* in) noexcept {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    return widen(narrow);
  }
  VQ_INLINE static I load(const Code* in, index_type count) noexcept {
    return widen(_mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1u), in));
  }

 private:
  VQ_INLINE static I widen(__m128i codes) noexcept {
    return std::is_signed_v<Code> ? _mm512_cvtepi8_epi32(codes) : _mm512_cvtepu8_epi32(codes);
  }
  template <int Lowest>
  VQ_INLINE static __m512i join(pairs p, pairs q) noexcept {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i codes = std::is_signed_v<Code> ? _mm512_packs_epi16(p, q) : _mm512_packus_epi16(p, q);
    if constexpr (!saturates_at<Code, Lowest>) {
      const __m512i lowest = _mm512_set1_epi8(static_cast<char>(Lowest));
      codes =
          std::is_signed_v<Code> ? _mm512_max_epi8(codes, lowest) : _mm512_max_epu8(codes, lowest);
    }
    return _mm512_permutexvar_epi32(order, codes);
  }
};

#endif

#if defined(__AVX2__)

template <std::derived_from<avx2> Arch, class Code>
struct byte_codes<Arch, Code> {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using pairs = __m256i;
  static constexpr index_type width = 8;

  VQ_INLINE static I round(V x) noexcept { return _mm256_cvtps_epi32(x); }
  VQ_INLINE static pairs narrow(I a, I b) noexcept { return _mm256_packs_epi32(a, b); }
  VQ_INLINE static pairs add(pairs p, pairs q) noexcept { return _mm256_adds_epi16(p, q); }
  VQ_INLINE static pairs as_pairs(I a) noexcept { return a; }

  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out) noexcept {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i codes = std::is_signed_v<Code> ? _mm256_packs_epi16(p, q) : _mm256_packus_epi16(p, q);
    if constexpr (!saturates_at<Code, Lowest>) {
      const __m256i lowest = _mm256_set1_epi8(static_cast<char>(Lowest));
      codes =
          std::is_signed_v<Code> ? _mm256_max_epi8(codes, lowest) : _mm256_max_epu8(codes, lowest);
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(codes, order));
  }
  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out, index_type count) noexcept {
    Code all[4 * width];
    store<Lowest>(p, q, all);
    copy_codes(all, out, count);
  }
  VQ_INLINE static I load(const Code* in, index_type count) noexcept {
    Code all[width] = {};
    copy_codes(in, all, count);
    return load(all);
  }
  VQ_INLINE static I load(const Code* in) noexcept {
    const __m128i narrow = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in));
    return std::is_signed_v<Code> ? _mm256_cvtepi8_epi32(narrow) : _mm256_cvtepu8_epi32(narrow);
  }
};

#endif

#if defined(__x86_64__)

// With the instructions of SSE2.
template <class Arch, class Code>
  requires(std::same_as<Arch, sse2> || std::same_as<Arch, sse4_1>)
struct byte_codes<Arch, Code> {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using pairs = __m128i;
  static constexpr index_type width = 4;

  VQ_INLINE static I round(V x) noexcept { return _mm_cvtps_epi32(x); }
  VQ_INLINE static pairs narrow(I a, I b) noexcept { return _mm_packs_epi32(a, b); }
  VQ_INLINE static pairs add(pairs p, pairs q) noexcept { return _mm_adds_epi16(p, q); }
  VQ_INLINE static pairs as_pairs(I a) noexcept { return a; }

  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out) noexcept {
    if constexpr (!saturates_at<Code, Lowest>) {  // there is no maximum of int8
      p = _mm_max_epi16(p, _mm_set1_epi16(Lowest));
      q = _mm_max_epi16(q, _mm_set1_epi16(Lowest));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     std::is_signed_v<Code> ? _mm_packs_epi16(p, q) : _mm_packus_epi16(p, q));
  }
  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out, index_type count) noexcept {
    Code all[4 * width];
    store<Lowest>(p, q, all);
    copy_codes(all, out, count);
  }
  VQ_INLINE static I load(const Code* in, index_type count) noexcept {
    Code all[width] = {};
    copy_codes(in, all, count);
    return load(all);
  }
  VQ_INLINE static I load(const Code* in) noexcept {
    int four;
    std::memcpy(&four, in, sizeof four);
    const __m128i bytes = _mm_cvtsi32_si128(four), zero = _mm_setzero_si128();
    if constexpr (std::is_signed_v<Code>) {  // into the top byte, then down with the sign
      return _mm_srai_epi32(_mm_unpacklo_epi16(zero, _mm_unpacklo_epi8(zero, bytes)), 24);
    } else {
      return _mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero);
    }
  }
};

#elif defined(__aarch64__)

template <std::derived_from<neon> Arch, class Code>
struct byte_codes<Arch, Code> {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using pairs = int16x8_t;
  static constexpr index_type width = 4;

  // The conversion turns NaN into 0.
  VQ_INLINE static I round(V x) noexcept {
    const uint32x4_t ordered = vceqq_f32(x, x);
    return vbslq_s32(ordered, vcvtnq_s32_f32(x), vdupq_n_s32(INT32_MIN));
  }
  VQ_INLINE static pairs narrow(I a, I b) noexcept { return vqmovn_high_s32(vqmovn_s32(a), b); }
  VQ_INLINE static pairs add(pairs p, pairs q) noexcept { return vqaddq_s16(p, q); }
  VQ_INLINE static pairs as_pairs(I a) noexcept { return vreinterpretq_s16_s32(a); }

  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out) noexcept {
    if constexpr (std::is_signed_v<Code>) {
      const int8x16_t codes = vqmovn_high_s16(vqmovn_s16(p), q);
      vst1q_s8(out, vmaxq_s8(codes, vdupq_n_s8(Lowest)));
    } else {
      const uint8x16_t codes = vqmovun_high_s16(vqmovun_s16(p), q);
      vst1q_u8(out, vmaxq_u8(codes, vdupq_n_u8(Lowest)));
    }
  }
  template <int Lowest>
  VQ_INLINE static void store(pairs p, pairs q, Code* out, index_type count) noexcept {
    Code all[4 * width];
    store<Lowest>(p, q, all);
    copy_codes(all, out, count);
  }
  VQ_INLINE static I load(const Code* in, index_type count) noexcept {
    Code all[width] = {};
    copy_codes(in, all, count);
    return load(all);
  }
  VQ_INLINE static I load(const Code* in) noexcept {
    std::uint32_t four;
    std::memcpy(&four, in, sizeof four);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(four));
    if constexpr (std::is_signed_v<Code>) {
      return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(bytes))));
    } else {
      return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
    }
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
