// The 8-bit integer product without dot products of bytes, for many rows: everything is widened to 16
// bits once, so that the loop holds nothing but vpmaddwd, vpaddd and loads.
//
//   for a group of rows, for 128 steps of k
//     64 columns of b -> pairs (k, k + 1) of 16 bits, 16 KiB
//     for 6 rows (SSE: 2)
//       those of a    -> 16 bits, 1.5 KiB
//       for 16 columns multiply; sums wait in memory for the next steps of k
//
// Widening in the loop instead (panel_block_x86.hpp) costs a third more instructions; it is left to
// few rows, and SSE does without. Emerald Rapids, one core, GCC 12 -mavx2: 113 GOP/s of the 128 that
// vpmaddwd and vpaddd allow, against 82; for the baseline CPU 50, against 5.6 of the reference.
#ifndef VQ_SIMD_WIDENED_PANELS_HPP
#define VQ_SIMD_WIDENED_PANELS_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <vq/nn/gemm.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/finish.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/pair_lanes.hpp>
#include <vq/simd/panel_block.hpp>

namespace vq::inline v1::simd {

template <class Arch>
concept widens_panels = multiplies_pairs<Arch> && !std::derived_from<Arch, avx512>;

// 16 columns of a tile, 128 steps of k.
template <class Arch>
struct widened_tile {
  static constexpr int lanes = lanes_of<Arch> / 4;
  static constexpr int parts = 4 / lanes;
  static constexpr index_type columns_of_register = 4 * lanes;
  static constexpr index_type steps = 128;
  static constexpr index_type rows = lanes == 1 ? 2 : 6;  // for 16 registers
  using wide = pair_lanes<lanes>;
  struct sums {
    typename wide::sums v[std::size_t{parts}];
  };

