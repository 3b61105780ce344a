// Histograms with AVX-512: the indices of zeros, which activations after ReLU hold by the half, are
// left out and counted together. Otherwise each increment of their bin waits for the one before.
//
// Elsewhere the reference is as good: compilers vectorize the indices, and the increments are scalar
// in any case. More tables than one were no gain: the bins in use fill the first-level cache.
#ifndef VQ_SIMD_HISTOGRAM_HPP
#define VQ_SIMD_HISTOGRAM_HPP

#include <concepts>
#include <cstdint>
#include <cstring>

#include <vq/calibrate/count_values.hpp>
#include <vq/simd/codes.hpp>

namespace vq::inline v1 {

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

template <std::derived_from<simd::avx512> Arch>
struct kernel<count_values, simd::on<Arch>> {
  [[gnu::flatten]] index_type operator()(const float* x, index_type count, float factor,
                                         std::uint64_t* counts) const noexcept {
    constexpr index_type chunk = 256;
    alignas(64) std::int32_t bin[chunk + 16];
    const __m512 factors = _mm512_set1_ps(factor), zero = _mm512_setzero_ps();
    index_type zeros = 0;
    for (index_type done = 0; done < count; done += chunk) {
      const index_type size = count - done < chunk ? count - done : chunk;
      index_type found = 0;
      for (index_type i = 0; i < size; i += 16) {
        const __m512 v = simd::load_some<Arch>(x + done + i, size - i, 0.f);
        const __mmask16 values = _mm512_cmp_ps_mask(v, zero, _CMP_NEQ_UQ);
        __m512i b = _mm512_cvt_roundps_epi32(_mm512_mul_ps(v, factors),
                                             _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
        // A product that underflows has no sign left; the bin of what is below zero is not above -1.
        b = _mm512_mask_min_epi32(b, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), b,
                                  _mm512_set1_epi32(-1));
        _mm512_storeu_si512(bin + found, _mm512_maskz_compress_epi32(values, b));
        found += __builtin_popcount(values);
      }
      zeros += size - found;
      index_type i = 0;
      for (; i + 2 <= found; i += 2) {  // one load for two indices
        std::int64_t two;
        std::memcpy(&two, bin + i, sizeof two);
        ++counts[static_cast<std::int32_t>(two)];
        ++counts[two >> 32];
      }
      if (i < found) ++counts[bin[i]];
    }
    counts[0] += static_cast<std::uint64_t>(zeros);
    return zeros;
  }
};

#endif

}  // namespace vq::inline v1

#endif
