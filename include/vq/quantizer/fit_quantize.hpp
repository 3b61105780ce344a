// Parameters from the data and codes, in one pass over memory: a block is encoded while it is still
// in the cache.
//
//   status s = vq::fit_quantize(q, x, params, codes);               // = fit, then quantize
//   status s = vq::fit_quantize(vq::simd::native, q, x, params, codes, parallel);
//
// Pays where a parameter belongs to one run (per_block, per_group, per_token, per_channel<0>) of
// contiguous floats; elsewhere it is the two calls. After not_finite neither parameters nor codes
// are of use.
#ifndef VQ_QUANTIZER_FIT_QUANTIZE_HPP
#define VQ_QUANTIZER_FIT_QUANTIZE_HPP

#include <span>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/status.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

// Both for one strip of one row; pointers as in encode_strip. False when a value was NaN or infinite.
template <class Policy, class Layout>
struct fit_encode_strip {
  using stored_type = typename encode_strip<Policy, Layout>::stored_type;

  constexpr bool operator()(const Policy& policy, typename Policy::param_type* params, strip s,
                            const float* in, stored_type* out) const noexcept {
    bool finite = true;
    s.for_each_run([&](index_type run, index_type offset) VQ_INLINE_LAMBDA {
      const observed o = range_operation<Policy>{}(in + offset, s.length);
      finite = finite && o.finite;
      params[run] = fit_run(policy, s.short_run, o.seen);
      const strip one{s.begin + offset, s.length, 1, run, 1, s.short_run};
      encode_strip<Policy, Layout>{}(policy, params, one, in + offset, out);
    });
    return finite;
  }
};

template <a_quantizer Q>
using fit_encode_operation = fit_encode_strip<typename Q::policy_type, typename Q::layout_type>;

namespace detail {

// `cut` is all that there is of a granularity here: one instance serves every granularity.
template <class Policy, class Layout, execution E, readable_view V, parallel_for P>
constexpr status fit_encode_slices(E e, const Policy& policy, const slices& cut, const V& x,
                                   std::span<typename Policy::param_type> params,
                                   typename fit_encode_strip<Policy, Layout>::stored_type* codes,
                                   const P& parallel) {
  if constexpr (float_view<V>) {
    if (x.is_exhaustive() && !cut.shared && !x.empty()) {
      // A task is a number of runs that fill whole bytes, or everything where rows end early.
      constexpr index_type most_tasks = 256, task_size = index_type{1} << 16;
      const index_type eight_runs = 8 * cut.length;
      const index_type size = x.size() / most_tasks > task_size ? x.size() / most_tasks : task_size;
      const bool divisible = cut.rows == 1 || cut.row % cut.length == 0;
      const index_type step =
          divisible ? (size + eight_runs - 1) / eight_runs * eight_runs : x.size();
      const index_type tasks = (x.size() + step - 1) / step;
      bool bad[most_tasks + 1] = {};  // of its own for every task: no two write the same
      parallel(tasks, [&](index_type task, index_type) {
        const index_type begin = task * step, left = x.size() - begin;
        cut.for_each_strip(begin, left < step ? left : step, [&](strip s) {
          const bool finite = kernel<fit_encode_strip<Policy, Layout>, E>{}(
              policy, params.data(), s, x.data_handle() + s.begin, codes);
          bad[task] = bad[task] || !finite;
        });
      });
      for (const bool b : bad) {
        if (b) return status::not_finite;
      }
      return status::ok;
    }
  }
  if (const status s = fit_slices(e, policy, cut, x, params); s != status::ok) return s;
  encode_slices<Policy, Layout>(e, policy, params.data(), cut, x, codes);
  return status::ok;
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V, parallel_for P = serial_t>
constexpr status fit_quantize(E e, const Q& q, const V& x, std::span<typename Q::param_type> params,
                              std::span<typename Q::stored_type> codes,
                              const P& parallel = serial) {
  if (const status s = check_sizes(q, x, params, codes); s != status::ok) return s;
  return detail::fit_encode_slices<typename Q::policy_type, typename Q::layout_type>(
      e, q.policy, q.cut(x.extents()), x, params, codes.data(), parallel);
}
template <a_quantizer Q, readable_view V>
constexpr status fit_quantize(const Q& q, const V& x, std::span<typename Q::param_type> params,
                              std::span<typename Q::stored_type> codes) noexcept {
  return fit_quantize(scalar, q, x, params, codes);
}

}  // namespace vq::inline v1

#endif
