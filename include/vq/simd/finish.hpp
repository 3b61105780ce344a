// The end of a product: a tile of sums goes through its output stage from the registers that hold
// it. multiply_panel and multiply_taps use it; what it writes is what the stage says.
//
// With AVX-512, codes take five instructions for 16 sums (convert, multiply, convert, narrow twice
// for 32, add Z), none of which rounds or saturates where the reference does not:
//   - the conversion to int32 rounds to even; a NaN and what is too low become its lowest code
//   - a product beyond int32 would, too, so it is cut first, unless every factor is below one
//   - narrowing saturates at 16 bits, far outside of the codes while |Z| <= 2^14
// Other stages and instruction sets pass through requantize_tile, a few rows at a time.
#ifndef VQ_SIMD_FINISH_HPP
#define VQ_SIMD_FINISH_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/requantize.hpp>

namespace vq::inline v1::simd {

// For the columns of one panel. store() takes the sums of `Blocks` blocks from `column` on, and
// where each row of them goes.
template <class Stage, class Arch>
struct finish_by_tile {
  using output_type = typename Stage::output_type;

  const Stage& stage;
  index_type first_channel;
  index_type channels;
  index_type channel_step;

  VQ_INLINE finish_by_tile(const Stage& s, index_type first, index_type count, index_type step,
                           index_type = 0) noexcept
      : stage(s), first_channel(first), channels(count), channel_step(step) {}

  template <class Unit, std::size_t Rows, std::size_t Blocks>
  VQ_INLINE void store(const typename Unit::sums (&sums)[Rows][Blocks], index_type column,
                       output_type* const (&to)[Rows]) const noexcept {
    std::int32_t acc[Rows][Blocks * 16];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) Unit::store(sums[r][j], &acc[r][j * panel::columns]);
    }
    through_memory({.acc = acc[0],
                    .acc_step = index_type{Blocks} * panel::columns,
                    .rows = index_type{Rows},
                    .first_channel = first_channel + column,
                    .channels = count_from<Blocks>(column),
                    .out_channel_step = channel_step},
                   to);
  }

  // The sums of depthwise convolutions: rows `step` apart, of the lanes from `lane` on.
  template <class Unit, std::size_t Rows>
  VQ_INLINE void store_quarters(const typename Unit::sums (&sums)[Rows][4], index_type lane,
                                output_type* to, index_type step) const noexcept {
    std::int32_t acc[Rows][64];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) Unit::store(sums[r][q], &acc[r][4 * q]);
    }
    constexpr std::size_t lanes = sizeof(typename Unit::sums) / 16;
    requantize({.acc = acc[0],
                .acc_step = panel::width,
                .rows = index_type{Rows},
                .first_channel = first_channel + lane * 16,
                .channels = count_from<lanes>(lane * 16),
                .out = to,
                .out_step = step,
                .out_channel_step = channel_step});
  }

 protected:
  template <std::size_t Blocks>
  VQ_INLINE index_type count_from(index_type column) const noexcept {
    const index_type left = channels - column;
    constexpr index_type most = index_type{Blocks} * panel::columns;
    return left < most ? left : most;
  }

 private:
  // Kept out of line: otherwise every size of tile would hold a copy of the stage.
  [[gnu::noinline]] void through_memory(stage_tile<output_type> tile,
                                        output_type* const* to) const noexcept {
    tile.out = to[0];
    tile.out_step = to[tile.rows > 1 ? 1 : 0] - to[0];
    bool even = true;
    for (index_type r = 2; r < tile.rows; ++r) even = even && to[r] - to[r - 1] == tile.out_step;
    if (even) return requantize(tile);
    const index_type rows = tile.rows;
    tile.rows = 1;
    for (index_type r = 0; r < rows; ++r, tile.acc += tile.acc_step) {
      tile.out = to[r];
      requantize(tile);
    }
  }
  [[gnu::noinline]] void requantize(const stage_tile<output_type>& tile) const noexcept {
    kernel<requantize_tile<Stage>, on<Arch>>{}(stage, tile);
  }
};

template <class Stage, class Arch>
struct finish : finish_by_tile<Stage, Arch> {
  using finish_by_tile<Stage, Arch>::finish_by_tile;
};

