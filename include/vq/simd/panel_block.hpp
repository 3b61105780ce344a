// The units of the 8-bit integer product: what an instruction set does for a block of 16 columns by 4
// steps of k. gemm.hpp has the loop around them. Here stands the unit of everything that has dot
// products of bytes; others in panel_block_x86.hpp and panel_block_neon.hpp. Which type of codes an
// instruction set multiplies (product_codes) follows from its units.
#ifndef VQ_SIMD_PANEL_BLOCK_HPP
#define VQ_SIMD_PANEL_BLOCK_HPP

#include <cstddef>
#include <cstdint>

#include <vq/nn/gemm.hpp>
#include <vq/simd/byte_lanes.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/dot_product.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>

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
  requires has_dot_product<A, Arch>
struct panel_block<A, Arch> {
  static constexpr int lanes = lanes_of<Arch> / 4, parts = 4 / lanes;
  using wide = byte_lanes<lanes>;
  struct block {
    typename wide::codes v[std::size_t{parts}];
  };
  struct sums {
    typename wide::sums v[std::size_t{parts}];
  };
  // As many as there are registers for: 32 of 512 bits, 16 of 256, 32 of 128.
  static constexpr int tile_blocks = lanes == 4 ? 4 : 1;
  static constexpr int tile_rows(int) { return lanes == 1 ? 5 : 6; }

  VQ_INLINE static block load(const std::int8_t* b) {
    block loaded;
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) loaded.v[i] = held(wide::load(b + 16 * lanes * i));
    return loaded;
  }
  VQ_INLINE static typename wide::codes spread(std::int32_t bits) { return wide::spread(bits); }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    sums s;
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) s.v[i] = wide::load_sums(start + 4 * lanes * i);
    return s;
  }
  VQ_INLINE static void add(sums& s, typename wide::codes a, const block& b) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) dot_product<A, Arch>::add(s.v[i], a, b.v[i]);
  }
  VQ_INLINE static typename wide::sums total(const sums& s)
    requires(lanes == 4)
  {
    return s.v[0];
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 4
    for (int i = 0; i < parts; ++i) wide::store(c + 4 * lanes * i, s.v[i]);
  }
};

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
