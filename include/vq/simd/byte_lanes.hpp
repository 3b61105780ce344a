// Registers of bytes and of 32-bit sums under the same names for every width, so that one text of a
// unit serves 1, 2 and 4 lanes of 128 bits. What moves bytes stays within a lane.
//
//   codes, sums            64 codes are 16 sums; on x86 both are the same type
//   load, load_sums, spread, store, scatter
//   low_bytes, high_bytes  the bytes of the lower (upper) half of each lane, in turn from a and b
//   low_pairs, high_pairs  the same for pairs of bytes
//   moved_up               0, and the first three bytes of each 32 bits
#ifndef VQ_SIMD_BYTE_LANES_HPP
#define VQ_SIMD_BYTE_LANES_HPP

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/core/config.hpp>

namespace vq::inline v1::simd {

template <int Lanes>
struct byte_lanes;

#if defined(__x86_64__)

template <>
struct byte_lanes<1> {
  using codes = __m128i;
  using sums = __m128i;

  VQ_INLINE static codes none() { return _mm_setzero_si128(); }
  VQ_INLINE static codes load(const void* from) {
    return _mm_loadu_si128(static_cast<const __m128i*>(from));
  }
  VQ_INLINE static sums load_sums(const std::int32_t* from) { return load(from); }
  VQ_INLINE static codes spread(std::int32_t four) { return _mm_set1_epi32(four); }
  VQ_INLINE static void store(std::int32_t* to, sums s) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), s);
  }
  // The lanes of s to places `step` apart.
  VQ_INLINE static void scatter(std::int32_t* to, int, sums s) { store(to, s); }
  VQ_INLINE static codes low_bytes(codes a, codes b) { return _mm_unpacklo_epi8(a, b); }
  VQ_INLINE static codes high_bytes(codes a, codes b) { return _mm_unpackhi_epi8(a, b); }
  VQ_INLINE static codes low_pairs(codes a, codes b) { return _mm_unpacklo_epi16(a, b); }
  VQ_INLINE static codes high_pairs(codes a, codes b) { return _mm_unpackhi_epi16(a, b); }
  VQ_INLINE static codes moved_up(codes x) { return _mm_slli_epi32(x, 8); }
};

#if defined(__AVX2__)

template <>
struct byte_lanes<2> {
  using codes = __m256i;
  using sums = __m256i;

  VQ_INLINE static codes none() { return _mm256_setzero_si256(); }
  VQ_INLINE static codes load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  VQ_INLINE static sums load_sums(const std::int32_t* from) { return load(from); }
  VQ_INLINE static codes spread(std::int32_t four) { return _mm256_set1_epi32(four); }
  VQ_INLINE static void store(std::int32_t* to, sums s) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), s);
  }
  VQ_INLINE static void scatter(std::int32_t* to, int step, sums s) {
    byte_lanes<1>::store(to, _mm256_castsi256_si128(s));
    byte_lanes<1>::store(to + step, _mm256_extracti128_si256(s, 1));
  }
  VQ_INLINE static codes low_bytes(codes a, codes b) { return _mm256_unpacklo_epi8(a, b); }
  VQ_INLINE static codes high_bytes(codes a, codes b) { return _mm256_unpackhi_epi8(a, b); }
  VQ_INLINE static codes low_pairs(codes a, codes b) { return _mm256_unpacklo_epi16(a, b); }
  VQ_INLINE static codes high_pairs(codes a, codes b) { return _mm256_unpackhi_epi16(a, b); }
  VQ_INLINE static codes moved_up(codes x) { return _mm256_slli_epi32(x, 8); }
};

#endif
#if defined(__AVX512BW__)

template <>
struct byte_lanes<4> {
  using codes = __m512i;
  using sums = __m512i;

  VQ_INLINE static codes none() { return _mm512_setzero_si512(); }
  VQ_INLINE static codes load(const void* from) { return _mm512_loadu_si512(from); }
  VQ_INLINE static sums load_sums(const std::int32_t* from) { return load(from); }
  VQ_INLINE static codes spread(std::int32_t four) { return _mm512_set1_epi32(four); }
  VQ_INLINE static void store(std::int32_t* to, sums s) { _mm512_storeu_si512(to, s); }
  VQ_INLINE static void scatter(std::int32_t* to, int step, sums s) {
    byte_lanes<1>::store(to, _mm512_castsi512_si128(s));
    byte_lanes<1>::store(to + step, _mm512_extracti32x4_epi32(s, 1));
    byte_lanes<1>::store(to + 2 * step, _mm512_extracti32x4_epi32(s, 2));
    byte_lanes<1>::store(to + 3 * step, _mm512_extracti32x4_epi32(s, 3));
  }
  VQ_INLINE static codes low_bytes(codes a, codes b) { return _mm512_unpacklo_epi8(a, b); }
  VQ_INLINE static codes high_bytes(codes a, codes b) { return _mm512_unpackhi_epi8(a, b); }
  VQ_INLINE static codes low_pairs(codes a, codes b) { return _mm512_unpacklo_epi16(a, b); }
  VQ_INLINE static codes high_pairs(codes a, codes b) { return _mm512_unpackhi_epi16(a, b); }
  VQ_INLINE static codes moved_up(codes x) { return _mm512_slli_epi32(x, 8); }
};

#endif

#elif defined(__aarch64__)

template <>
struct byte_lanes<1> {
  using codes = int8x16_t;
  using sums = int32x4_t;

  VQ_INLINE static codes none() { return vdupq_n_s8(0); }
  VQ_INLINE static codes load(const void* from) {
    return vld1q_s8(static_cast<const std::int8_t*>(from));
  }
  VQ_INLINE static sums load_sums(const std::int32_t* from) { return vld1q_s32(from); }
  VQ_INLINE static codes spread(std::int32_t four) {
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  VQ_INLINE static void store(std::int32_t* to, sums s) { vst1q_s32(to, s); }
  VQ_INLINE static void scatter(std::int32_t* to, int, sums s) { store(to, s); }
  VQ_INLINE static codes low_bytes(codes a, codes b) { return vzip1q_s8(a, b); }
  VQ_INLINE static codes high_bytes(codes a, codes b) { return vzip2q_s8(a, b); }
  VQ_INLINE static codes low_pairs(codes a, codes b) {
    return vreinterpretq_s8_s16(vzip1q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
  }
  VQ_INLINE static codes high_pairs(codes a, codes b) {
    return vreinterpretq_s8_s16(vzip2q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
  }
  VQ_INLINE static codes moved_up(codes x) {
    return vreinterpretq_s8_s32(vshlq_n_s32(vreinterpretq_s32_s8(x), 8));
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
