// The end of a product with AVX-512: codes and floats from the registers that hold their sums.
//
// Codes take five instructions for 16 sums (convert, multiply, convert, narrow twice for 32, add Z),
// none of which rounds or saturates where the reference does not:
//   - the conversion to int32 rounds to even; a NaN and what is too low become its lowest code
//   - a product beyond int32 would, too, so it is cut first, unless every factor is below one, or
//     below one half where a residual is added
//   - narrowing saturates at 16 bits, far outside of the codes while |Z| <= 2^14
// Floats take a conversion, a product, a sum and a store; rows with a zero point of their own first
// subtract it times the sum of the weights. Channels that are no neighbours in the output, and codes
// that do not meet these conditions, pass through requantize_tile.
#ifndef VQ_SIMD_FINISH_AVX512_HPP
#define VQ_SIMD_FINISH_AVX512_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vq/simd/dot_product.hpp>
#include <vq/simd/finish.hpp>
#include <vq/simd/held.hpp>

#if defined(__AVX512BW__)

#include <immintrin.h>

namespace vq::inline v1::simd {

// The first `count` of 16 lanes: all of them from 16 on, none below one.
template <class Arch = avx512>
VQ_INLINE __mmask16 first_of_16(index_type count) noexcept {
  return count >= 16 ? __mmask16{0xffff}
                     : static_cast<__mmask16>(count <= 0 ? 0u : (1u << count) - 1u);
}

// Codes, with or without a residual.
template <class Stage, std::derived_from<avx512> Arch>
  requires(codes_stage<Stage>::possible && sizeof(typename Stage::output_type) == 1)
struct finish<Stage, Arch> : finish_by_tile<Stage, Arch> {
  using Code = typename Stage::output_type;
  using base = finish_by_tile<Stage, Arch>;
  static constexpr bool adds = a_placed_stage<Stage>;

  alignas(64) float factor[128];  // a register may be read from any block on
  alignas(64) Code highest[128];
  __m512i lowest, zero_point;
  bool direct, clips;

