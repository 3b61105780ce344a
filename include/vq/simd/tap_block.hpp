// The units of depthwise convolutions: what an instruction set does for four rows of taps.
//
//   with a dot_product       [row 0, row 1, row 2, row 3] of a channel in 32 bits
//   x86 without              rows in pairs of 16 bits, pmaddwd
#ifndef VQ_SIMD_TAP_BLOCK_HPP
#define VQ_SIMD_TAP_BLOCK_HPP

#include <concepts>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/gemm.hpp>
#include <vq/simd/byte_lanes.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/dot_product.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/pair_lanes.hpp>

namespace vq::inline v1::simd {

// A pixel of neighbouring rows, which need not lie at one distance.
template <class A>
struct pixel_of_rows {
  const A* const* rows;
  index_type offset;

  VQ_INLINE const A* operator[](int row) const { return rows[row] + offset; }
};

// For one instruction set and `Lanes` lanes of 16 channels, of which a register `quarter` takes 4:
//   most_lanes               the most lanes that there is a unit for
//   positions, rows          positions at once; rows of results for which one interleaving serves
//   at_once                  positions that share a register
//   interleave<Count>(rows, also, quarters)   Count <= 4 rows of codes; of the second position
//   begin(start), load<Row>(b)   sums; weights, moved down by Row rows of taps
//   add(sums, codes, weights)
//   store(sums, c)           4 sums of each lane, lanes 16 apart
template <class A, class Arch, int Lanes>
struct tap_block;

template <class A, class Arch, int Lanes>
  requires has_dot_product<A, Arch>
struct tap_block<A, Arch, Lanes> {
  using wide = byte_lanes<Lanes>;
  using sums = typename wide::sums;
  using codes = typename wide::codes;
  static constexpr int most_lanes = lanes_of<Arch> / 4;
  static constexpr int positions = most_lanes == 2 ? 2 : 4;  // 16 registers, or 32
  static constexpr int rows = positions / 2;
  static constexpr int at_once = 1;

  template <int Count>
  VQ_INLINE static void interleave(pixel_of_rows<A> a, pixel_of_rows<A>, codes* to) {
    const auto row = [&](int r) { return Count > r ? wide::load(a[r]) : wide::none(); };
    interleave(row(0), row(1), row(2), row(3), to);
  }
  VQ_INLINE static void interleave(codes r0, codes r1, codes r2, codes r3, codes* to) {
    const codes low01 = wide::low_bytes(r0, r1), high01 = wide::high_bytes(r0, r1);
    const codes low23 = wide::low_bytes(r2, r3), high23 = wide::high_bytes(r2, r3);
    to[0] = wide::low_pairs(low01, low23);
    to[1] = wide::high_pairs(low01, low23);
    to[2] = wide::low_pairs(high01, high23);
    to[3] = wide::high_pairs(high01, high23);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return wide::load_sums(start); }
  template <int Row>
  VQ_INLINE static codes load(const std::int8_t* b) {
    const codes taps = wide::load(b);
    return held(Row == 0 ? taps : wide::moved_up(taps));
  }
  VQ_INLINE static void add(sums& s, codes a, codes b) { dot_product<A, Arch>::add(s, a, b); }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { wide::scatter(c, 16, s); }
#if defined(__AVX512F__)
  VQ_INLINE static __m512i widest(const sums& s)
    requires std::derived_from<Arch, avx512>
  {
    if constexpr (Lanes == 1) return _mm512_zextsi128_si512(s);
    if constexpr (Lanes == 2) return _mm512_zextsi256_si512(s);
    if constexpr (Lanes == 4) return s;
  }
#endif
};

// 32 channels of two positions in the halves of a register.
template <class A, class Arch>
struct paired_tap_block;

#if defined(__AVX512BW__)

template <class A, std::derived_from<avx512> Arch>
struct paired_tap_block<A, Arch> : tap_block<A, Arch, 4> {
  using base = tap_block<A, Arch, 4>;
  using typename base::codes;
  using typename base::sums;
  static constexpr int at_once = 2;

  template <int Count>
  VQ_INLINE static void interleave(pixel_of_rows<A> a, pixel_of_rows<A> also, codes* to) {
    const auto row = [&](int r) {
      if (Count <= r) return base::wide::none();
      return _mm512_inserti64x4(_mm512_castsi256_si512(byte_lanes<2>::load(a[r])),
                                byte_lanes<2>::load(also[r]), 1);
    };
    base::interleave(row(0), row(1), row(2), row(3), to);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    return _mm512_broadcast_i64x4(byte_lanes<2>::load(start));
  }
  template <int Row>
  VQ_INLINE static codes load(const std::int8_t* b) {
    const codes taps = _mm512_broadcast_i64x4(byte_lanes<2>::load(b));
    return held(Row == 0 ? taps : base::wide::moved_up(taps));
  }
};

#endif

#if defined(__x86_64__)

template <class A, class Arch, int Lanes>
  requires multiplies_pairs<Arch>
struct tap_block<A, Arch, Lanes> {
  using wide = pair_lanes<Lanes>;
  using sums = typename wide::sums;
  struct codes {  // rows 0 and 1, rows 2 and 3, as 16-bit pairs
    sums v[2];
  };
  static constexpr int most_lanes = lanes_of<Arch> == 4 ? 1 : 2;
  static constexpr int positions = most_lanes, rows = 1, at_once = 1;

  template <int Count>
  VQ_INLINE static void interleave(pixel_of_rows<A> a, pixel_of_rows<A>, codes* to) {
    const auto row = [&](int r) { return Count > r ? wide::load(a[r]) : wide::none(); };
#pragma GCC unroll 2
    for (int p = 0; p < 2; ++p) {
      const sums even = row(2 * p), odd = row(2 * p + 1);
      // A byte doubled, shifted down by 8: widened with its sign.
      const sums low = wide::low_bytes(even, odd), high = wide::high_bytes(even, odd);
      to[0].v[p] = wide::template upper<A>(wide::low_bytes(low, low));
      to[1].v[p] = wide::template upper<A>(wide::high_bytes(low, low));
      to[2].v[p] = wide::template upper<A>(wide::low_bytes(high, high));
      to[3].v[p] = wide::template upper<A>(wide::high_bytes(high, high));
    }
  }
  VQ_INLINE static sums begin(const std::int32_t* start) { return wide::load_sums(start); }
  template <int>
  VQ_INLINE static codes load(const std::int8_t* b) {
    const sums w = wide::load(b);
    return {{wide::first_pair(w), wide::last_pair(w)}};
  }
  VQ_INLINE static void add(sums& s, const codes& a, const codes& b) {
    s = wide::add_products(s, a.v[0], b.v[0]);
    s = wide::add_products(s, a.v[1], b.v[1]);
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { wide::scatter(c, 16, s); }
};

#endif

template <class A, class Arch>
concept has_tap_block = requires { tap_block<A, Arch, 1>::most_lanes; };

}  // namespace vq::inline v1::simd

#endif
