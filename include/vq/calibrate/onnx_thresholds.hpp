// ONNX Runtime's ways to choose a range from its histograms, with their peculiarities, for
// comparison with its calibrated models.
//
//   onnx_percentile     the lower edge of the bin where the cumulated share reaches the percentile
//   onnx_entropy        the KL search, over windows around the middle bin of a signed histogram
//   onnx_distribution   mean and deviation, from which it scales 8-bit floats
//
// Peculiar are: percentile 100 need not be min-max (a lower edge); the entropy windows have one bin
// more on the right, merge floor(size / quantized) bins and leave what remains out of Q; the spread
// sums of Q are truncated to integers and also put where P is empty; with `bins` = `quantized_bins`
// the only candidate is the whole range. Use `percentile` and `entropy` where nothing forces these.
// Source: onnxruntime/python/tools/quantization/calibrate.py (1.23).
#ifndef VQ_CALIBRATE_ONNX_THRESHOLDS_HPP
#define VQ_CALIBRATE_ONNX_THRESHOLDS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <vq/calibrate/onnx_histogram.hpp>
#include <vq/core/result.hpp>

namespace vq::inline v1 {

namespace detail {

// Upstream compares each end with one side only, so the ends may meet beyond the data.
inline range onnx_clipped(float lowest, float highest, range seen) {
  return {lowest < seen.lowest ? seen.lowest : lowest,
          highest > seen.highest ? seen.highest : highest};
}

// numpy's sum of floats: halves, down to blocks of at most 128, which have eight partial sums. Near
// ties between candidates are decided by its rounding.
inline float pairwise_sum(std::span<const float> x) {
  if (x.size() > 128) {
    const std::size_t half = x.size() / 2 - x.size() / 2 % 8;
    return pairwise_sum(x.first(half)) + pairwise_sum(x.subspan(half));
  }
  float parts[8] = {};
  const std::size_t whole = x.size() - x.size() % 8;
  for (std::size_t i = 0; i < whole; ++i) parts[i % 8] += x[i];
  float sum = ((parts[0] + parts[1]) + (parts[2] + parts[3])) +
              ((parts[4] + parts[5]) + (parts[6] + parts[7]));
  for (const float rest : x.subspan(whole)) sum += rest;
  return sum;
}

}  // namespace detail

// Symmetric for a histogram of magnitudes, two-sided for one of real values.
struct onnx_percentile {
  double percent = 99.999;  // 0..100

  result<range> estimate(const onnx_histogram_observer& h) const {
    if (!(percent >= 0 && percent <= 100)) return status::bad_argument;
    if (h.counts().empty()) return status::no_data;
    const auto total =
        static_cast<double>(std::accumulate(h.counts().begin(), h.counts().end(), std::int64_t{0}));
    std::vector<double> cumulated;
    double sum = 0;
    for (const std::int64_t count : h.counts()) {
      cumulated.push_back(sum += static_cast<double>(count) / total);
    }
    const auto edge_at = [&](double share) {
      const auto bin = std::lower_bound(cumulated.begin(), cumulated.end(), share);
      return h.edges()[static_cast<std::size_t>(bin - cumulated.begin())];
    };
    if (h.kind() == onnx_histogram_observer::values::magnitudes) {
      const float limit = edge_at(percent / 100);
      return detail::onnx_clipped(-limit, limit, h.seen());
    }
    const double cut = (100 - percent) / 200;
    return detail::onnx_clipped(edge_at(cut), edge_at(1 - cut), h.seen());
  }
};

// A window [first, last) of bins around the middle one, and its divergence.
struct onnx_entropy_candidate {
  index_type first = 0, last = 0;
  float divergence = 0;
};

struct onnx_entropy {
  index_type quantized_bins = 128;

