// The end of a product: a tile of sums goes through its output stage from the registers that hold
// it. multiply_panel and multiply_taps use it; what it writes is what the stage says.
//
// Here: sums themselves, and every other stage through requantize_tile, a few rows at a time.
// finish_avx512.hpp: codes and floats without a detour through memory.
#ifndef VQ_SIMD_FINISH_HPP
#define VQ_SIMD_FINISH_HPP

#include <cstddef>
#include <cstdint>

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

}  // namespace vq::inline v1::simd

#endif
