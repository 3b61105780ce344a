// The taps of a depthwise convolution on registers: 16 channels at a time, four positions at once,
// so that every weight is widened once for four of them.
//
//   avx512, avx2   the codes of a as unsigned 16-bit numbers in 32-bit lanes (signed ones + 128),
//                  vpmaddwd with the weights: the other half of each lane is zero
//   neon           smull into 16 bits (a as signed codes), widened and added
#ifndef VQ_SIMD_DEPTHWISE_HPP
#define VQ_SIMD_DEPTHWISE_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

// 16 channels of one tap: sums, the widened weights, and shift (see multiply_taps).
template <class A, class Arch>
struct tap_block;

#if defined(__x86_64__)

template <class A, std::derived_from<avx512> Arch>
struct tap_block<A, Arch> {
  struct sums {
    __m512i v;
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 128 : 0; }

  VQ_INLINE static sums begin(const std::int32_t* start) { return {_mm512_loadu_si512(start)}; }
  VQ_INLINE static sums weights(const std::int8_t* b) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)))};
  }
  VQ_INLINE static void add(sums& s, const A* a, const sums& w) {
    __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    if (std::is_signed_v<A>) codes = _mm_xor_si128(codes, _mm_set1_epi8(-128));
    s.v = _mm512_add_epi32(s.v, _mm512_madd_epi16(_mm512_cvtepu8_epi32(codes), w.v));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { _mm512_storeu_si512(c, s.v); }
};

template <class A>
struct tap_block<A, avx2> {
  struct sums {
    __m256i v[2];
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 128 : 0; }

  VQ_INLINE static sums begin(const std::int32_t* start) {
    const auto* from = reinterpret_cast<const __m256i*>(start);
    return {{_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1)}};
  }
  VQ_INLINE static sums weights(const std::int8_t* b) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b));
    return {{_mm256_cvtepi8_epi32(codes), _mm256_cvtepi8_epi32(_mm_srli_si128(codes, 8))}};
  }
  VQ_INLINE static void add(sums& s, const A* a, const sums& w) {
    __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a));
    if (std::is_signed_v<A>) codes = _mm_xor_si128(codes, _mm_set1_epi8(-128));
    const __m256i low = _mm256_cvtepu8_epi32(codes);
    const __m256i high = _mm256_cvtepu8_epi32(_mm_srli_si128(codes, 8));
    s.v[0] = _mm256_add_epi32(s.v[0], _mm256_madd_epi16(low, w.v[0]));
    s.v[1] = _mm256_add_epi32(s.v[1], _mm256_madd_epi16(high, w.v[1]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    auto* to = reinterpret_cast<__m256i*>(c);
    _mm256_storeu_si256(to, s.v[0]);
    _mm256_storeu_si256(to + 1, s.v[1]);
  }
};

#elif defined(__aarch64__)

template <class A, std::derived_from<neon> Arch>
struct tap_block<A, Arch> {
  struct sums {
    int32x4_t v[4];
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 0 : -128; }

  VQ_INLINE static sums begin(const std::int32_t* start) {
    return {{vld1q_s32(start), vld1q_s32(start + 4), vld1q_s32(start + 8), vld1q_s32(start + 12)}};
  }
  VQ_INLINE static int8x16_t weights(const std::int8_t* b) { return vld1q_s8(b); }
  VQ_INLINE static void add(sums& s, const A* a, int8x16_t w) {
    int8x16_t codes = vld1q_s8(reinterpret_cast<const std::int8_t*>(a));
    if (!std::is_signed_v<A>) codes = veorq_s8(codes, vdupq_n_s8(-128));
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(w));
    const int16x8_t high = vmull_high_s8(codes, w);
    s.v[0] = vaddw_s16(s.v[0], vget_low_s16(low));
    s.v[1] = vaddw_high_s16(s.v[1], low);
    s.v[2] = vaddw_s16(s.v[2], vget_low_s16(high));
    s.v[3] = vaddw_high_s16(s.v[3], high);
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    for (int i = 0; i < 4; ++i) vst1q_s32(c + 4 * i, s.v[i]);
  }
};

#endif

template <class A, class Arch>
concept has_tap_block = requires { tap_block<A, Arch>::shift(); };

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code A, class Arch>
  requires simd::has_tap_block<A, Arch>
struct kernel<multiply_taps<A>, simd::on<Arch>> {
  using unit = simd::tap_block<A, Arch>;
  static constexpr std::int32_t shift() noexcept { return unit::shift(); }

  [[gnu::flatten]] void operator()(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                                   index_type blocks, const std::int32_t* start, std::int32_t* c,
                                   index_type c_step) const noexcept {
    constexpr index_type many = 4;
    for (index_type n = 0; n < blocks * 16; n += 16) {
      index_type m = 0;
      for (; m + many <= a.count; m += many) {
        tile<many>(a, m, n, b + n, b_step, start + n, c + m * c_step + n, c_step);
      }
      for (; m < a.count; ++m)
        tile<1>(a, m, n, b + n, b_step, start + n, c + m * c_step + n, c_step);
    }
  }

 private:
  template <std::size_t Rows>
  VQ_INLINE static void tile(const code_rows<A>& a, index_type m, index_type n,
                             const std::int8_t* b, index_type b_step, const std::int32_t* start,
                             std::int32_t* c, index_type c_step) {
    typename unit::sums sums[Rows];
#pragma GCC unroll 4
    for (int r = 0; r < int{Rows}; ++r) sums[r] = unit::begin(start);
    for (index_type i = 0; i < a.outer; ++i) {
      const A* tap = a.first + m * a.step + i * a.outer_step + n;
      for (index_type j = 0; j < a.inner; ++j, tap += a.inner_step, b += b_step) {
        const auto weights = unit::weights(b);
#pragma GCC unroll 4
        for (int r = 0; r < int{Rows}; ++r) {
          unit::add(sums[r], tap + r * a.step, weights);
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < int{Rows}; ++r) {
      unit::store(sums[r], c + r * c_step);
    }
  }
};

}  // namespace vq::inline v1

#endif
