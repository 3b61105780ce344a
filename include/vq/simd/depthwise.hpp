// The taps of a depthwise convolution on registers: multiply_taps for each instruction set.
//
// The rows of a kernel column are interleaved by four, [row 0, row 1, row 2, row 3] of each channel
// in 32 bits, so that one dot product adds four taps; a 3x3 kernel takes three instead of nine. An
// interleaved column serves every position whose window it is in: a strip of them lies on the
// stack, and positions with stride 1 read each of them kernel.width times.
//
//   avx512_vnni    vpdpbusd; unsigned a (see product_codes)
//   avx512, avx2   rows in pairs of 16 bits, vpmaddwd
//   neon_dotprod   sdot; signed a
//   neon           smull into 16 bits, added in pairs; signed a
//
// Channels stand as byte interleaving leaves them (taps::place), so narrowing puts them in order.
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
#include <vq/simd/finish.hpp>
#include <vq/simd/held.hpp>

namespace vq::inline v1::simd {

// For one instruction set and `Lanes` lanes of 16 channels, of which a register `quarter` takes 4:
//   lanes                    the most lanes that there is a unit for
//   interleave<Count>(rows, step, quarters)   Count <= 4 rows of codes
//   begin(start), load(b)    sums; weights
//   add(sums, codes, weights)
//   store(sums, c)           4 sums of each lane, lanes 16 apart
template <class A, class Arch, int Lanes>
struct tap_block;

#if defined(__AVX512VNNI__)

template <std::derived_from<avx512_vnni> Arch>
struct tap_block<std::uint8_t, Arch, 4> {
  using sums = __m512i;
  using codes = __m512i;
  static constexpr int most_lanes = 4, positions = 4;

  VQ_INLINE static codes row(const std::uint8_t* a) { return _mm512_loadu_si512(a); }
  template <int Count>
  VQ_INLINE static void interleave(const std::uint8_t* a, index_type step, codes* to) {
    const codes none = _mm512_setzero_si512();
    const codes r0 = row(a), r1 = Count > 1 ? row(a + step) : none;
    const codes r2 = Count > 2 ? row(a + 2 * step) : none,
                r3 = Count > 3 ? row(a + 3 * step) : none;
    const codes low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
    const codes low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);
    to[0] = _mm512_unpacklo_epi16(low01, low23);
    to[1] = _mm512_unpackhi_epi16(low01, low23);
    to[2] = _mm512_unpacklo_epi16(high01, high23);
    to[3] = _mm512_unpackhi_epi16(high01, high23);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return _mm512_loadu_si512(start); }
  VQ_INLINE static __m512i load(const std::int8_t* b) { return held(_mm512_loadu_si512(b)); }
  VQ_INLINE static void add(sums& s, const codes& a, __m512i b) {
    // Around the intrinsic, GCC 12 copies every sum to another register and back.
    asm("{vpdpbusd %2, %1, %0|vpdpbusd %0, %1, %2}" : "+v"(s) : "v"(a), "v"(b));
  }
  VQ_INLINE static __m512i widest(const sums& s) { return s; }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c), _mm512_castsi512_si128(s));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c + 16), _mm512_extracti32x4_epi32(s, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c + 32), _mm512_extracti32x4_epi32(s, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c + 48), _mm512_extracti32x4_epi32(s, 3));
  }
};

template <std::derived_from<avx512_vnni> Arch>
struct tap_block<std::uint8_t, Arch, 2> {
  using sums = __m256i;
  using codes = __m256i;
  static constexpr int most_lanes = 4, positions = 4;

