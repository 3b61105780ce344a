// The taps of a depthwise convolution on registers: multiply_taps for each instruction set.
//
// The rows of a kernel column are interleaved by four, [row 0, row 1, row 2, row 3] of each channel
// in 32 bits, so that one dot product adds four taps; a 3x3 kernel takes three instead of nine. An
// interleaved column serves every position whose window it is in: a strip of them lies on the
// stack, and positions with stride 1 read each of them kernel.width times. With kernels of height 3
// and stride 1 the fourth row makes it serve two rows of results. tap_block.hpp says what
// an instruction set does with a register of them. Where a panel has 32 channels and registers hold
// 64, two positions share one: one of the first half of a row and one of the second.
//
// Images may be read where they lie (image_frame): a row beyond the image is the row of zeros, and a
// column beyond it is some column of that.
//
// Channels stand as byte interleaving leaves them (taps::place), so narrowing puts them in order.
#ifndef VQ_SIMD_DEPTHWISE_HPP
#define VQ_SIMD_DEPTHWISE_HPP

#include <cstddef>
#include <cstdint>
#include <limits>

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/finish_avx512.hpp>
#include <vq/simd/tap_block.hpp>

namespace vq::inline v1 {

template <byte_code A, class Arch>
  requires simd::has_tap_block<A, Arch>
inline constexpr bool reads_frames<simd::on<Arch>, A> = true;

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
        if (lanes == 4) strips<lanes_unit<4>>(work, 0);
      }
      if constexpr (simd::has_paired_taps<A, Arch, Stage>) {
        const index_type run = a.run == 0 ? a.count : a.run;
        if (lanes == 2 && run % 2 == 0 && a.count % run == 0 && last.direct) {
          strips<simd::paired_tap_block<A, Arch>>(work, 0);
          continue;
        }
      }
      if constexpr (most >= 2) {
        if (lanes == 2 || most == 2) {
          for (index_type l = 0; l + 2 <= lanes; l += 2) strips<lanes_unit<2>>(work, l);
        }
      }
      if (lanes == 1 || most == 1) {
        for (index_type l = 0; l < lanes; ++l) strips<lanes_unit<1>>(work, l);
      }
    }
  }

 private:
  static constexpr index_type strip_size = taps::most_columns;
  template <int Lanes>
  using lanes_unit = simd::tap_block<A, Arch, Lanes>;

  struct job {
    const code_rows<A>& a;
    const std::int8_t* b;
    const std::int32_t* start;
    index_type channel;  // the first one of the panel
    index_type lanes;    // of the panel
    const output_rows<output_type>& to;
    const finish& last;
  };

  // All positions of the channels that a unit takes, from `lane` on. A paired unit takes a position
  // of the first half of a run together with one of the second.
  template <class Unit>
  VQ_INLINE static void strips(const job& work, index_type lane) {
    using unit = Unit;
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
    // Four rows of codes hold all taps of two rows of results.
    const bool stride_1 = a.frame.zeros ? a.frame.down == 1 : a.run_step == a.outer_step;
    const bool by_two = unit::rows == 2 && a.outer == 3 && stride_1;
    for (index_type m = 0; m < a.count;) {
      const index_type size = run < a.count - m ? run : a.count - m;
      const bool two = by_two && a.count - m >= 2 * run;
      output_type* out = work.to.first + m / run * work.to.run_step +
                         (work.channel + lane * 16) * work.to.channel_step;
      const index_type steps = size / unit::at_once;
      for (index_type x = 0; x < steps; x += most) {
        const index_type count = most < steps - x ? most : steps - x;
        const index_type columns = (count - 1) * shared + a.inner;
        for (index_type g = 0; g < groups; ++g) {
          const index_type left = two ? 4 : a.outer - g * 4;
          const window_rows rows(a, m / run, g * 4, left, x, work.channel + lane * 16);
          auto* column = strip + g * 4;
          if (left == 1) interleave<1, unit>(rows, columns, steps, column, groups);
          if (left == 2) interleave<2, unit>(rows, columns, steps, column, groups);
          if (left == 3) interleave<3, unit>(rows, columns, steps, column, groups);
          if (left >= 4) interleave<4, unit>(rows, columns, steps, column, groups);
        }
        const index_type step = shared * groups * 4;
        if (two) {
          all_positions<unit::rows, unit>(work, lane, strip, step, count, steps,
                                          out + x * work.to.step);
        } else {
          all_positions<1, unit>(work, lane, strip, step, count, steps, out + x * work.to.step);
        }
      }
      m += two ? 2 * size : size;
    }
  }

  // Four rows of windows from a position of a run on, and which of their columns are in the image.
  struct window_rows {
    const A* row[4];
    const A* outside[4];
    index_type pixel = 0;  // the first column's
    index_type width = (std::numeric_limits<index_type>::max)();
    index_type step;      // from one column to the next
    index_type position;  // from one position to the next
    index_type pixels;    // columns of it, where there is a frame

    VQ_INLINE window_rows(const code_rows<A>& a, index_type run, index_type first, index_type count,
                          index_type x, index_type channel)
        : step(a.inner_step), position(a.step), pixels(0) {
      const image_frame<A>& frame = a.frame;
      if (frame.zeros == nullptr) {
        for (int i = 0; i < 4; ++i) {
          const index_type at = first + (i < count ? i : 0);
          row[i] = a.first + run * a.run_step + at * a.outer_step + x * a.step + channel;
          outside[i] = nullptr;
        }
        return;
      }
      pixels = frame.across;
      pixel = frame.left + x * pixels;
      width = frame.width;
      const index_type top = frame.top + run * frame.down + first;
      for (int i = 0; i < 4; ++i) {
        const index_type y = top + i;
        outside[i] = frame.zeros + channel;
        row[i] = y >= 0 && y < frame.height ? a.first + y * a.outer_step + channel
                                            : frame.zeros + channel;
      }
    }
  };

  // Of the position `apart` positions on, too, where a unit takes pairs.
  template <int Rows, class Unit>
  VQ_INLINE static void interleave(const window_rows& w, index_type columns, index_type apart,
                                   typename Unit::codes* to, index_type groups) {
    using pixels = simd::pixel_of_rows<A>;
    const index_type also = Unit::at_once == 2 ? apart * w.pixels : 0;
    const index_type distance = Unit::at_once == 2 ? apart * w.position : 0;
    const auto at_edge = [&](index_type column, index_type offset) {
      const bool inside = column >= 0 && column < w.width;
      return inside ? pixels{w.row, offset} : pixels{w.outside, 0};
    };
    const auto edge = [&](index_type j) {
      const index_type column = w.pixel + j, offset = column * w.step;
      Unit::template interleave<Rows>(
          at_edge(column, offset), at_edge(column + also, offset + distance), to + j * groups * 4);
    };
    index_type j = 0;
    for (; j < columns && w.pixel + j < 0; ++j) edge(j);
    for (; j < columns && w.pixel + j < w.width - also; ++j) {
      const index_type offset = (w.pixel + j) * w.step;
      Unit::template interleave<Rows>(pixels{w.row, offset}, pixels{w.row, offset + distance},
                                      to + j * groups * 4);
    }
    for (; j < columns; ++j) edge(j);
  }

  template <int Rows, class Unit>
  VQ_INLINE static void all_positions(const job& work, index_type lane,
                                      const typename Unit::codes* columns, index_type step,
                                      index_type count, index_type apart, output_type* to) {
    constexpr int many = Unit::positions / Rows;
    for (; count >= many; count -= many) {
      positions<Rows, many, Unit>(work, lane, columns, step, apart, to);
      columns += many * step;
      to += many * work.to.step;
    }
    for (; count > 0; --count) {
      positions<Rows, 1, Unit>(work, lane, columns, 0, apart, to);
      columns += step;
      to += work.to.step;
    }
  }

  template <std::size_t Rows, std::size_t Positions, class Unit>
  VQ_INLINE static void positions(const job& work, index_type lane,
                                  const typename Unit::codes* columns, index_type step,
                                  [[maybe_unused]] index_type apart, output_type* to) {
    using unit = Unit;
    const index_type quarter = work.lanes * 4;  // places from one quarter to the next
    typename unit::sums sums[Rows][Positions][4];
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 4
      for (int p = 0; p < int{Rows * Positions}; ++p) {
        sums[p / int{Positions}][p % int{Positions}][q] =
            unit::begin(work.start + q * quarter + lane * 4);
      }
    }
    const std::int8_t* b = work.b + lane * 16;
    const index_type all = work.a.inner * ((work.a.outer + 3) / 4);
    for (index_type k = 0; k < all; ++k, b += quarter * 16, columns += 4) {
      decltype(unit::template load<0>(b)) weights[Rows][4];
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        weights[0][q] = unit::template load<0>(b + q * quarter * 4);
        if constexpr (Rows == 2) weights[1][q] = unit::template load<1>(b + q * quarter * 4);
      }
#pragma GCC unroll 4
      for (int p = 0; p < int{Positions}; ++p) {
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
          const auto column = columns[p * step + q];
#pragma GCC unroll 2
          for (int r = 0; r < int{Rows}; ++r) unit::add(sums[r][p][q], column, weights[r][q]);
        }
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < int{Rows}; ++r) {
      output_type* row = to + r * work.to.run_step;
      if constexpr (unit::at_once == 2) {
        work.last.template store_pairs<Positions>(sums[r], row, work.to.step, apart * work.to.step);
      } else {
        work.last.template store_quarters<unit, Positions>(sums[r], lane, row, work.to.step);
      }
    }
  }
};

}  // namespace vq::inline v1

#endif
