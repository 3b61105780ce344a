// Counting values by bins whose width is a power of two: the inner loop of histogram_observer, as an
// operation. Always inlined, so that every instruction set may vectorize a copy of its own.
#ifndef VQ_CALIBRATE_COUNT_VALUES_HPP
#define VQ_CALIBRATE_COUNT_VALUES_HPP

#include <cstdint>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// bins[i] = floor(x[i] * factor) for a power of two and |x * factor| < 2^31; returns how many x are
// zero.
struct find_bins {
  VQ_INLINE index_type operator()(const float* x, index_type count, float factor,
                                  std::int32_t* bins) const noexcept {
    index_type zeros = 0;
    for (index_type i = 0; i < count; ++i) {
      const float at = x[i] * factor;
      const auto truncated = static_cast<std::int32_t>(at);
      // The product may underflow to -0, so the sign is asked of x.
      const bool rounded_up =
          (at < static_cast<float>(truncated)) | ((x[i] < 0) & (truncated == 0));
      bins[i] = truncated - (rounded_up ? 1 : 0);
      zeros += x[i] == 0 ? 1 : 0;
    }
    return zeros;
  }
};

// Adds the values of x to the counts, where bin 0 is counts[0] and others lie around it; returns how
// many x are zero. Indices first, which compilers vectorize, then the counting, which they cannot.
// Bins as in find_bins.
struct count_values {
  VQ_INLINE index_type operator()(const float* x, index_type count, float factor,
                                  std::uint64_t* counts) const noexcept {
    constexpr index_type chunk = 256;
    std::int32_t bin[chunk];
    index_type zeros = 0;
    for (index_type done = 0; done < count; done += chunk) {
      const index_type size = count - done < chunk ? count - done : chunk;
      zeros += find_bins{}(x + done, size, factor, bin);
      for (index_type i = 0; i < size; ++i) ++counts[bin[i]];
    }
    return zeros;
  }
};

}  // namespace vq::inline v1

#endif