  VQ_INLINE static __m256i of(const void* a) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(a));
  }
  template <int Count>
  VQ_INLINE static void interleave(const std::uint8_t* a, index_type step, codes* to) {
    const codes none = _mm256_setzero_si256();
    const codes r0 = of(a), r1 = Count > 1 ? of(a + step) : none;
    const codes r2 = Count > 2 ? of(a + 2 * step) : none, r3 = Count > 3 ? of(a + 3 * step) : none;
    const codes low01 = _mm256_unpacklo_epi8(r0, r1), high01 = _mm256_unpackhi_epi8(r0, r1);
    const codes low23 = _mm256_unpacklo_epi8(r2, r3), high23 = _mm256_unpackhi_epi8(r2, r3);
    to[0] = _mm256_unpacklo_epi16(low01, low23);
    to[1] = _mm256_unpackhi_epi16(low01, low23);
    to[2] = _mm256_unpacklo_epi16(high01, high23);
    to[3] = _mm256_unpackhi_epi16(high01, high23);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return of(start); }
  VQ_INLINE static __m256i load(const std::int8_t* b) { return held(of(b)); }
  VQ_INLINE static void add(sums& s, const codes& a, __m256i b) {
    s = _mm256_dpbusd_epi32(s, held(a), b);
  }
  VQ_INLINE static __m512i widest(const sums& s) { return _mm512_zextsi256_si512(s); }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c), _mm256_castsi256_si128(s));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c + 16), _mm256_extracti128_si256(s, 1));
  }
};

template <std::derived_from<avx512_vnni> Arch>
struct tap_block<std::uint8_t, Arch, 1> {
  using sums = __m128i;
  using codes = __m128i;
  static constexpr int most_lanes = 4, positions = 4;

  VQ_INLINE static __m128i of(const void* a) {
    return _mm_loadu_si128(static_cast<const __m128i*>(a));
  }
  template <int Count>
  VQ_INLINE static void interleave(const std::uint8_t* a, index_type step, codes* to) {
    const codes none = _mm_setzero_si128();
    const codes r0 = of(a), r1 = Count > 1 ? of(a + step) : none;
    const codes r2 = Count > 2 ? of(a + 2 * step) : none, r3 = Count > 3 ? of(a + 3 * step) : none;
    const codes low01 = _mm_unpacklo_epi8(r0, r1), high01 = _mm_unpackhi_epi8(r0, r1);
    const codes low23 = _mm_unpacklo_epi8(r2, r3), high23 = _mm_unpackhi_epi8(r2, r3);
    to[0] = _mm_unpacklo_epi16(low01, low23);
    to[1] = _mm_unpackhi_epi16(low01, low23);
    to[2] = _mm_unpacklo_epi16(high01, high23);
    to[3] = _mm_unpackhi_epi16(high01, high23);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return of(start); }
  VQ_INLINE static __m128i load(const std::int8_t* b) { return held(of(b)); }
  VQ_INLINE static void add(sums& s, const codes& a, __m128i b) {
    s = _mm_dpbusd_epi32(s, held(a), b);
  }
  VQ_INLINE static __m512i widest(const sums& s) { return _mm512_zextsi128_si512(s); }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c), s);
  }
};

#endif

#if defined(__AVX2__)

template <class A, class Arch>
concept pairs_of_taps = std::same_as<Arch, avx2> || std::same_as<Arch, avx512>;

template <class A, class Arch>
  requires pairs_of_taps<A, Arch>
struct tap_block<A, Arch, 2> {
  using sums = __m256i;
  struct codes {  // rows 0 and 1, rows 2 and 3, as 16-bit pairs
    __m256i v[2];
  };
  static constexpr int most_lanes = 2, positions = 2;

