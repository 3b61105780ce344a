// fit_encode_strip for runs of 32, 64 and 128 values with nibbles for codes, 16 runs at a time, on
// registers of 16 floats.
//
//   absmax   a register for each run, and a butterfly of 15 maxima for all 16
//   scale    fit_absmax of the policy, and the factors that divide by it: once for 16 runs
//   codes    of 128 values each: what follows from |x| <= absmax is not looked for again
//
// A value divided by its own scale lies inside the codes, so an evenly spaced grid needs neither of
// the clamps: round(x * factor) + Z. A codebook needs none before the lookup of its bins
// (level_search.hpp). With NaN or infinity in a run its codes are of no use, as they are after fit.
#ifndef VQ_SIMD_FITTED_NIBBLES_HPP
#define VQ_SIMD_FITTED_NIBBLES_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/policy/codebook.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/granularity.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/level_search.hpp>
#include <vq/simd/nibbles.hpp>
#include <vq/simd/row_maxima.hpp>

namespace vq::inline v1::simd {

template <class Policy>
inline constexpr bool has_fitted_codes = false;

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

// The codes of values that lie in the range which their scale was fitted to.
template <class Policy>
struct fitted_codes;

template <class Policy>
  requires(affine_policy<Policy> && Policy::symmetric_range &&
           std::same_as<typename Policy::arithmetic_type, reciprocal_product>)
inline constexpr bool has_fitted_codes<Policy> = true;
template <class Policy>
  requires(affine_policy<Policy> && has_fitted_codes<Policy>)
struct fitted_codes<Policy> {
  VQ_INLINE static __m512 factors(__m512 scale) noexcept {
    return _mm512_div_ps(_mm512_set1_ps(1), scale);
  }
  VQ_INLINE static __m512i of(__m512 x, __m512 factor) noexcept {
    const __m512i steps = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
    constexpr int zero = Policy::limits.zero;
    return zero == 0 ? steps : _mm512_add_epi32(steps, _mm512_set1_epi32(zero));
  }
};

template <class Table>
inline constexpr bool has_fitted_codes<codebook<Table>> =
    codebook<Table>::rising.rise && level_bins<level_bounds<Table>>{}.usable;
template <class Table>
struct fitted_codes<codebook<Table>> {
  VQ_INLINE static __m512 factors(__m512 scale) noexcept {
    const __m512 smallest = _mm512_set1_ps(codebook<Table>::smallest_scale);
    return _mm512_div_ps(_mm512_set1_ps(1), _mm512_max_ps(scale, smallest));
  }
  VQ_INLINE static __m512i of(__m512 x, __m512 factor) noexcept {
    return count_by_bins<level_bounds<Table>>(_mm512_mul_ps(x, factor));
  }
};

// 16 parameters.
template <class Policy>
VQ_INLINE void store_fitted(__m512 scale, typename Policy::param_type* to) noexcept {
  if constexpr (std::same_as<typename Policy::param_type, scale_param>) {
    static_assert(sizeof(scale_param) == sizeof(float));
    _mm512_storeu_ps(to, scale);
  } else {
    const __m512i zero = _mm512_set1_epi32(Policy::limits.zero);
    const __m512i first = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512i last = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    const __m512i bits = _mm512_castps_si512(scale);
    _mm512_storeu_si512(to, _mm512_mask_permutexvar_epi32(zero, 0x5555, first, bits));
    _mm512_storeu_si512(to + 8, _mm512_mask_permutexvar_epi32(zero, 0x5555, last, bits));
  }
}

// 16 runs of 16 * Registers values each: parameters, codes, and the largest magnitudes as bits.
template <class Arch, class Layout, int Registers, class Policy>
VQ_INLINE ints<Arch> fit_encode_16_runs(const Policy& policy, typename Policy::param_type* params,
                                        const float* in, std::uint8_t* out) noexcept {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using packer = nibble_packer<Arch, Layout, typename Policy::code_type>;
  const auto magnitude = [&](int at) {
    return _mm512_and_si512(_mm512_loadu_si512(in + 16 * at), _mm512_set1_epi32(0x7fffffff));
  };
  I most[16];
#pragma GCC unroll 16
  for (int r = 0; r < 16; ++r) {
    __m512i two[2] = {magnitude(r * Registers), magnitude(r * Registers + 1)};
#pragma GCC unroll 8
    for (int k = 2; k < Registers; ++k) {
      two[k % 2] = _mm512_max_epi32(two[k % 2], magnitude(r * Registers + k));
    }
    most[r] = _mm512_max_epi32(two[0], two[1]);
  }
  const I absmax = row_maxima<Arch>(most);
  const V scale = policy.fit_absmax(lane<V>::from_bits(absmax));
  store_fitted<Policy>(scale, params);
  alignas(64) float factor[16];
  _mm512_store_ps(factor, fitted_codes<Policy>::factors(scale));

#pragma GCC unroll 1
  for (int group = 0; group < 2 * Registers; ++group, in += 128, out += 64) {
    const float* const of_group = factor + group * 8 / Registers;
    const auto code = [&](int k) -> I {
      return fitted_codes<Policy>::of(_mm512_loadu_ps(in + 16 * k),
                                      _mm512_set1_ps(of_group[k / Registers]));
    };
    packer::store({code(0), code(1), code(2), code(3)}, {code(4), code(5), code(6), code(7)}, out);
  }
  return absmax;
}

// As many runs of the strip as there are whole groups of 16, from the first one on; how many.
template <class Arch, class Layout, class Policy>
VQ_INLINE index_type fit_encode_whole_groups(const Policy& policy,
                                             typename Policy::param_type* params, const strip& s,
                                             const float* in, std::uint8_t* out,
                                             ints<Arch>& worst) noexcept {
  if (s.begin % 2 != 0) return 0;
  const auto all = [&]<int Registers>(std::integral_constant<int, Registers>) VQ_INLINE_LAMBDA {
    index_type run = 0;
    for (; run + 16 <= s.count; run += 16) {
      const index_type at = run * s.length;
      worst = (xsimd::max)(worst, fit_encode_16_runs<Arch, Layout, Registers>(
                                      policy, params + run, in + at, out + (s.begin + at) / 2));
    }
    return run;
  };
  if (s.length == 32) return all(std::integral_constant<int, 2>{});
  if (s.length == 64) return all(std::integral_constant<int, 4>{});
  if (s.length == 128) return all(std::integral_constant<int, 8>{});
  return 0;
}

#endif

}  // namespace vq::inline v1::simd

#endif