  result<range> estimate(const onnx_histogram_observer& h) const {
    if (h.counts().empty()) return status::no_data;
    return estimate(h.counts(), h.edges(), h.seen());
  }
  result<range> estimate(std::span<const std::int64_t> counts, std::span<const float> edges,
                         range seen) const {
    const auto all = candidates(counts);
    if (all.empty() || edges.size() != counts.size() + 1) return status::bad_argument;
    const auto best = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.divergence < b.divergence;
    });
    return detail::onnx_clipped(edges[static_cast<std::size_t>(best->first)],
                                edges[static_cast<std::size_t>(best->last)], seen);
  }

  // Windows of i bins to each side, i = quantized_bins / 2 .. bins / 2. None where there are fewer
  // bins than that.
  std::vector<onnx_entropy_candidate> candidates(std::span<const std::int64_t> counts) const {
    std::vector<onnx_entropy_candidate> all;
    const auto bins = static_cast<index_type>(counts.size());
    const index_type middle = bins / 2;
    for (index_type i = quantized_bins / 2; i > 0 && i <= middle; ++i) {
      const index_type last = middle + i + 1 < bins ? middle + i + 1 : bins;
      all.push_back({middle - i, last, divergence(counts, middle - i, last)});
    }
    return all;
  }

 private:
  float divergence(std::span<const std::int64_t> counts, index_type first, index_type last) const {
    const auto source =
        counts.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    const auto sum = [](std::span<const std::int64_t> part) {
      return std::accumulate(part.begin(), part.end(), std::int64_t{0});
    };
    std::vector<std::int64_t> p(source.begin(), source.end()), q(source.size());
    p.front() += sum(counts.first(static_cast<std::size_t>(first)));
    p.back() += sum(counts.subspan(static_cast<std::size_t>(last)));

    const std::size_t groups = static_cast<std::size_t>(quantized_bins);
    const std::size_t merged = source.size() / groups;
    for (std::size_t group = 0; group < groups; ++group) {
      const std::size_t begin = group * merged;
      const std::size_t end = group + 1 == groups ? source.size() : begin + merged;
      const std::int64_t mass = sum(source.subspan(begin, end - begin));
      const auto group_of_p = std::span(p).subspan(begin, merged);
      const auto occupied = static_cast<std::int64_t>(group_of_p.size()) -
                            std::count(group_of_p.begin(), group_of_p.end(), 0);
      if (occupied == 0) continue;
      std::fill_n(q.begin() + static_cast<index_type>(begin), merged, mass / occupied);
    }
    const std::vector<float> smooth_p = smoothed(p), smooth_q = smoothed(q);
    if (smooth_p.empty() || smooth_q.empty()) return std::numeric_limits<float>::infinity();
    const float p_total = detail::pairwise_sum(smooth_p), q_total = detail::pairwise_sum(smooth_q);
    std::vector<float> terms;
    for (std::size_t i = 0; i < smooth_p.size(); ++i) {
      const double a = smooth_p[i] / p_total, b = smooth_q[i] / q_total;
      terms.push_back(static_cast<float>(a * std::log(a / b)));
    }
    return detail::pairwise_sum(terms);
  }

  // 1e-4 for empty bins, taken in equal parts from the others; nothing where all are empty.
  static std::vector<float> smoothed(std::span<const std::int64_t> counts) {
    constexpr double epsilon = 1e-4;
    const auto empty = static_cast<double>(std::count(counts.begin(), counts.end(), 0));
    const double others = static_cast<double>(counts.size()) - empty;
    std::vector<float> smooth;
    if (others == 0) return smooth;
    const auto given = static_cast<float>(epsilon),
               taken = static_cast<float>(epsilon * empty / others);
    for (const std::int64_t count : counts) {
      smooth.push_back(count == 0 ? given : static_cast<float>(count) - taken);
    }
    return smooth;
  }
};

// In upstream's precision: squares are rounded to float before the squared mean is subtracted, so
// the deviation of values in a single bin is noise, or NaN.
struct onnx_distribution {
  double power = 1;  // of the magnitudes: 1 is upstream's scenario "same", 1/3 its "p3"

  struct moments {
    float mean = 0, deviation = 0;
    range edges;
  };
  result<moments> estimate(const onnx_histogram_observer& h) const {
    if (!(power > 0)) return status::bad_argument;
    if (h.counts().empty()) return status::no_data;
    double total = 0, sum = 0, squares = 0;
    for (std::size_t i = 0; i < h.counts().size(); ++i) {
      const float centre = (h.edges()[i] + h.edges()[i + 1]) * 0.5f;
      const float value =
          std::copysign(std::pow(std::abs(centre), static_cast<float>(power)), centre);
      const auto count = static_cast<double>(h.counts()[i]);
      const float square = value * value;
      total += count;
      sum += count * static_cast<double>(value);
      squares += count * static_cast<double>(square);
    }
    const double mean = sum / total;
    return moments{static_cast<float>(mean),
                   static_cast<float>(std::sqrt(squares / total - mean * mean)),
                   {h.edges().front(), h.edges().back()}};
  }
};

}  // namespace vq::inline v1

#endif