  VQ_INLINE static __m256i of(const void* a) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(a));
  }
  template <int Count>
  VQ_INLINE static void interleave(const A* a, index_type step, codes* to) {
    const __m256i none = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int p = 0; p < 2; ++p) {
      const __m256i even = Count > 2 * p ? of(a + 2 * p * step) : none;
      const __m256i odd = Count > 2 * p + 1 ? of(a + (2 * p + 1) * step) : none;
      // A byte doubled, shifted down by 8: widened with its sign.
      const __m256i low = _mm256_unpacklo_epi8(even, odd), high = _mm256_unpackhi_epi8(even, odd);
      to[0].v[p] = widen(_mm256_unpacklo_epi8(low, low));
      to[1].v[p] = widen(_mm256_unpackhi_epi8(low, low));
      to[2].v[p] = widen(_mm256_unpacklo_epi8(high, high));
      to[3].v[p] = widen(_mm256_unpackhi_epi8(high, high));
    }
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return of(start); }
  VQ_INLINE static codes load(const std::int8_t* b) {
    const __m256i w = of(b);
    const __m256i first = _mm256_slli_epi32(w, 16);
    // [w0, w1] and [w2, w3] of each channel as 16-bit numbers
    return {{pair(first), pair(w)}};
  }
  VQ_INLINE static void add(sums& s, const codes& a, const codes& b) {
    s = _mm256_add_epi32(s, _mm256_madd_epi16(a.v[0], b.v[0]));
    s = _mm256_add_epi32(s, _mm256_madd_epi16(a.v[1], b.v[1]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c), _mm256_castsi256_si128(s));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c + 16), _mm256_extracti128_si256(s, 1));
  }

 private:
  VQ_INLINE static __m256i widen(__m256i doubled) {
    return std::is_signed_v<A> ? _mm256_srai_epi16(doubled, 8) : _mm256_srli_epi16(doubled, 8);
  }
  // The upper two bytes of each 32 bits as 16-bit numbers.
  VQ_INLINE static __m256i pair(__m256i w) {
    const __m256i high = _mm256_srai_epi16(w, 8);                        // the last byte, on top
    const __m256i low = _mm256_srai_epi32(_mm256_slli_epi32(w, 8), 24);  // the one before
    return _mm256_blend_epi16(low, high, 0xaa);
  }
};

template <class A, class Arch>
  requires pairs_of_taps<A, Arch>
struct tap_block<A, Arch, 1> {
  using sums = __m128i;
  struct codes {
    __m128i v[2];
  };
  static constexpr int most_lanes = 2, positions = 2;

  VQ_INLINE static __m128i of(const void* a) {
    return _mm_loadu_si128(static_cast<const __m128i*>(a));
  }
  template <int Count>
  VQ_INLINE static void interleave(const A* a, index_type step, codes* to) {
    const __m128i none = _mm_setzero_si128();
#pragma GCC unroll 2
    for (int p = 0; p < 2; ++p) {
      const __m128i even = Count > 2 * p ? of(a + 2 * p * step) : none;
      const __m128i odd = Count > 2 * p + 1 ? of(a + (2 * p + 1) * step) : none;
      const __m128i low = _mm_unpacklo_epi8(even, odd), high = _mm_unpackhi_epi8(even, odd);
      to[0].v[p] = widen(_mm_unpacklo_epi8(low, low));
      to[1].v[p] = widen(_mm_unpackhi_epi8(low, low));
      to[2].v[p] = widen(_mm_unpacklo_epi8(high, high));
      to[3].v[p] = widen(_mm_unpackhi_epi8(high, high));
    }
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return of(start); }
  VQ_INLINE static codes load(const std::int8_t* b) {
    const __m128i w = of(b);
    const __m128i first = _mm_slli_epi32(w, 16);
    return {{pair(first), pair(w)}};
  }
  VQ_INLINE static void add(sums& s, const codes& a, const codes& b) {
    s = _mm_add_epi32(s, _mm_madd_epi16(a.v[0], b.v[0]));
    s = _mm_add_epi32(s, _mm_madd_epi16(a.v[1], b.v[1]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(c), s);
  }

 private:
  VQ_INLINE static __m128i widen(__m128i doubled) {
    return std::is_signed_v<A> ? _mm_srai_epi16(doubled, 8) : _mm_srli_epi16(doubled, 8);
  }
  VQ_INLINE static __m128i pair(__m128i w) {
    const __m128i high = _mm_srai_epi16(w, 8);
    const __m128i low = _mm_srai_epi32(_mm_slli_epi32(w, 8), 24);
    return _mm_blend_epi16(low, high, 0xaa);
  }
};

#elif defined(__aarch64__)

template <std::derived_from<neon> Arch>
struct tap_block<std::int8_t, Arch, 1> {
  using sums = int32x4_t;
  using codes = int8x16_t;
  static constexpr int most_lanes = 1, positions = 4;

