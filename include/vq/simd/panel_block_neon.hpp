// The integer product on AArch64 without dot products of bytes: smull into 16 bits (one product of at
// most 2^14), pairs added into 32 bits. Signed a.
#ifndef VQ_SIMD_PANEL_BLOCK_NEON_HPP
#define VQ_SIMD_PANEL_BLOCK_NEON_HPP

#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/simd/execution.hpp>
#include <vq/simd/panel_block.hpp>

namespace vq::inline v1::simd {

#if defined(__aarch64__)

template <>
struct panel_block<std::int8_t, neon> {
  struct block {
    int8x16_t v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    int32x4_t v[8];
  };
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 2; }

  VQ_INLINE static block load(const std::int8_t* b) {
    return {{vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)}};
  }
  VQ_INLINE static int8x16_t spread(std::int32_t bits) {
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    sums s;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      s.v[i] = vreinterpretq_s32_u64(
          vmovl_u32(vld1_u32(reinterpret_cast<const std::uint32_t*>(start) + 2 * i)));
    }
    return s;
  }
  VQ_INLINE static void add(sums& s, int8x16_t a, const block& b) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      s.v[2 * i] = vpadalq_s16(s.v[2 * i], vmull_s8(vget_low_s8(a), vget_low_s8(b.v[i])));
      s.v[2 * i + 1] = vpadalq_s16(s.v[2 * i + 1], vmull_high_s8(a, b.v[i]));
    }
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) vst1q_s32(c + 4 * i, vpaddq_s32(s.v[2 * i], s.v[2 * i + 1]));
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
