// How a value is divided by its scale.
//
//   product    times the reciprocal
//   division   by the instruction, whose rate is a quarter of that of products or less
//   refined    times the reciprocal, and then corrected twice by fused products: the same quotient,
//              for scales within `refines`
#ifndef VQ_SIMD_QUOTIENT_HPP
#define VQ_SIMD_QUOTIENT_HPP

#include <concepts>
#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/core/op.hpp>
#include <vq/policy/convention.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/lane.hpp>

namespace vq::inline v1::simd {

enum class quotient { product, division, refined };

// a * b + c, rounded once; no such instruction where it is not defined.
template <class Arch>
struct fused;
#if defined(__AVX512F__)
template <std::derived_from<avx512> Arch>
struct fused<Arch> {
  using V = floats<Arch>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return _mm512_fnmadd_ps(a, b, c); }
};
#endif
#if defined(__AVX2__) && defined(__FMA__)
template <std::derived_from<avx2> Arch>
struct fused<Arch> {
  using V = floats<Arch>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return _mm256_fnmadd_ps(a, b, c); }
};
#endif
#if defined(__aarch64__)
template <std::derived_from<neon> Arch>
struct fused<Arch> {
  using V = floats<Arch>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return vfmaq_f32(c, a, b); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return vfmsq_f32(c, a, b); }
};
#endif

template <class Arch>
concept has_fused = requires { typename fused<Arch>::V; };

// True where the refined quotient is that of the division, as far as codes of 16 bits can tell: no
// remainder of a quotient above 1/4 underflows, and neither the reciprocal nor the bound overflows.
VQ_INLINE bool refines(const affine_param* params, index_type count) noexcept {
  bool all = true;
  for (index_type i = 0; i < count; ++i) {
    all &= params[i].scale >= 0x1p-96f && params[i].scale <= 0x1p96f;
  }
  return all;
}

// x / scale, where x <= bound = 2^17 scale, so that no positive product overflows. A negative one
// may, and gives NaN, which becomes the lowest code too.
// With the reciprocal rounded to nearest, the first correction leaves an error below one unit in the
// last place and the second one the quotient rounded to nearest (Markstein 1990, IBM J. Res. Dev.
// 34(1)).
template <class Arch>
VQ_INLINE floats<Arch> refined_quotient(floats<Arch> x, floats<Arch> scale, floats<Arch> reciprocal,
                                        floats<Arch> bound) noexcept {
  using f = fused<Arch>;
  x = (op::min)(bound, x);
  floats<Arch> q = x * reciprocal;
  for (int i = 0; i < 2; ++i) q = f::add(f::subtract(q, scale, x), reciprocal, q);
  return q;
}

// The registers that dividing by a scale takes.
template <class Arch, quotient How>
struct divisor {
  using V = floats<Arch>;
  static constexpr std::size_t count = How == quotient::refined ? 3 : 1;

  VQ_INLINE static void prepare(V scale, V* k) noexcept {
    k[0] = How == quotient::product ? (op::divide)(V(1.f), scale) : scale;
    if constexpr (How == quotient::refined) {
      k[1] = (op::divide)(V(1.f), scale);
      k[2] = scale * V(0x1p17f);
    }
  }
  VQ_INLINE static V divide(V x, const V* k) noexcept {
    if constexpr (How == quotient::refined) {
      return refined_quotient<Arch>(x, k[0], k[1], k[2]);
    } else if constexpr (How == quotient::division) {
      return (op::divide)(x, k[0]);
    } else {
      return x * k[0];
    }
  }
};

}  // namespace vq::inline v1::simd

#endif
