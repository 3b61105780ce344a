// How far two distributions are from each other: of logits, and of histograms. Natural logarithms.
//
//   KL(p || q) = sum p log(p / q)               0 log 0 = 0; infinite where q is 0 and p is not
//   JS(p, q)   = (KL(p || m) + KL(q || m)) / 2  with m = (p + q) / 2; symmetric, at most log 2
//
// KL of the logits of a float model (p) and its quantized version (q) needs no labels and is far
// more sensitive than accuracy. Example: p = .7 .2 .1, q = .6 .3 .1 give KL(p || q) = 0.02681245
// and KL(q || p) = 0.02914912. Errors of all functions: size_mismatch (p and q differ in size),
// no_data (nothing given, or only zeros), bad_argument (a negative count), not_finite (NaN; an
// infinite count or logit, but -infinity is a logit like any other: probability 0).
#ifndef VQ_ANALYZE_DIVERGENCE_HPP
#define VQ_ANALYZE_DIVERGENCE_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <vq/analyze/compensated_sum.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>

namespace vq::inline v1 {

// A distribution over n outcomes by its logarithms, so that small probabilities stay exact.
class log_distribution {
 public:
  // log softmax: logits minus the logarithm of the sum of their exponentials.
  static result<log_distribution> of_logits(std::span<const float> logits) {
    if (logits.empty()) return status::no_data;
    double most = -std::numeric_limits<double>::infinity();
    for (const float x : logits) {
      if (x != x || x > (std::numeric_limits<float>::max)()) return status::not_finite;
      most = x > most ? x : most;
    }
    if (most < -(std::numeric_limits<float>::max)()) return status::no_data;  // all are -infinity
    compensated_sum total;
    for (const float x : logits) total.add(std::exp(x - most));
    const double log_total = most + std::log(total.value());
    log_distribution d;
    for (const float x : logits) d.log_p_.push_back(x - log_total);
    return d;
  }

  // Counts (or any weights), divided by their sum.
  static result<log_distribution> of_counts(std::span<const double> counts) {
    compensated_sum total;
    for (const double count : counts) {
      if (!(std::abs(count) <= (std::numeric_limits<double>::max)())) return status::not_finite;
      if (count < 0) return status::bad_argument;
      total.add(count);
    }
    if (!(total.value() > 0)) return status::no_data;
    log_distribution d;
    for (const double count : counts) d.log_p_.push_back(std::log(count / total.value()));
    return d;
  }

  std::size_t size() const noexcept { return log_p_.size(); }
  double log_probability(std::size_t i) const noexcept { return log_p_[i]; }  // -infinity for 0
  double probability(std::size_t i) const noexcept { return std::exp(log_p_[i]); }

 private:
  std::vector<double> log_p_;
};

inline double shannon_entropy(const log_distribution& p) noexcept {
  compensated_sum sum;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double probability = p.probability(i);
    if (probability > 0) sum.add(-probability * p.log_probability(i));
  }
  return sum.value();
}

// KL(p || q), in [0, infinity].
inline result<double> kl_divergence(const log_distribution& p, const log_distribution& q) noexcept {
  if (p.size() != q.size()) return status::size_mismatch;
  compensated_sum sum;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double probability = p.probability(i);
    if (probability > 0) sum.add(probability * (p.log_probability(i) - q.log_probability(i)));
  }
  return (std::max)(0.0, sum.value());  // rounding may leave a little less than 0
}

inline result<double> js_divergence(const log_distribution& p, const log_distribution& q) noexcept {
  if (p.size() != q.size()) return status::size_mismatch;
  compensated_sum sum;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double a = p.probability(i), b = q.probability(i), middle = (a + b) / 2;
    if (a > 0) sum.add(a * std::log(a / middle) / 2);
    if (b > 0) sum.add(b * std::log(b / middle) / 2);
  }
  return (std::max)(0.0, sum.value());
}

// Earth mover's distance over histograms, in bins: the sum of the differences of the cumulative
// distributions.
inline result<double> wasserstein_bins(const log_distribution& p,
                                       const log_distribution& q) noexcept {
  if (p.size() != q.size()) return status::size_mismatch;
  compensated_sum ahead, distance;
  for (std::size_t i = 0; i < p.size(); ++i) {
    ahead.add(p.probability(i));
    ahead.add(-q.probability(i));
    distance.add(std::abs(ahead.value()));
  }
  return distance.value();
}

// Shorthands for one pair.
inline result<double> kl_of_logits(std::span<const float> p, std::span<const float> q) {
  const auto a = log_distribution::of_logits(p), b = log_distribution::of_logits(q);
  return !a ? a.error() : !b ? b.error() : kl_divergence(*a, *b);
}
inline result<double> js_of_logits(std::span<const float> p, std::span<const float> q) {
  const auto a = log_distribution::of_logits(p), b = log_distribution::of_logits(q);
  return !a ? a.error() : !b ? b.error() : js_divergence(*a, *b);
}

}  // namespace vq::inline v1

#endif
