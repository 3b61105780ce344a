// The search for the nearest level, prepared at compile time: how many of a few rising bounds lie
// below x (op::count_below<Bounds>).
//
//   level_bins     cuts the line into 32 bins so narrow that each holds at most one bound:
//                  count = bounds below the bin + (x > the bound in the bin). Two lookups, one
//                  comparison. Not every set of bounds has such bins (`usable`): FP4's has not.
//   level_search   a binary search, four comparisons; its tables have at most eight entries, or
//                  sixteen for registers that hold them (level_steps)
//
// The bin of x is round(clamp(x) * scale + 16). That is monotone in x, whatever it is rounded to, so
// the only question is which bin a bound lies in; those that come near the edge of one are refused.
#ifndef VQ_SIMD_LEVEL_SEARCH_HPP
#define VQ_SIMD_LEVEL_SEARCH_HPP

#include <cstddef>
#include <cstdint>
#include <limits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <vq/core/op.hpp>

namespace vq::inline v1::simd {

template <class Bounds>
inline constexpr std::size_t bounds_of = sizeof Bounds::values / sizeof(float);

template <class Bounds>
struct level_bins {
  static constexpr int middle = 16;

  float limit = 0;  // x is clamped to [-limit, limit]; all bounds lie inside, and Bounds::reach
  float scale = 0;
  float bound[32] = {};          // the one in the bin, or infinity
  std::int32_t before[32] = {};  // how many lie in lower bins
  bool usable = bounds_of<Bounds> <= 31;

  constexpr level_bins() noexcept {
    for (const float b : Bounds::values) limit = (op::max)(op::abs(b), limit);
    if constexpr (requires { Bounds::reach; }) limit = (op::max)(Bounds::reach, limit);
    limit *= 1.01f;
    scale = 15.4f / limit;
    int bins[32] = {};
    for (float& b : bound) b = std::numeric_limits<float>::infinity();
    for (const float b : Bounds::values) {
      const double position = static_cast<double>(b) * static_cast<double>(scale) + middle;
      const int bin = static_cast<int>(position + 0.5);
      const double from_edge = position + 0.5 - bin;
      usable = usable && bins[bin] == 0 && from_edge > 1e-4 && from_edge < 1 - 1e-4;
      ++bins[bin];
      bound[bin] = b;
      for (int higher = bin + 1; higher < 32; ++higher) before[higher] += 1;
    }
  }
};

template <class Bounds>
inline constexpr level_bins<Bounds> bins_of{};

#if defined(__AVX512F__)
// |x| <= limit.
template <class Bounds>
VQ_INLINE __m512i count_by_bins(__m512 x) noexcept {
  constexpr const level_bins<Bounds>& bins = bins_of<Bounds>;
  // The sum lies where floats are integers, so its low bits are the bin.
  const __m512 position =
      _mm512_fmadd_ps(x, _mm512_set1_ps(bins.scale), _mm512_set1_ps(12582912.f + bins.middle));
  const __m512i bin = _mm512_castps_si512(position);
  const __m512i count = _mm512_permutex2var_epi32(_mm512_loadu_si512(bins.before), bin,
                                                  _mm512_loadu_si512(bins.before + 16));
  const __m512 inside =
      _mm512_permutex2var_ps(_mm512_loadu_ps(bins.bound), bin, _mm512_loadu_ps(bins.bound + 16));
  const __mmask16 above = _mm512_cmp_ps_mask(x, inside, _CMP_GT_OQ);
  return _mm512_mask_add_epi32(count, above, count, _mm512_set1_epi32(1));
}
#endif

// The bounds that the four steps of a search compare with. A step knows the bits of the count above
// its own, as a number i <= 0 that counts downwards (comparison masks are -1); entry i modulo 8.
template <class Bounds>
struct level_search {
  static constexpr bool usable = bounds_of<Bounds> <= 15;

  float first = 0, second[8] = {}, third[8] = {}, fourth[8] = {};

  constexpr level_search() noexcept {
    const auto bound = [](std::size_t i) {
      return i < bounds_of<Bounds> ? Bounds::values[i] : std::numeric_limits<float>::infinity();
    };
    first = bound(7);
    for (std::size_t i = 0; i < 8; ++i) {
      const std::size_t entry = (8 - i) % 8;
      if (i < 2) second[entry] = bound(8 * i + 3);
      if (i < 4) third[entry] = bound(4 * i + 1);
      fourth[entry] = bound(2 * i);
    }
  }
};

// The same with tables of 16: step k compares with bounds[i + k - 1] where i is the count so far, and
// adds k to it if x lies above.
template <class Bounds>
struct level_steps {
  float one[16] = {}, two[16] = {}, four[16] = {};

  constexpr level_steps() noexcept {
    const auto bound = [](std::size_t i) {
      return i < bounds_of<Bounds> ? Bounds::values[i] : std::numeric_limits<float>::infinity();
    };
    for (std::size_t i = 0; i < 16; ++i) {
      one[i] = bound(i);
      two[i] = bound(i + 1);
      four[i] = bound(i + 3);
    }
  }
};

}  // namespace vq::inline v1::simd

#endif
