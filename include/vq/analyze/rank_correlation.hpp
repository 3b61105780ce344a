// Spearman's rank correlation: do two measures put things in the same order?
//
//   rho = the correlation of the ranks; equal values share the mean of their ranks
//
// 1: the same order, -1: the reverse, about 0: no relation. How the values are spaced does not
// matter. Without a relation its standard deviation is 1 / sqrt(n - 1): 0.22 for 22 layers.
// Example: 1 2 3 4 5 against 2 1 4 3 5 gives 0.8.
// Errors: size_mismatch, no_data (fewer than two, or all values of one side equal), not_finite (NaN;
// infinities are ranked like other values).
#ifndef VQ_ANALYZE_RANK_CORRELATION_HPP
#define VQ_ANALYZE_RANK_CORRELATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/core/status.hpp>

namespace vq::inline v1 {

// From 1 for the smallest; equal values share the mean of their ranks. No NaN.
inline std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double shared = (static_cast<double>(begin + end) + 1) / 2;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = shared;
  }
  return ranks;
}

inline result<double> rank_correlation(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) return status::size_mismatch;
  const auto is_nan = [](double x) { return x != x; };
  if (std::any_of(a.begin(), a.end(), is_nan) || std::any_of(b.begin(), b.end(), is_nan)) {
    return status::not_finite;
  }
  const std::vector<double> x = mean_ranks(a), y = mean_ranks(b);
  const double middle = (static_cast<double>(a.size()) + 1) / 2;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
    xy += (x[i] - middle) * (y[i] - middle);
  }
  if (!(xx > 0) || !(yy > 0)) return status::no_data;
  return (std::clamp)(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

}  // namespace vq::inline v1

#endif
