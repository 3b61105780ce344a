// Parameters and codes at once: some runs are looked at and then encoded while they lie in the
// first-level cache, by the kernels of range.hpp and of the policy.
//
// Short runs of a policy that looks at absmax alone are looked at together: one reduction and one
// fit serve as many of them as a register has lanes.
#ifndef VQ_SIMD_FIT_QUANTIZE_HPP
#define VQ_SIMD_FIT_QUANTIZE_HPP

#include <vq/quantizer/fit_quantize.hpp>
#include <vq/simd/affine.hpp>
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
    if constexpr (simd::has_ordinary_encode<Policy, Layout, Arch>) {
      const simd::invalid_flag flag;
      const bool finite = fit_encode<true>(policy, params, s, in, out);
      if (flag.raised()) encode<false>(policy, params, s, 0, s.count, in, out);
      return finite;
    } else {
      return fit_encode<false>(policy, params, s, in, out);
    }
  }

 private:
  template <bool Ordinary>
  VQ_INLINE static bool fit_encode(const Policy& policy, param_type* params, strip s,
                                   const float* in, stored_type* out) noexcept {
    constexpr index_type cached = 1024;  // floats; they and the ones before stay in L1
    if constexpr (fits_registers<Policy, V>) {
      if (s.length >= width && s.length < 4096 / width && !s.short_run) {
        I worst(0);
        by_turns<Ordinary>(policy, params, s, width, in, out, [&](index_type run, index_type runs) {
          worst = (xsimd::max)(worst, simd::fit_rows<Arch>(policy, in + run * s.length, s.length,
                                                           runs, params + s.param + run));
        });
        return !xsimd::any(worst >= I(0x7f800000));
      }
    }
    bool finite = true;
    const index_type at_once = s.length < cached ? cached / s.length : 1;
    by_turns<Ordinary>(policy, params, s, at_once, in, out, [&](index_type run, index_type runs) {
      for (index_type r = run; r < run + runs; ++r) {
        const observed o =
            kernel<range_operation<Policy>, simd::on<Arch>>{}(in + r * s.length, s.length);
        finite = finite && o.finite;
        params[s.param + r] = fit_run(policy, s.short_run, o.seen);
      }
    });
    return finite;
  }

  // Calls fit(run, runs) for `at_once` runs and encodes the ones before them, whose parameters are
  // ready by then.
  template <bool Ordinary, class Fit>
  VQ_INLINE static void by_turns(const Policy& policy, const param_type* params, strip s,
                                 index_type at_once, const float* in, stored_type* out,
                                 Fit fit) noexcept {
    index_type before = 0;
    for (index_type run = 0; run < s.count; run += at_once) {
      const index_type left = s.count - run;
      fit(run, left < at_once ? left : at_once);
      encode<Ordinary>(policy, params, s, before, run - before, in, out);
      before = run;
    }
    encode<Ordinary>(policy, params, s, before, s.count - before, in, out);
  }

  // Runs [run, run + runs) of the strip. Ordinary: the values are known to fit the parameters.
  template <bool Ordinary>
  VQ_INLINE static void encode(const Policy& policy, const param_type* params, strip s,
                               index_type run, index_type runs, const float* in,
                               stored_type* out) noexcept {
    in += run * s.length;
    s.begin += run * s.length;
    s.param += run;
    s.count = runs;
    if constexpr (Ordinary) {
      simd::encode_ordinary<Policy, Arch>(params, s, in, out);
    } else {
      kernel<encode_strip<Policy, Layout>, simd::on<Arch>>{}(policy, params, s, in, out);
    }
  }
};

}  // namespace vq::inline v1

#endif
