// The units of the 8-bit integer product: what an instruction set knows of a block of 16 columns by 4
// steps of k. gemm.hpp has the loop around them, panel_block_x86.hpp and panel_block_neon.hpp the
// units. Which type of codes an instruction set multiplies (product_codes) follows from its units.
#ifndef VQ_SIMD_PANEL_BLOCK_HPP
#define VQ_SIMD_PANEL_BLOCK_HPP

#include <cstdint>

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

// For one instruction set and one type of codes:
//   block, sums              16 columns of b for 4 steps of k; their 16 accumulators
//   tile_blocks, tile_rows   how many blocks and, of those, rows are in registers at once
//   load(b), spread(bits)    a block; four codes of a for all columns
//   begin(start)             sums
//   add(sums, codes, block)  multiplies and accumulates
//   store(sums, c)
template <class A, class Arch>
struct panel_block;

template <class A, class Arch>
concept has_panel_block = requires { panel_block<A, Arch>::tile_blocks; };

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code X, class Arch>
  requires(!simd::has_panel_block<X, Arch> && simd::has_panel_block<std::uint8_t, Arch>)
struct product_codes<X, simd::on<Arch>> {
  using type = std::uint8_t;
};
template <byte_code X, class Arch>
  requires(!simd::has_panel_block<X, Arch> && simd::has_panel_block<std::int8_t, Arch>)
struct product_codes<X, simd::on<Arch>> {
  using type = std::int8_t;
};

}  // namespace vq::inline v1

#endif