  template <int Count>
  VQ_INLINE static void interleave(const std::int8_t* a, index_type step, codes* to) {
    const codes none = vdupq_n_s8(0);
    const codes r0 = vld1q_s8(a), r1 = Count > 1 ? vld1q_s8(a + step) : none;
    const codes r2 = Count > 2 ? vld1q_s8(a + 2 * step) : none,
                r3 = Count > 3 ? vld1q_s8(a + 3 * step) : none;
    const int16x8_t low01 = vreinterpretq_s16_s8(vzip1q_s8(r0, r1));
    const int16x8_t high01 = vreinterpretq_s16_s8(vzip2q_s8(r0, r1));
    const int16x8_t low23 = vreinterpretq_s16_s8(vzip1q_s8(r2, r3));
    const int16x8_t high23 = vreinterpretq_s16_s8(vzip2q_s8(r2, r3));
    to[0] = vreinterpretq_s8_s16(vzip1q_s16(low01, low23));
    to[1] = vreinterpretq_s8_s16(vzip2q_s16(low01, low23));
    to[2] = vreinterpretq_s8_s16(vzip1q_s16(high01, high23));
    to[3] = vreinterpretq_s8_s16(vzip2q_s16(high01, high23));
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return vld1q_s32(start); }
  VQ_INLINE static codes load(const std::int8_t* b) { return vld1q_s8(b); }
  VQ_INLINE static void add(sums& s, codes a, codes b) {
#if defined(__ARM_FEATURE_DOTPROD)
    if constexpr (std::same_as<Arch, neon_dotprod>) {
      s = vdotq_s32(s, a, b);
      return;
    }
#endif
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(a, b));
    s = vaddq_s32(s, vpaddq_s32(low, high));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { vst1q_s32(c, s); }
};

#endif

template <class A, class Arch>
concept has_tap_block = requires { tap_block<A, Arch, 1>::most_lanes; };

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code A, output_stage Stage, class Arch>
  requires simd::has_tap_block<A, Arch>
struct kernel<multiply_taps<A, Stage>, simd::on<Arch>> {
  using output_type = typename Stage::output_type;
  using finish = simd::finish<Stage, Arch>;

  [[gnu::flatten]] void operator()(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                   const output_rows<output_type>& to) const noexcept {
    constexpr int most = simd::tap_block<A, Arch, 1>::most_lanes;
    if (a.inner * ((a.outer + 3) / 4) > strip_size)
      return multiply_taps<A, Stage>{}(a, b, stage, to);
    for (index_type n = 0; n < to.channels; n += panel::width) {
      const index_type lanes = panel::width_at(n, b.padded_columns) / 16;
      const finish last(stage, to.first_channel + n, panel::width_at(n, to.channels),
                        to.channel_step, lanes);
      const job work{a, b.codes + n * b.depth, b.start + n, n, lanes, to, last};
      if constexpr (most >= 4) {
        if (lanes == 4) strips<4>(work, 0);
      }
      if constexpr (most >= 2) {
        if (lanes == 2 || most == 2) {
          for (index_type l = 0; l + 2 <= lanes; l += 2) strips<2>(work, l);
        }
      }
      if (lanes == 1 || most == 1) {
        for (index_type l = 0; l < lanes; ++l) strips<1>(work, l);
      }
    }
  }

 private:
  static constexpr index_type strip_size = 64;  // interleaved columns (of four rows each)

  struct job {
    const code_rows<A>& a;
    const std::int8_t* b;
    const std::int32_t* start;
    index_type channel;  // the first one of the panel
    index_type lanes;    // of the panel
    const output_rows<output_type>& to;
    const finish& last;
  };

