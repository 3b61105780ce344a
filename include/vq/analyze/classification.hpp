// Metrics of classifiers: accuracy, agreement with the float model, and whether a difference means
// anything.
//
// A quantized model that loses 0.3 points on 5,000 images may have lost nothing: the standard error
// of its accuracy, sqrt(p (1 - p) / n), is 0.6 points. Compare image by image instead: argmax
// agreement needs no labels, and McNemar's test looks only at images that one of the two gets
// right. Equal scores go to the first class, as with torch.argmax. NaN is a score behind all
// others.
#ifndef VQ_ANALYZE_CLASSIFICATION_HPP
#define VQ_ANALYZE_CLASSIFICATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vq/analyze/retrieval.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

// The best class; scores must not be empty.
constexpr index_type argmax(std::span<const float> scores) noexcept {
  index_type best = 0;
  for (index_type i = 1; i < static_cast<index_type>(scores.size()); ++i) {
    if (ranks_before(scores[static_cast<std::size_t>(i)], scores[static_cast<std::size_t>(best)])) {
      best = i;
    }
  }
  return best;
}

// The best class of each row of logits (images, classes). Errors: no_data (no classes).
template <readable_view V>
result<std::vector<index_type>> predictions(const V& logits) {
  if (logits.extent(1) == 0) return status::no_data;
  std::vector<index_type> best;
  for_each_row(logits,
               [&](index_type, std::span<const float> scores) { best.push_back(argmax(scores)); });
  return best;
}

// Share of the images whose label is among the k best classes; equal scores in the order of the
// classes. Errors: no_data (no images), size_mismatch, bad_argument (a label is no class).
template <readable_view V>
result<double> top_k_accuracy(const V& logits, std::span<const index_type> labels, index_type k) {
  if (labels.empty()) return status::no_data;
  const auto found = ranks(logits, labels, ties::stable);
  if (!found) return found.error();
  return recall_at_k(*found, k);
}

// Share of equal predictions. Errors: no_data (none), size_mismatch.
inline result<double> agreement(std::span<const index_type> first,
                                std::span<const index_type> second) noexcept {
  if (first.size() != second.size()) return status::size_mismatch;
  if (first.empty()) return status::no_data;
  index_type equal = 0;
  for (std::size_t i = 0; i < first.size(); ++i) equal += first[i] == second[i] ? 1 : 0;
  return static_cast<double>(equal) / static_cast<double>(first.size());
}
// The same of the best classes of two sets of logits.
template <readable_view X, readable_view Y>
result<double> argmax_agreement(const X& first, const Y& second) {
  if (first.extents() != second.extents()) return status::size_mismatch;
  const auto a = predictions(first), b = predictions(second);
  return !a ? a.error() : !b ? b.error() : agreement(*a, *b);
}

// Two classifiers on the same images.
struct paired_outcomes {
  index_type both = 0;         // both are right
  index_type only_first = 0;   // only the first is right
  index_type only_second = 0;  // only the second is right
  index_type neither = 0;

  constexpr void add(bool first, bool second) noexcept {
    ++(first ? (second ? both : only_first) : (second ? only_second : neither));
  }

  // McNemar's exact test, two-sided: how likely is a difference at least this large if each image
  // that one of them gets right were a toss of a coin? 1 without such images.
  double p_value() const noexcept {
    const index_type n = only_first + only_second, fewer = (std::min)(only_first, only_second);
    if (2 * fewer >= n) return 1;
    double log_term = -static_cast<double>(n) * std::log(2.0);  // of choose(n, i) / 2^n
    double tail = 0;
    for (index_type i = 0; i <= fewer; ++i) {
      tail += std::exp(log_term);
      log_term += std::log(static_cast<double>(n - i) / static_cast<double>(i + 1));
    }
    return (std::min)(1.0, 2 * tail);
  }
};

// Errors: size_mismatch.
inline result<paired_outcomes> compare_classifiers(std::span<const index_type> first,
                                                   std::span<const index_type> second,
                                                   std::span<const index_type> labels) noexcept {
  if (first.size() != labels.size() || second.size() != labels.size()) return status::size_mismatch;
  paired_outcomes outcomes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    outcomes.add(first[i] == labels[i], second[i] == labels[i]);
  }
  return outcomes;
}

}  // namespace vq::inline v1

#endif
