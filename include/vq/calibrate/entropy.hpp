// Entropy: the threshold that loses least information (Migacz, "8-bit Inference with TensorRT",
// GTC 2017, S7310).
//
// For every number i of bins kept, from the number of levels up to all of them:
//   P   the kept bins, the mass of all others added to the bin at the end they were cut from
//   Q   the kept bins without that mass, merged into `levels` groups of floor(k * levels / i), each
//       group's sum spread evenly over its bins that are not empty
//   KL  sum P log(P / Q), both normalized; the i with the least wins, the smallest of equal ones
// The published text leaves open what happens where P > 0 and Q = 0, an empty last bin with
// outliers beyond. Here Q becomes (Q + smoothing * U) / (1 + smoothing), U uniform over the bins
// where P > 0; smoothing = 0 takes the divergence as infinite.
// Symmetric policies search |x| with 2^(bits-1) levels. Others search windows that grow from zero
// at both sides until each side's data end, with 2^bits levels. Exact zeros take no part: every
// grid represents them, and after ReLU they outweigh everything else.
// The threshold is the edge after the last bin kept. Costs about `levels` logarithms a candidate,
// 10 ms for 8 bits. Histograms with fewer bins than levels are not clipped.
#ifndef VQ_CALIBRATE_ENTROPY_HPP
#define VQ_CALIBRATE_ENTROPY_HPP

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/histogram.hpp>

namespace vq::inline v1 {

// Divergences of windows of one histogram, in O(levels) each through cumulative sums.
class entropy_windows {
 public:
  entropy_windows(std::span<const double> counts, index_type levels, double smoothing)
      : counts_(counts.begin(), counts.end()), levels_(levels), smoothing_(smoothing) {
    sums_.resize(counts.size() + 1);
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const sums& before = sums_[i];
      sums_[i + 1] = {before.mass + counts[i], before.x_log_x + x_log_x(counts[i]),
                      before.occupied + (counts[i] > 0 ? 1 : 0)};
    }
  }

  // KL(P || Q) when the bins [begin, end) are kept; at least one bin.
  double divergence(index_type begin, index_type end) const {
    const sums inside = difference(begin, end);
    const double total = at(size()).mass;
    if (!(inside.mass > 0)) return infinity;
    const double below = at(begin).mass, above = total - at(end).mass;

    // Bins of P that are empty in Q's source take part in U.
    const double first = count(begin), last = count(end - 1);
    double support = static_cast<double>(inside.occupied);
    support += below > 0 && first == 0 ? 1 : 0;
    support += above > 0 && last == 0 && !(end - begin == 1 && below > 0) ? 1 : 0;

    double p_log_p = inside.x_log_x;
    if (end - begin == 1) {
      p_log_p = x_log_x(first + below + above);
    } else {
      p_log_p += x_log_x(first + below) - x_log_x(first);
      p_log_p += x_log_x(last + above) - x_log_x(last);
    }

    const auto log_q = [&](double share) {
      return std::log((share / inside.mass + smoothing_ / support) / (1 + smoothing_));
    };
    double p_log_q = 0;
    const index_type kept = end - begin;
    index_type from = begin;
    for (index_type group = 0; group < levels_; ++group) {
      const index_type to = begin + ((group + 1) * kept + levels_ - 1) / levels_;
      const sums g = difference(from, to);
      if (g.mass > 0) {
        const double log_share = log_q(g.mass / static_cast<double>(g.occupied));
        p_log_q += g.mass * log_share;
        if (below > 0 && from == begin && first > 0) p_log_q += below * log_share;
        if (above > 0 && to == end && last > 0) p_log_q += above * log_share;
      }
      from = to;
    }
    if (below > 0 && first == 0) p_log_q += below * log_q(0);
    if (above > 0 && last == 0) p_log_q += above * log_q(0);
    return (p_log_p - p_log_q) / total - std::log(total);
  }