  // `lanes`: of a panel of depthwise weights, whose sums stand in the order of taps::place.
  VQ_INLINE finish(const Stage& all, index_type first, index_type count, index_type step,
                   index_type lanes = 0) noexcept
      : base(all, first, count, step) {
    const auto& s = codes_stage<Stage>::product(all);
    lowest = _mm512_set1_epi8(static_cast<char>(s.codes.lowest));
    zero_point = _mm512_set1_epi16(static_cast<short>(s.zero_point));
    clips = s.highest.size > 0 || s.codes.lowest > all_codes<Code>.lowest ||
            s.codes.highest < all_codes<Code>.highest;
    const __m512 bound = _mm512_set1_ps(adds ? 0.5f : 1.f);
    __mmask16 bounded = 0xffff;
#pragma GCC unroll 4
    for (index_type c = 0; c < panel::width; c += 16) {
      const __mmask16 mask = first_of_16(count - c);
      const __m512 k = s.multipliers.size == 1
                           ? _mm512_set1_ps(s.multipliers.data->factor)
                           : _mm512_maskz_loadu_ps(mask, &s.multipliers.data[first + c].factor);
      bounded &= _mm512_cmp_ps_mask(_mm512_abs_ps(k), bound, _CMP_LT_OQ);
      if (lanes == 0) {
        _mm512_store_ps(factor + c, k);
      } else {
        const __m512i quarters = _mm512_castps_si512(k);
        float* to = factor + c / 4;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(quarters));
        to += 4 * lanes;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_extracti32x4_epi32(quarters, 1));
        to += 4 * lanes;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_extracti32x4_epi32(quarters, 2));
        to += 4 * lanes;
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_extracti32x4_epi32(quarters, 3));
        if (c + 16 >= 16 * lanes) break;
      }
    }
    const __m512i most = _mm512_set1_epi8(static_cast<char>(s.codes.highest));
    _mm512_store_si512(highest, most);
    _mm512_store_si512(highest + panel::width, most);
    for (index_type c = 0; c < count && s.highest.size > 0; ++c) {
      const std::int32_t cut = s.highest.data[s.highest.size == 1 ? 0 : first + c];
      if (cut < s.codes.highest) highest[c] = static_cast<Code>(cut);
    }
    constexpr std::int32_t far = 1 << 14;
    direct = step == 1 && bounded == 0xffff && s.zero_point <= far && s.zero_point >= -far;
  }

  template <class Unit, std::size_t Rows, std::size_t Blocks>
  VQ_INLINE void store(const typename Unit::sums (&sums)[Rows][Blocks], index_type column,
                       Code* const (&to)[Rows]) const noexcept {
    if (!direct) return base::template store<Unit, Rows, Blocks>(sums, column, to);
    const index_type count = this->template count_from<Blocks>(column);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
      __m512i steps[4] = {};
#pragma GCC unroll 4
      for (int j = 0; j < int{Blocks}; ++j) {
        const __m512i total = Unit::total(sums[r][j]);
        const float* k = factor + column + 16 * j;
        if constexpr (adds) {
          steps[j] = added(total, k, to[r] + 16 * j, first_of_16(count - 16 * j));
        } else {
          steps[j] = rescaled(total, k);
        }
      }
      write(_mm512_permutexvar_epi32(order, narrowed(steps)), column, count, to[r]);
    }
  }

  template <class Unit, std::size_t Rows>
  VQ_INLINE void store_quarters(const typename Unit::sums (&sums)[Rows][4], index_type lane,
                                Code* to, index_type step) const noexcept {
    if constexpr (!adds && requires { Unit::widest(sums[0][0]); }) {
      if (direct) {
        constexpr std::size_t lanes = sizeof(typename Unit::sums) / 16;
        const index_type count = this->template count_from<lanes>(lane * 16);
#pragma GCC unroll 8
        for (int r = 0; r < int{Rows}; ++r, to += step) {
          __m512i steps[4];
#pragma GCC unroll 4
          for (int q = 0; q < 4; ++q) {
            steps[q] = rescaled(Unit::widest(sums[r][q]), factor + 4 * int{lanes} * q);
          }
          write(narrowed(steps), lane * 16, count, to);
        }
        return;
      }
    }
    base::template store_quarters<Unit, Rows>(sums, lane, to, step);
  }

  // The sums of two positions with 32 channels each (paired_tap_block), the second `apart` codes
  // behind the first; where the stage is direct.
  template <std::size_t Rows>
  VQ_INLINE void store_pairs(const __m512i (&sums)[Rows][4], Code* to, index_type step,
                             index_type apart) const noexcept
    requires(!adds)
  {
    const auto some = static_cast<__mmask32>(~std::uint32_t{0} >> (32 - this->channels));
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r, to += step) {
      __m512i steps[4];
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        steps[q] = rescaled(sums[r][q], _mm512_broadcast_f32x8(_mm256_load_ps(factor + 8 * q)));
      }
      __m512i codes = narrowed(steps);
      if (clips) {
        const auto* of_both = reinterpret_cast<const __m256i*>(highest);
        codes = clipped(codes, _mm512_broadcast_i64x4(_mm256_load_si256(of_both)));
      }
      _mm256_mask_storeu_epi8(to, some, _mm512_castsi512_si256(codes));
      _mm256_mask_storeu_epi8(to + apart, some, _mm512_extracti64x4_epi64(codes, 1));
    }
  }

 private:
  VQ_INLINE static __m512i rescaled(__m512i sums, const float* k) noexcept {
    return rescaled(sums, _mm512_loadu_ps(k));
  }
  VQ_INLINE static __m512i rescaled(__m512i sums, __m512 k) noexcept {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), k));
  }
  VQ_INLINE __m512i clipped(__m512i codes, __m512i most) const noexcept {
    return std::is_signed_v<Code> ? _mm512_min_epi8(_mm512_max_epi8(codes, lowest), most)
                                  : _mm512_min_epu8(_mm512_max_epu8(codes, lowest), most);
  }
  // With the residual of the codes that go to `to`; no product is fused with the sum.
  VQ_INLINE __m512i added(__m512i sums, const float* k, const Code* to,
                          __mmask16 mask) const noexcept
    requires adds
  {
    using addend_type = typename codes_stage<Stage>::addend_type;
    const Stage& s = this->stage;
    const __m128i r = _mm_maskz_loadu_epi8(mask, s.addend + (to - s.output));
    const __m512i wide =
        std::is_signed_v<addend_type> ? _mm512_cvtepi8_epi32(r) : _mm512_cvtepu8_epi32(r);
    const __m512i centred = _mm512_sub_epi32(wide, _mm512_set1_epi32(s.addend_zero_point));
    const __m512 residual = _mm512_mul_ps(_mm512_cvtepi32_ps(centred), _mm512_set1_ps(s.ratio));
    const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(k));
    return _mm512_cvtps_epi32(_mm512_add_ps(held(product), held(residual)));
  }
  // In the order in which narrowing leaves them.
  VQ_INLINE __m512i narrowed(const __m512i (&steps)[4]) const noexcept {
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(steps[0], steps[1]), zero_point);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(steps[2], steps[3]), zero_point);
    return std::is_signed_v<Code> ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
  }
  VQ_INLINE void write(__m512i codes, index_type column, index_type count,
                       Code* to) const noexcept {
    if (clips) codes = clipped(codes, _mm512_loadu_si512(highest + column));
    if (count == panel::width) {
      _mm512_storeu_si512(to, codes);
    } else {
      _mm512_mask_storeu_epi8(to, ~std::uint64_t{0} >> (panel::width - count), codes);
    }
  }
};

