// Fits the parameters of a quantizer to data by an estimator of choice.
//
//   status s = vq::fit(q, weights, params, vq::mse{});
//   status s = vq::fit(q, weights, params, vq::percentile{99.9}, vq::conventions::torch);
//
// Parameter by parameter, for any granularity. `mse` scores the values themselves; the others take
// a histogram of them. Memory: 64 KiB, and for mse the values of one parameter where there are at
// most 65536 of them. NaN or infinity gives not_finite; what `params` then holds is unspecified.
// mse costs about 100 quantizations of the data for symmetric policies and 500 for others.
#ifndef VQ_CALIBRATE_FIT_HPP
#define VQ_CALIBRATE_FIT_HPP

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/quantizer/fit.hpp>

namespace vq::inline v1 {

namespace detail {

// Calls f(pointer, count) for the values of one parameter, in pieces.
template <readable_view V, class F>
void for_each_value_of(const slices& cut, index_type param, const V& x, F f) {
  cut.for_each_run(param, [&](index_type begin, index_type length) {
    for_each_chunk(x, begin, length,
                   [&](index_type, const float* values, index_type count) { f(values, count); });
  });
}

// Adds for every candidate the squared error of the values.
template <quantizer_policy Policy>
void add_squared_errors(const Policy& policy, std::span<const typename Policy::param_type> params,
                        const float* x, index_type count, std::span<double> errors) {
  constexpr index_type block = 4096;  // stays in the first cache while all candidates pass
  for (index_type begin = 0; begin < count; begin += block) {
    const index_type n = count - begin < block ? count - begin : block;
    for (std::size_t i = 0; i < params.size(); ++i) {
      errors[i] += sum_squared_error<Policy>{}(policy, params[i], x + begin, nullptr, n);
    }
  }
}

template <execution E, a_quantizer Q, readable_view V, class... Convention>
status fit_least_error(E e, const Q& q, const V& x, std::span<typename Q::param_type> params,
                       const mse& how, const Convention&... c) {
  using param_type = typename Q::param_type;
  constexpr index_type gathered_at_most = 65536;
  const slices cut = q.cut(x.extents());
  std::vector<float> gathered;
  status outcome = status::ok;
  for_each_observed<range_operation<typename Q::policy_type>>(
      e, cut, x, [&](index_type param, const observed& o) {
        if (outcome != status::ok) return;
        if (!o.finite) {
          outcome = status::not_finite;
          return;
        }
        if (o.seen.empty()) return;
        index_type count = 0;
        cut.for_each_run(param, [&](index_type, index_type length) { count += length; });
        gathered.clear();
        if (count <= gathered_at_most) {
          for_each_value_of(cut, param, x, [&](const float* values, index_type n) {
            gathered.insert(gathered.end(), values, values + n);
          });
        }
        const auto score = [&](std::span<const param_type> candidates, std::span<double> errors) {
          if (count <= gathered_at_most) {
            add_squared_errors(q.policy, candidates, gathered.data(), count, errors);
            return;
          }
          for_each_value_of(cut, param, x, [&](const float* values, index_type n) {
            add_squared_errors(q.policy, candidates, values, n, errors);
          });
        };
        const result<param_type> found = how.search(q.policy, o.seen, score, c...);
        if (found) {
          params[static_cast<std::size_t>(param)] = *found;
        } else {
          outcome = found.error();
        }
      });
  return outcome;
}

template <execution E, a_quantizer Q, readable_view V, estimator Estimator, class... Convention>
status fit_by_histogram(E e, const Q& q, const V& x, std::span<typename Q::param_type> params,
                        const Estimator& how, const Convention&... c) {
  const slices cut = q.cut(x.extents());
  for (index_type param = 0; param < cut.params(); ++param) {
    histogram_observer seen;
    status s = status::ok;
    for_each_value_of(cut, param, x, [&](const float* values, index_type count) {
      if (s == status::ok) s = seen.observe(e, tensor_view<const float, 1>(values, {count}));
    });
    if (s != status::ok) return s;
    const auto found = estimate_params(q.policy, seen, how, c...);
    if (!found) return found.error();
    params[static_cast<std::size_t>(param)] = *found;
  }
  return status::ok;
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V, estimator Estimator,
          convention_for<typename Q::policy_type>... Convention>
status fit(E e, const Q& q, const V& x, std::span<typename Q::param_type> params,
           const Estimator& how, const Convention&... c) {
  if (static_cast<index_type>(params.size()) < q.cut(x.extents()).params()) {
    return status::too_few_params;
  }
  if constexpr (std::is_same_v<Estimator, minmax>) {
    return fit(e, q, x, params, c...);
  } else if constexpr (std::is_same_v<Estimator, mse>) {
    return detail::fit_least_error(e, q, x, params, how, c...);
  } else {
    return detail::fit_by_histogram(e, q, x, params, how, c...);
  }
}
template <a_quantizer Q, readable_view V, estimator Estimator,
          convention_for<typename Q::policy_type>... Convention>
status fit(const Q& q, const V& x, std::span<typename Q::param_type> params, const Estimator& how,
           const Convention&... c) {
  return fit(scalar, q, x, params, how, c...);
}

}  // namespace vq::inline v1

#endif
