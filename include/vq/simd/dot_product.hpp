// The dot products of bytes: sum += a . b for groups of four, exact, modulo 2^32.
//
//   avx512_vnni, avx2_vnni   vpdpbusd: unsigned a, signed b
//   neon_i8mm                usdot: unsigned a, signed b; and that of neon_dotprod
//   neon_dotprod             sdot: both signed
//   neon                     in 16 bits (one product of at most 2^14), then added in pairs; both signed
//
// A tag with a dot_product has the tiles of gemm.hpp and the taps of depthwise.hpp.
#ifndef VQ_SIMD_DOT_PRODUCT_HPP
#define VQ_SIMD_DOT_PRODUCT_HPP

#include <concepts>
#include <cstdint>

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

// static void add(sum, a, b), where A is the type of the codes in a.
template <class A, class Arch>
struct dot_product;

#if defined(__x86_64__)

// In assembly: around the intrinsics, GCC 12 copies every sum to another register and back, and with
// 24 of them to memory.
#if defined(__AVX512VNNI__)
template <std::derived_from<avx512_vnni> Arch>
struct dot_product<std::uint8_t, Arch> {
  template <class V>
  VQ_INLINE static void add(V& sum, V a, V b) {
    asm("{vpdpbusd %2, %1, %0|vpdpbusd %0, %1, %2}" : "+v"(sum) : "v"(a), "v"(b));
  }
};
#endif
#if defined(__AVXVNNI__)
template <std::derived_from<avx2_vnni> Arch>
struct dot_product<std::uint8_t, Arch> {
  template <class V>
  VQ_INLINE static void add(V& sum, V a, V b) {
    asm("%{vex%} {vpdpbusd %2, %1, %0|vpdpbusd %0, %1, %2}" : "+x"(sum) : "x"(a), "x"(b));
  }
};
#endif

#elif defined(__aarch64__)

template <>
struct dot_product<std::int8_t, neon> {
  VQ_INLINE static void add(int32x4_t& sum, int8x16_t a, int8x16_t b) {
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(a, b));
    sum = vaddq_s32(sum, vpaddq_s32(low, high));
  }
};

#if defined(__ARM_FEATURE_DOTPROD)
template <std::derived_from<neon_dotprod> Arch>
struct dot_product<std::int8_t, Arch> {
  VQ_INLINE static void add(int32x4_t& sum, int8x16_t a, int8x16_t b) {
    sum = vdotq_s32(sum, a, b);
  }
};
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
template <std::derived_from<neon_i8mm> Arch>
struct dot_product<std::uint8_t, Arch> {
  VQ_INLINE static void add(int32x4_t& sum, int8x16_t a, int8x16_t b) {
    sum = vusdotq_s32(sum, vreinterpretq_u8_s8(a), b);
  }
};
#endif

#endif

template <class A, class Arch>
concept has_dot_product = requires { sizeof(dot_product<A, Arch>); };

}  // namespace vq::inline v1::simd

#endif
