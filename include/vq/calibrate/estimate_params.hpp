// From what an observer saw to the parameters of a quantizer.
//
//   auto p = vq::estimate_params(vq::uniform<8>{}, seen);                  // its own range
//   auto p = vq::estimate_params(vq::uniform<8>{}, seen, vq::entropy{});   // a search
//   auto p = vq::estimate_params(policy, seen, vq::mse{}, vq::conventions::torch);
//
// `seen` is a histogram, an observer that has one, or (for minmax) any observer.
#ifndef VQ_CALIBRATE_ESTIMATE_PARAMS_HPP
#define VQ_CALIBRATE_ESTIMATE_PARAMS_HPP

#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/sliced_observer.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

// Collects a histogram.
template <class O>
concept has_snapshot = requires(const O seen) {
  { seen.snapshot() } -> std::same_as<result<histogram>>;
};

template <class C, class Policy>
concept convention_for = std::same_as<C, convention> && fits_by_convention<Policy>;

template <quantizer_policy Policy, estimator Estimator, convention_for<Policy>... Convention>
result<typename Policy::param_type> estimate_params(const Policy& policy, const histogram& h,
                                                    const Estimator& how, const Convention&... c) {
  if constexpr (requires { how.fit(policy, h, c...); }) {
    return how.fit(policy, h, c...);
  } else {
    const result<range> r = how.estimate(h, policy);
    if (!r) return r.error();
    return policy.fit(*r, c...);
  }
}
template <quantizer_policy Policy, has_snapshot Observer, estimator Estimator,
          convention_for<Policy>... Convention>
result<typename Policy::param_type> estimate_params(const Policy& policy, const Observer& seen,
                                                    const Estimator& how, const Convention&... c) {
  const result<histogram> h = seen.snapshot();
  if (!h) return h.error();
  return estimate_params(policy, *h, how, c...);
}

// The observer's own range.
template <quantizer_policy Policy, observer Observer, convention_for<Policy>... Convention>
result<typename Policy::param_type> estimate_params(const Policy& policy, const Observer& seen,
                                                    const Convention&... c) {
  const result<range> r = seen.estimate();
  if (!r) return r.error();
  return policy.fit(*r, c...);
}
template <quantizer_policy Policy, observer Observer, convention_for<Policy>... Convention>
  requires(!has_snapshot<Observer>)
result<typename Policy::param_type> estimate_params(const Policy& policy, const Observer& seen,
                                                    minmax, const Convention&... c) {
  return estimate_params(policy, seen, c...);
}

// One parameter for each observer of a sliced one, in its order.
template <a_quantizer Q, range_observer Observer, granularity Granularity,
          convention_for<typename Q::policy_type>... Convention>
status estimate_params(const Q& q, const sliced_observer<Observer, Granularity>& seen,
                       std::span<typename Q::param_type> params, const Convention&... c) {
  const result<std::vector<range>> ranges = seen.estimate();
  if (!ranges) return ranges.error();
  if (params.size() < ranges->size()) return status::too_few_params;
  for (std::size_t i = 0; i < ranges->size(); ++i) params[i] = q.policy.fit((*ranges)[i], c...);
  return status::ok;
}

}  // namespace vq::inline v1

#endif