// For the 64 channels of a panel; rows may have a scale and a zero point of their own.
template <class Stage, class Arch>
struct finish_floats : finish_by_tile<Stage, Arch> {
  using base = finish_by_tile<Stage, Arch>;
  static constexpr bool by_row = a_placed_stage<Stage>;

  alignas(64) float scale[panel::width];
  alignas(64) float bias[panel::width];  // -0 where there is none: it changes no float
  alignas(64) std::int32_t sum[by_row ? panel::width : 1];
  __mmask16 there[panel::width / 16];

  VQ_INLINE finish_floats(const Stage& s, index_type first, index_type count, index_type step,
                          index_type = 0) noexcept
      : base(s, first, count, step) {
#pragma GCC unroll 4
    for (index_type c = 0; c < panel::width; c += 16) {
      const __mmask16 mask = there[c / 16] = first_of_16(count - c);
      _mm512_store_ps(scale + c, channels_of(s.scales, first + c, mask, 1.f));
      _mm512_store_ps(bias + c, channels_of(s.bias, first + c, mask, -0.f));
      if constexpr (by_row) {
        _mm512_store_si512(sum + c, s.sums.size == 1
                                        ? _mm512_set1_epi32(s.sums.data[0])
                                        : _mm512_maskz_loadu_epi32(mask, s.sums.data + first + c));
      }
    }
  }

  template <class Unit, std::size_t Rows, std::size_t Blocks>
  VQ_INLINE void store(const typename Unit::sums (&sums)[Rows][Blocks], index_type column,
                       float* const (&to)[Rows]) const noexcept {
    const affine_param* row = nullptr;
    bool direct = this->channel_step == 1;
    if constexpr (by_row) {  // neighbouring rows have neighbouring parameters
      const Stage& s = this->stage;
      constexpr index_type last = index_type{Rows} - 1;
      direct = direct && to[last] - to[0] == last * s.row_step;
      row = s.rows + s.row_of(to[0], this->first_channel + column);
    }
    if (!direct) return base::template store<Unit, Rows, Blocks>(sums, column, to);
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < int{Blocks}; ++j) {
        const index_type at = column + 16 * j;
        __m512i total = Unit::total(sums[r][j]);
        if constexpr (by_row) {
          const __m512i zero_point = _mm512_set1_epi32(row[r].zero_point);
          const __m512i offset = _mm512_mullo_epi32(zero_point, _mm512_load_si512(sum + at));
          total = _mm512_sub_epi32(total, offset);
        }
        __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(total), _mm512_load_ps(scale + at));
        if constexpr (by_row) x = _mm512_mul_ps(x, _mm512_set1_ps(row[r].scale));
        x = _mm512_add_ps(held(x), _mm512_load_ps(bias + at));
        _mm512_mask_storeu_ps(to[r] + 16 * j, there[at / 16], x);
      }
    }
  }

 private:
  VQ_INLINE static __m512 channels_of(const channel_values<float>& from, index_type channel,
                                      __mmask16 mask, float none) noexcept {
    if (from.size == 0) return _mm512_set1_ps(none);
    return from.size == 1 ? _mm512_set1_ps(from.data[0])
                          : _mm512_maskz_loadu_ps(mask, from.data + channel);
  }
};

template <std::derived_from<avx512> Arch>
struct finish<to_float, Arch> : finish_floats<to_float, Arch> {
  using finish_floats<to_float, Arch>::finish_floats;
};
template <std::derived_from<avx512> Arch>
struct finish<to_float_by_row, Arch> : finish_floats<to_float_by_row, Arch> {
  using finish_floats<to_float_by_row, Arch>::finish_floats;
};

}  // namespace vq::inline v1::simd

#endif

namespace vq::inline v1::simd {

// Whether depthwise convolutions take 32 channels of two positions at once.
template <class A, class Arch, class Stage>
inline constexpr bool has_paired_taps = false;
#if defined(__AVX512BW__)
template <class A, std::derived_from<avx512> Arch, class Stage>
  requires has_dot_product<A, Arch> && requires { &finish<Stage, Arch>::template store_pairs<1>; }
inline constexpr bool has_paired_taps<A, Arch, Stage> = true;
#endif

}  // namespace vq::inline v1::simd

#endif
