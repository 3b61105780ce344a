// The 8-bit integer product on registers: the loop of multiply_panel over panels, rows and segments
// that all instruction sets share; panel_block.hpp says what they do for a block of columns.
//
// No step can saturate or overflow, whatever the codes. The sums of a tile stay in registers for the
// whole depth and, where finish.hpp knows the stage, until they are codes. Rows are dealt out evenly:
// 49 are 5 tiles of 5 and 4 of 6.
#ifndef VQ_SIMD_GEMM_HPP
#define VQ_SIMD_GEMM_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/finish_avx512.hpp>
#include <vq/simd/panel_block.hpp>
#include <vq/simd/panel_block_neon.hpp>
#include <vq/simd/panel_block_x86.hpp>
#include <vq/simd/widened_panels.hpp>

namespace vq::inline v1 {

template <byte_code A, output_stage Stage, class Arch>
  requires simd::has_panel_block<A, Arch>
struct kernel<multiply_panel<A, Stage>, simd::on<Arch>> {
  using unit = simd::panel_block<A, Arch>;
  using output_type = typename Stage::output_type;
  using finish = simd::finish<Stage, Arch>;

  [[gnu::flatten]] void operator()(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                   const output_rows<output_type>& to) const noexcept {
    if constexpr (simd::widens_panels<Arch>) {
      using widened = simd::widened_panels<A, Stage, Arch>;
      if (a.count >= widened::fewest_rows && b.depth > 0) {
        return widened::multiply(a, b, stage, to);
      }
    }
    // Panel after panel for all rows; where all panels together stay in the L1, a few rows after
    // the other for all panels, so that whole rows are written at a time. Sums are most of what is
    // moved: fewer rows. Stages have parameters of each panel, which so serve more rows.
    index_type rows = a.count;
    if (b.padded_columns > panel::width && b.padded_columns * b.depth <= l1) {
      rows = a.run == 0 ? few_rows : (few_rows + a.run - 1) / a.run * a.run;
    }
    for (index_type m = 0; m < a.count; m += rows) {
      const index_type count = rows < a.count - m ? rows : a.count - m;
      all_panels(a.part(m, count), b, stage, to.part(m, a.run));
    }
  }

 private:
  static constexpr index_type l1 = 32 * 1024;
  static constexpr index_type few_rows = std::is_same_v<Stage, to_accumulators> ? 12 : 48;

  VQ_INLINE static void all_panels(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                   const output_rows<output_type>& to) {
    for (index_type n = 0; n < to.channels; n += panel::width) {
      const index_type left = panel::width_at(n, to.channels);
      const finish last(stage, to.first_channel + n, left, to.channel_step);
      const index_type width = panel::width_at(n, b.padded_columns);
      const job work{a, b.codes + n * b.depth, width * panel::group, b.start + n, to, last};
      constexpr int many = unit::tile_blocks;
      index_type j = 0;
      for (; (j + many) * panel::columns <= width; j += many) rows<many>(work, n, j);
      if constexpr (many > 2) {
        if ((j + 3) * panel::columns <= width) rows<3>(work, n, j), j += 3;
        if ((j + 2) * panel::columns <= width) rows<2>(work, n, j), j += 2;
      }
      if (many > 1 && (j + 1) * panel::columns <= width) rows<1>(work, n, j);
    }
  }

  struct job {
    const code_rows<A>& a;
    const std::int8_t* b;
    index_type b_step;  // from 4 steps of k to the next 4
    const std::int32_t* start;
    const output_rows<output_type>& to;
    const finish& last;
  };

  template <std::size_t Blocks>
  VQ_INLINE static void rows(const job& work, index_type n, index_type block) {
    constexpr index_type most = unit::tile_rows(Blocks);
    auto from = work.a.rows();
    auto out = work.to.rows(work.a.count, work.a.run);
    out.at = out.begin += (n + block * panel::columns) * work.to.channel_step;
    index_type tiles = (work.a.count + most - 1) / most, left = work.a.count;
    for (; tiles > 0; --tiles) {
      const index_type count = (left + tiles - 1) / tiles;
      left -= count;
      some_rows<most, Blocks>(count, work, block, from, out);
    }
  }
  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void some_rows(index_type count, const job& work, index_type block,
                                  row_cursor<const A>& from, row_cursor<output_type>& out) {
    if (count == index_type{Rows}) return tile<Rows, Blocks>(work, block, from, out);
    if constexpr (Rows > 1) some_rows<Rows - 1, Blocks>(count, work, block, from, out);
  }

  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void tile(const job& work, index_type block, row_cursor<const A>& from,
                             row_cursor<output_type>& out) {
    const code_rows<A>& a = work.a;
    const A* row[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) row[r] = from.next();
    typename unit::sums sums[Rows][Blocks];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) {
        sums[r][j] = unit::begin(work.start + (block + j) * panel::columns);
      }
    }
    const std::int8_t* b = work.b + block * panel::columns * panel::group;
    for (index_type i = 0; i < a.outer; ++i) {
      for (index_type j = 0; j < a.inner; ++j) {
        index_type at = i * a.outer_step + j * a.inner_step;
        index_type left = a.depth;
        for (; left >= panel::group; left -= panel::group) {
          step<Rows, Blocks>(sums, row, at, panel::group, b);
          at += panel::group;
          b += work.b_step;
        }
        if (left > 0) {
          step<Rows, Blocks>(sums, row, at, left, b);
          b += work.b_step;
        }
      }
    }
    output_type* to[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) to[r] = out.next();
    work.last.template store<unit, Rows, Blocks>(sums, block * panel::columns, to);
  }

  // The next `count` <= 4 steps of k.
  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void step(typename unit::sums (&sums)[Rows][Blocks], const A* const (&row)[Rows],
                             index_type at, index_type count, const std::int8_t* b) {
    decltype(unit::load(b)) block[Blocks];
#pragma GCC unroll 8
    for (int j = 0; j < int{Blocks}; ++j) {
      block[j] = unit::load(b + j * panel::columns * panel::group);
      __builtin_prefetch(b + j * panel::columns * panel::group + 1024);  // for panels beyond the L1
    }
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
      const auto spread = unit::spread(bits(row[r] + at, count));
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) unit::add(sums[r][j], spread, block[j]);
    }
  }

  VQ_INLINE static std::int32_t bits(const A* codes, index_type count) {
    std::int32_t four = 0;
    if (count == panel::group) {
      std::memcpy(&four, codes, sizeof four);
    } else {
      while (count-- > 0) four = four << 8 | static_cast<std::uint8_t>(codes[count]);
    }
    return four;
  }
};

}  // namespace vq::inline v1

#endif