  VQ_INLINE static void load(const std::int32_t* c, sums& s) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) s.v[i] = wide::load_sums(c + columns_of_register * i);
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) wide::store(c + columns_of_register * i, s.v[i]);
  }

  // to = before + a * b for `count` pairs of steps. Not inline: it needs every register that there is.
  template <std::size_t Rows>
  [[gnu::noinline]] static void multiply(const std::int16_t* a, const std::int16_t* b,
                                         index_type width, index_type count,
                                         const std::int32_t* before, index_type before_step,
                                         std::int32_t* to) {
    sums s[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) load(before + r * before_step, s[r]);
    for (; count > 0; --count, a += 2, b += 2 * width) {
      typename wide::codes block[std::size_t{parts}];
#pragma GCC unroll 4
      for (int i = 0; i < parts; ++i) block[i] = held(wide::load(b + 2 * columns_of_register * i));
#pragma GCC unroll 8
      for (int r = 0; r < int{Rows}; ++r) {
        std::int32_t pair;
        std::memcpy(&pair, a + r * steps, sizeof pair);
        const auto spread = wide::spread(pair);
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i) {
          s[r].v[i] = wide::add_products(s[r].v[i], spread, block[i]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) store(s[r], to + r * panel::width);
  }
};

template <class A, class Stage, class Arch>
struct widened_panels {
  static constexpr index_type fewest_rows = 5;
  using output_type = typename Stage::output_type;
  using finish_type = finish<Stage, Arch>;

  VQ_INLINE static void multiply(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                 const output_rows<output_type>& to) {
    for (index_type n = 0; n < to.channels; n += panel::width) {
      const finish_type last(stage, to.first_channel + n, panel::width_at(n, to.channels),
                             to.channel_step);
      const job work{a,
                     b.codes + n * b.depth,
                     b.start + n,
                     b.depth / panel::group,
                     panel::width_at(n, b.padded_columns),
                     to.channel_step,
                     last};
      auto from = a.rows();
      auto out = to.rows(a.count, a.run);
      out.at = out.begin += n * to.channel_step;
      index_type left = a.count;
      for (index_type groups = (left + most_rows - 1) / most_rows; groups > 0; --groups) {
        const index_type count = (left + groups - 1) / groups;
        left -= count;
        some_rows(work, count, from, out);
      }
    }
  }

 private:
  using unit = widened_tile<Arch>;
  using wide = typename unit::wide;
  static constexpr index_type tile_rows = unit::rows, most_rows = 48;
  static constexpr index_type chunk = unit::steps / panel::group;

  struct job {
    const code_rows<A>& a;
    const std::int8_t* b;
    const std::int32_t* start;
    index_type groups;  // of 4 steps of k
    index_type width;
    index_type channel_step;
    const finish_type& last;
  };
  struct steps {  // of k, in groups of 4
    index_type first, count;
    bool last;
  };
  struct scratch {
    alignas(64) std::int16_t b[std::size_t{unit::steps * panel::width}];
    alignas(64) std::int16_t a[std::size_t{tile_rows}][std::size_t{unit::steps}];
    alignas(64) std::int32_t sums[std::size_t{most_rows * panel::width}];
  };

  VQ_INLINE static void some_rows(const job& work, index_type count, row_cursor<const A>& from,
                                  row_cursor<output_type>& out) {
    scratch s;
    const auto first = from;
    for (index_type g = 0; g < work.groups; g += chunk) {
      const index_type left = work.groups - g;
      const steps k{g, left < chunk ? left : chunk, left <= chunk};
      widen_panel(work, k, s.b);
      from = first;
      index_type m = 0;
      for (index_type tiles = (count + tile_rows - 1) / tile_rows; tiles > 0; --tiles) {
        const index_type rows = (count - m + tiles - 1) / tiles;
        some_rows<tile_rows>(rows, work, k, s, s.sums + m * panel::width, from, out);
        m += rows;
      }
    }
  }
  template <std::size_t Rows>
  VQ_INLINE static void some_rows(index_type count, const job& work, const steps& k, scratch& s,
                                  std::int32_t* sums, row_cursor<const A>& from,
                                  row_cursor<output_type>& out) {
    if (count == index_type{Rows}) {
      return tile<Rows>(work, k, s, sums, from, out);
    }
    if constexpr (Rows > 1) {
      some_rows<Rows - 1>(count, work, k, s, sums, from, out);
    }
  }

  // Each column's bytes of four steps as pairs: first those of steps 0 and 1 for all columns.
  VQ_INLINE static void widen_panel(const job& work, const steps& k, std::int16_t* to) {
    const std::int8_t* b = work.b + k.first * work.width * panel::group;
    for (index_type g = 0; g < k.count; ++g, to += 4 * work.width) {
      auto* const first = reinterpret_cast<std::int32_t*>(to);
      for (index_type c = 0; c < work.width;
           c += unit::columns_of_register, b += 4 * unit::columns_of_register) {
        const auto four = wide::load(b);
        wide::store(first + c, wide::first_pair(four));
        wide::store(first + work.width + c, wide::last_pair(four));
      }
    }
  }

  VQ_INLINE static void widen_row(const code_rows<A>& a, const A* row, const steps& k,
                                  std::int16_t* to) {
    const index_type of_segment = (a.depth + panel::group - 1) / panel::group;
    index_type segment = k.first / of_segment, first = k.first % of_segment;
    for (index_type left = k.count; left > 0; ++segment, first = 0) {
      const index_type groups = of_segment - first < left ? of_segment - first : left;
      const index_type at = first * panel::group, end = at + groups * panel::group;
      const A* codes = row + segment / a.inner * a.outer_step + segment % a.inner * a.inner_step;
      widen(codes + at, (end < a.depth ? end : a.depth) - at, to);
      to += groups * panel::group;
      left -= groups;
    }
  }
  // `count` codes, and zeros up to a multiple of 4.
  VQ_INLINE static void widen(const A* codes, index_type count, std::int16_t* to) {
    constexpr index_type width = 2 * unit::columns_of_register;
    index_type i = 0;
    for (; i + width <= count; i += width) wide::store_wide(codes + i, to + i);
    if (i < count && count >= width) {  // once more what fills a register with the rest
      wide::store_wide(codes + count - width, to + count - width);
      i = count;
    }
    for (; i < count; ++i) to[i] = codes[i];
    for (; i % panel::group != 0; ++i) to[i] = 0;
  }

  template <std::size_t Rows>
  VQ_INLINE static void tile(const job& work, const steps& k, scratch& s, std::int32_t* sums,
                             row_cursor<const A>& from, row_cursor<output_type>& out) {
    for (std::size_t r = 0; r < Rows; ++r) widen_row(work.a, from.next(), k, s.a[r]);
    output_type* to[Rows] = {};
    for (std::size_t r = 0; r < Rows && k.last; ++r) to[r] = out.next();
    for (index_type c = 0; c < work.width; c += panel::columns) {
      const bool begins = k.first == 0;
      unit::template multiply<Rows>(s.a[0], s.b + 2 * c, work.width, panel::group / 2 * k.count,
                                    begins ? work.start + c : sums + c, begins ? 0 : panel::width,
                                    sums + c);
      if (k.last) finish_block(work, sums + c, c, to);
    }
  }
  template <std::size_t Rows>
  VQ_INLINE static void finish_block(const job& work, const std::int32_t* from, index_type column,
                                     output_type* const (&to)[Rows]) {
    typename unit::sums sums[Rows][1];
    output_type* at[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
      unit::load(from + r * panel::width, sums[r][0]);
      at[r] = to[r] + column * work.channel_step;
    }
    work.last.template store<unit, Rows, 1>(sums, column, at);
  }
};

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code A, output_stage Stage, class Arch>
  requires(simd::widens_panels<Arch> && !simd::has_panel_block<A, Arch>)
struct kernel<multiply_panel<A, Stage>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(
      const code_rows<A>& a, const code_panels& b, const Stage& stage,
      const output_rows<typename Stage::output_type>& to) const noexcept {
    if (b.depth == 0) return multiply_panel<A, Stage>{}(a, b, stage, to);
    simd::widened_panels<A, Stage, Arch>::multiply(a, b, stage, to);
  }
};

}  // namespace vq::inline v1

#endif