  index_type size() const { return static_cast<index_type>(counts_.size()); }

 private:
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  struct sums {
    double mass = 0, x_log_x = 0;
    index_type occupied = 0;
  };
  static double x_log_x(double x) { return x > 0 ? x * std::log(x) : 0; }
  const sums& at(index_type i) const { return sums_[static_cast<std::size_t>(i)]; }
  double count(index_type i) const { return counts_[static_cast<std::size_t>(i)]; }
  sums difference(index_type begin, index_type end) const {
    const sums &a = at(begin), &b = at(end);
    return {b.mass - a.mass, b.x_log_x - a.x_log_x, b.occupied - a.occupied};
  }

  std::vector<double> counts_;
  std::vector<sums> sums_;  // of the bins before each
  index_type levels_;
  double smoothing_;
};

struct entropy {
  using estimator_tag = void;

  double smoothing = 1e-4;  // >= 0

  // The divergences of keeping `levels`, levels + 1, ... all of the bins of a histogram that starts
  // at zero: the published search.
  static std::vector<double> divergences(std::span<const double> counts, index_type levels,
                                         double smoothing) {
    const entropy_windows windows(counts, levels, smoothing);
    std::vector<double> all;
    for (index_type i = levels; i <= windows.size(); ++i) all.push_back(windows.divergence(0, i));
    return all;
  }

  template <quantizer_policy Policy>
  result<range> estimate(const histogram& h, const Policy&) const {
    if (!h.sound()) return status::no_data;
    if (!(smoothing >= 0)) return status::bad_argument;
    constexpr index_type levels = index_type{1}
                                  << (Policy::bits - (symmetric_range<Policy> ? 1 : 0));
    return threshold(symmetric_range<Policy> ? magnitudes(h) : h, levels, h.seen);
  }

 private:
  // Data this many bins away from zero are a thin slice of the range; there is nothing to clip.
  static constexpr double most_bins = 1 << 20;

  // Adds empty bins so that the histogram reaches zero.
  static histogram from_zero(histogram h) {
    const auto bins_to_zero = [&](double distance) {
      return distance > 0 ? static_cast<std::size_t>(std::ceil(distance / h.width - 1e-6)) : 0;
    };
    const std::size_t below = bins_to_zero(h.lowest), above = bins_to_zero(-h.edge(h.size()));
    h.counts.insert(h.counts.begin(), below, 0.0);
    h.counts.insert(h.counts.end(), above, 0.0);
    h.lowest -= h.width * static_cast<double>(below);
    return h;
  }

  result<range> threshold(const histogram& source, index_type levels, range seen) const {
    if (source.seen.absmax() > most_bins * source.width) return seen;
    histogram h = from_zero(source);
    const auto zero = static_cast<index_type>(std::llround(-h.lowest / h.width));
    if (zero < h.size()) {
      double& with_zeros = h.counts[static_cast<std::size_t>(zero)];
      with_zeros = with_zeros > h.zeros ? with_zeros - h.zeros : 0;
    }
    const entropy_windows windows(h.counts, levels, smoothing);
    const index_type all = zero > h.size() - zero ? zero : h.size() - zero;
    index_type best = all;
    double least = std::numeric_limits<double>::infinity();
    for (index_type kept = 1; kept <= all; ++kept) {
      const index_type begin = zero > kept ? zero - kept : 0;
      const index_type end = h.size() - zero > kept ? zero + kept : h.size();
      if (end - begin < levels) continue;
      const double divergence = windows.divergence(begin, end);
      if (divergence < least) {
        least = divergence;
        best = kept;
      }
    }
    const auto limit = static_cast<float>(static_cast<double>(best) * h.width);
    return range{op::clamp(-limit, seen.lowest, seen.highest),
                 op::clamp(limit, seen.lowest, seen.highest)};
  }
};

static_assert(estimator<entropy>);

}  // namespace vq::inline v1

#endif