  // All positions of the channels of `Lanes` lanes from `lane` on.
  template <int Lanes>
  VQ_INLINE static void strips(const job& work, index_type lane) {
    using unit = simd::tap_block<A, Arch, Lanes>;
    const code_rows<A>& a = work.a;
    if (work.channel + lane * 16 >= work.to.channels) return;
    typename unit::codes strip[strip_size * 4];
    // Positions of a strip share columns where the stride is a multiple of the dilation.
    const index_type groups = (a.outer + 3) / 4;
    const index_type shared =
        a.inner_step > 0 && a.step % a.inner_step == 0 ? a.step / a.inner_step : 0;
    const index_type room = strip_size / groups - a.inner;
    const index_type most = shared > 0 ? room / shared + 1 : 1;
    const index_type run = a.run == 0 ? a.count : a.run;
    for (index_type m = 0; m < a.count; m += run) {
      const index_type size = run < a.count - m ? run : a.count - m;
      const A* row = a.first + m / run * a.run_step + work.channel + lane * 16;
      output_type* out = work.to.first + m / run * work.to.run_step +
                         (work.channel + lane * 16) * work.to.channel_step;
      for (index_type x = 0; x < size; x += most) {
        const index_type count = most < size - x ? most : size - x;
        const A* first = row + x * a.step;
        const index_type columns = (count - 1) * shared + a.inner;
        for (index_type g = 0; g < groups; ++g) {
          const A* from = first + g * 4 * a.outer_step;
          const index_type left = a.outer - g * 4;
          auto* column = strip + g * 4;
          if (left == 1) interleave<1, Lanes>(a, from, columns, column, groups);
          if (left == 2) interleave<2, Lanes>(a, from, columns, column, groups);
          if (left == 3) interleave<3, Lanes>(a, from, columns, column, groups);
          if (left >= 4) interleave<4, Lanes>(a, from, columns, column, groups);
        }
        constexpr int many = unit::positions;
        index_type p = 0;
        for (; p + many <= count; p += many) {
          positions<many, Lanes>(work, lane, strip + p * shared * groups * 4, shared * groups * 4,
                                 out + (x + p) * work.to.step);
        }
        for (; p < count; ++p) {
          positions<1, Lanes>(work, lane, strip + p * shared * groups * 4, 0,
                              out + (x + p) * work.to.step);
        }
      }
    }
  }

  template <int Rows, int Lanes>
  VQ_INLINE static void interleave(const code_rows<A>& a, const A* from, index_type columns,
                                   typename simd::tap_block<A, Arch, Lanes>::codes* to,
                                   index_type groups) {
    for (index_type j = 0; j < columns; ++j, from += a.inner_step, to += groups * 4) {
      simd::tap_block<A, Arch, Lanes>::template interleave<Rows>(from, a.outer_step, to);
    }
  }

  template <std::size_t Positions, int Lanes>
  VQ_INLINE static void positions(const job& work, index_type lane,
                                  const typename simd::tap_block<A, Arch, Lanes>::codes* columns,
                                  index_type step, output_type* to) {
    using unit = simd::tap_block<A, Arch, Lanes>;
    const index_type quarter = work.lanes * 4;  // places from one quarter to the next
    typename unit::sums sums[Positions][4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 4
      for (int p = 0; p < int{Positions}; ++p) {
        sums[p][q] = unit::begin(work.start + q * quarter + lane * 4);
      }
    }
    const std::int8_t* b = work.b + lane * 16;
    const index_type all = work.a.inner * ((work.a.outer + 3) / 4);
    for (index_type k = 0; k < all; ++k, b += quarter * 16, columns += 4) {
      decltype(unit::load(b)) weights[4];
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) weights[q] = unit::load(b + q * quarter * 4);
#pragma GCC unroll 4
      for (int p = 0; p < int{Positions}; ++p) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) unit::add(sums[p][q], columns[p * step + q], weights[q]);
      }
    }
    work.last.template store_quarters<unit, Positions>(sums, lane, to, work.to.step);
  }
};

}  // namespace vq::inline v1

#endif
