// Parameters and codes at once: some runs are looked at and then encoded while they lie in the
// first-level cache, by the kernels of range.hpp and of the policy.
//
// Short runs of a policy that looks at absmax alone are looked at together: one reduction and one
// fit serve as many of them as a register has lanes.
#ifndef VQ_SIMD_FIT_QUANTIZE_HPP
#define VQ_SIMD_FIT_QUANTIZE_HPP

#include <vq/quantizer/fit_quantize.hpp>
#include <vq/simd/quantize.hpp>
#include <vq/simd/range.hpp>
#include <vq/simd/row_maxima.hpp>

namespace vq::inline v1 {

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>>
struct kernel<fit_encode_strip<Policy, Layout>, simd::on<Arch>> {
  using param_type = typename Policy::param_type;
  using stored_type = typename fit_encode_strip<Policy, Layout>::stored_type;
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;
  static constexpr index_type width = lane<V>::size;

  [[gnu::flatten]] bool operator()(const Policy& policy, param_type* params, strip s,
                                   const float* in, stored_type* out) const noexcept {
    constexpr index_type cached = 4096;  // floats: a third of a first-level cache of 48 KiB
    bool finite = true;
    if constexpr (fits_registers<Policy, V>) {
      if (s.length >= width && s.length < cached / width && !s.short_run) {
        I worst(0);
        for (index_type run = 0; run < s.count; run += width) {
          const index_type runs = s.count - run < width ? s.count - run : width;
          const float* from = in + run * s.length;
          I most[simd::lanes_of<Arch>];
          for (index_type r = 0; r < width; ++r) {
            most[r] = r < runs ? simd::largest_bits<Arch>(from + r * s.length, s.length) : I(0);
          }
          const I absmax = simd::row_maxima<Arch>(most);
          worst = (xsimd::max)(worst, absmax);
          float scale[simd::lanes_of<Arch>];
          policy.fit_absmax(lane<V>::from_bits(absmax)).store_unaligned(scale);
          for (index_type r = 0; r < runs; ++r) {
            params[s.param + run + r] = policy.param_of(scale[r]);
          }
          encode(policy, params, s, run, runs, from, out);
        }
        return !xsimd::any(worst >= I(0x7f800000));
      }
    }
    const index_type at_once = s.length < cached ? cached / s.length : 1;
    for (index_type run = 0; run < s.count; run += at_once) {
      const index_type runs = s.count - run < at_once ? s.count - run : at_once;
      const float* from = in + run * s.length;
      for (index_type r = 0; r < runs; ++r) {
        const observed o =
            kernel<range_operation<Policy>, simd::on<Arch>>{}(from + r * s.length, s.length);
        finite = finite && o.finite;
        params[s.param + run + r] = fit_run(policy, s.short_run, o.seen);
      }
      encode(policy, params, s, run, runs, from, out);
    }
    return finite;
  }

 private:
  // Runs [run, run + runs) of the strip.
  VQ_INLINE static void encode(const Policy& policy, const param_type* params, strip s,
                               index_type run, index_type runs, const float* in,
                               stored_type* out) noexcept {
    s.begin += run * s.length;
    s.param += run;
    s.count = runs;
    kernel<encode_strip<Policy, Layout>, simd::on<Arch>>{}(policy, params, s, in, out);
  }
};

}  // namespace vq::inline v1

#endif
