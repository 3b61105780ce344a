// MSE: the parameters with the least squared error of the quantizer itself, E (x - Q(x))^2.
//
// Works for every policy: each candidate encodes and decodes. Against min-max it trades the error
// of clipped values for finer steps: worth up to several dB at 4 bits or with outliers, nothing at
// 8 bits on well-behaved data. Never worse than min-max on what it scores.
// Candidates are the policy's own where it offers `candidates(range)`, else shrunk ranges given to
// `fit`: the factors smallest^(k / steps), k = 0..steps, then eight sub-steps to each side of the
// best. The ends of a two-sided range are shrunk together first, then one by one, `rounds` times.
// That finds the optimum along each line to about 1 %; in two dimensions it may be a local one.
// From a histogram the error is that of the bins' centres (exact zeros count as zeros): fine up to
// 8 bits, where a step spans many bins; noisy for 16.
#ifndef VQ_CALIBRATE_MSE_HPP
#define VQ_CALIBRATE_MSE_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/histogram.hpp>
#include <vq/core/math.hpp>

namespace vq::inline v1 {

template <class P>
concept offers_candidates = requires(const P policy, range r) { policy.candidates(r); };

// sum of weight * (x - decode(encode(x)))^2 in double, in a fixed order; without weights where
// `weights` is null.
template <quantizer_policy Policy>
struct sum_squared_error {
  double operator()(const Policy& policy, const typename Policy::param_type& param, const float* x,
                    const double* weights, index_type count) const noexcept {
    constexpr index_type chunk = 64;
    constexpr index_type lanes = 4;
    double sums[lanes] = {};
    for (index_type begin = 0; begin < count; begin += chunk) {
      const index_type n = count - begin < chunk ? count - begin : chunk;
      float error[chunk] = {};
      for (index_type i = 0; i < n; ++i) {
        error[i] = x[begin + i] - policy.decode(policy.encode(x[begin + i], param), param);
      }
      for (index_type i = 0; i < n; ++i) {
        const double e = error[i];
        sums[i % lanes] += weights == nullptr ? e * e : weights[begin + i] * (e * e);
      }
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
};

struct mse {
  using estimator_tag = void;

  int steps = 80;               // of the first search, each about 9 % with the default `smallest`
  double smallest = 1. / 1024;  // factor to which a range is shrunk at most
  int rounds = 2;               // over the ends of a two-sided range

  template <quantizer_policy Policy, class... Convention>
  result<typename Policy::param_type> fit(const Policy& policy, const histogram& h,
                                          const Convention&... c) const {
    if (!h.sound()) return status::no_data;
    std::vector<float> values;
    std::vector<double> weights;
    const auto add = [&](float value, double weight) {
      if (!(weight > 0)) return;
      values.push_back(value);
      weights.push_back(weight);
    };
    add(0, h.zeros);
    for (index_type bin = 0; bin < h.size(); ++bin) {
      const bool holds_zero = h.edge(bin) <= 0 && h.edge(bin + 1) > 0;
      add(h.value(bin), h.counts[static_cast<std::size_t>(bin)] - (holds_zero ? h.zeros : 0));
    }
    const auto score = [&](std::span<const typename Policy::param_type> params,
                           std::span<double> errors) {
      for (std::size_t i = 0; i < params.size(); ++i) {
        errors[i] += sum_squared_error<Policy>{}(policy, params[i], values.data(), weights.data(),
                                                 static_cast<index_type>(values.size()));
      }
    };
    return search(policy, h.seen, score, c...);
  }

  // The parameters of least error. score(params, errors) adds to each error that of its parameters;
  // it gets many at once, so that it may read the data once for all.
  template <quantizer_policy Policy, class Score, class... Convention>
  result<typename Policy::param_type> search(const Policy& policy, range whole, Score score,
                                             const Convention&... c) const {
    if (steps < 1 || !(smallest > 0 && smallest < 1) || rounds < 0) return status::bad_argument;
    using param_type = typename Policy::param_type;
    std::vector<param_type> params;
    std::vector<double> errors;
    // Index of the best of `params`, the first of equal ones.
    const auto best = [&] {
      errors.assign(params.size(), 0.0);
      score(std::span<const param_type>(params), std::span<double>(errors));
      std::size_t least = 0;
      for (std::size_t i = 1; i < errors.size(); ++i) {
        if (errors[i] < errors[least]) least = i;
      }
      return least;
    };

    if constexpr (offers_candidates<Policy>) {
      for (const param_type& candidate : policy.candidates(whole)) params.push_back(candidate);
      if (params.empty()) return status::bad_argument;
      return params[best()];
    } else {
      factors at;  // of both ends
      param_type found = policy.fit(whole, c...);
      double found_error = std::numeric_limits<double>::infinity();
      // Tries factors for one end or for both, first far and then near, and keeps the best.
      const auto shrink = [&](end which) {
        double middle = 1;
        for (const bool fine : {false, true}) {
          std::vector<factors> tried;
          params.clear();
          for (const double f : fine ? near(middle) : all()) {
            factors t = at;
            if (which != end::highest) t.lowest = f;
            if (which != end::lowest) t.highest = f;
            tried.push_back(t);
            params.push_back(policy.fit(t.of(whole), c...));
          }
          const std::size_t i = best();
          if (errors[i] < found_error) {
            found_error = errors[i];
            found = params[i];
            at = tried[i];
          }
          middle = which == end::lowest ? at.lowest : at.highest;
        }
      };
      if (whole.lowest < 0 && whole.highest > 0) {
        shrink(end::both);
        for (int i = 0; i < rounds && !symmetric_range<Policy>; ++i) {
          shrink(end::highest);
          shrink(end::lowest);
        }
      } else if (whole.highest > 0) {
        shrink(end::highest);
      } else {
        shrink(end::lowest);
      }
      return found;
    }
  }

 private:
  enum class end : std::uint8_t { lowest, highest, both };
  struct factors {
    double lowest = 1, highest = 1;
    range of(range r) const {
      return {static_cast<float>(lowest * r.lowest), static_cast<float>(highest * r.highest)};
    }
  };
  static constexpr int sub_steps = 8;

  double factor(double step) const { return math::exp(math::log(smallest) * step / steps); }
  std::vector<double> all() const {
    std::vector<double> f;
    for (int k = 0; k <= steps; ++k) f.push_back(k == 0 ? 1 : factor(k));
    return f;
  }
  std::vector<double> near(double middle) const {
    std::vector<double> f;
    for (int k = -sub_steps + 1; k < sub_steps; ++k) {
      const double shrunk = middle * factor(static_cast<double>(k) / sub_steps);
      f.push_back(shrunk < 1 ? shrunk : 1);
    }
    return f;
  }
};

static_assert(estimator<mse>);

}  // namespace vq::inline v1

#endif