template <class Arch>
struct finish<to_accumulators, Arch> : finish_by_tile<to_accumulators, Arch> {
  using base = finish_by_tile<to_accumulators, Arch>;
  using base::base;

  template <class Unit, std::size_t Rows, std::size_t Blocks>
  VQ_INLINE void store(const typename Unit::sums (&sums)[Rows][Blocks], index_type column,
                       std::int32_t* const (&to)[Rows]) const noexcept {
    if (this->channel_step != 1 || this->channels - column < index_type{Blocks} * panel::columns) {
      return base::template store<Unit, Rows, Blocks>(sums, column, to);
    }
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) Unit::store(sums[r][j], to[r] + j * panel::columns);
    }
  }
};

#if defined(__AVX512BW__)

template <std::integral Code, std::derived_from<avx512> Arch>
  requires(sizeof(Code) == 1)
struct finish<to_codes<Code, float_multiplier>, Arch>
    : finish_by_tile<to_codes<Code, float_multiplier>, Arch> {
  using stage_type = to_codes<Code, float_multiplier>;
  using base = finish_by_tile<stage_type, Arch>;

  alignas(64) float factor[128];  // a register may be read from any block on
  alignas(64) Code highest[128];
  __m512i lowest, zero_point;
  bool direct, clips;

  // `lanes`: of a panel of depthwise weights, whose sums stand in the order of taps::place.
  VQ_INLINE finish(const stage_type& s, index_type first, index_type count, index_type step,
                   index_type lanes = 0) noexcept
      : base(s, first, count, step),
        lowest(_mm512_set1_epi8(static_cast<char>(s.codes.lowest))),
        zero_point(_mm512_set1_epi16(static_cast<short>(s.zero_point))),
        clips(s.highest.size > 0 || s.codes.lowest > all_codes<Code>.lowest ||
              s.codes.highest < all_codes<Code>.highest) {
    __mmask16 below_one = 0xffff;
#pragma GCC unroll 4
    for (index_type c = 0; c < panel::width; c += 16) {
      const index_type some = count - c < 0 ? 0 : (count - c < 16 ? count - c : 16);
      const auto mask = static_cast<__mmask16>((1u << some) - 1u);
      const __m512 k = s.multipliers.size == 1
                           ? _mm512_set1_ps(s.multipliers.data->factor)
                           : _mm512_maskz_loadu_ps(mask, &s.multipliers.data[first + c].factor);
      below_one &= _mm512_cmp_ps_mask(_mm512_abs_ps(k), _mm512_set1_ps(1.f), _CMP_LT_OQ);
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
    direct = step == 1 && below_one == 0xffff && s.zero_point <= far && s.zero_point >= -far;
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
        steps[j] = rescaled(Unit::total(sums[r][j]), factor + column + 16 * j);
      }
      write(_mm512_permutexvar_epi32(order, narrowed(steps)), column, count, to[r]);
    }
  }

  template <class Unit, std::size_t Rows>
  VQ_INLINE void store_quarters(const typename Unit::sums (&sums)[Rows][4], index_type lane,
                                Code* to, index_type step) const noexcept {
    if constexpr (requires { Unit::widest(sums[0][0]); }) {
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

 private:
  VQ_INLINE static __m512i rescaled(__m512i sums, const float* k) noexcept {
    return _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_loadu_ps(k)));
  }
  // In the order in which narrowing leaves them.
  VQ_INLINE __m512i narrowed(const __m512i (&steps)[4]) const noexcept {
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(steps[0], steps[1]), zero_point);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(steps[2], steps[3]), zero_point);
    return std::is_signed_v<Code> ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
  }
  VQ_INLINE void write(__m512i codes, index_type column, index_type count,
                       Code* to) const noexcept {
    if (clips) {
      const __m512i most = _mm512_loadu_si512(highest + column);
      codes = std::is_signed_v<Code> ? _mm512_min_epi8(_mm512_max_epi8(codes, lowest), most)
                                     : _mm512_min_epu8(_mm512_max_epu8(codes, lowest), most);
    }
    if (count == panel::width) {
      _mm512_storeu_si512(to, codes);
    } else {
      _mm512_mask_storeu_epi8(to, ~std::uint64_t{0} >> (panel::width - count), codes);
    }
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
