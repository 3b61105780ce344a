// PyTorch's search for the range of least squared error on a histogram (HistogramObserver).
//
// alpha = 0 and beta = 1 are quantiles; a step moves that one inwards by 1e-5 whose bin would jump
// further. Whenever a bin changes, the error of quantizing bins [start, end] to `levels` steps is
// computed, for a uniform density within each bin: an integral of x^2, density * (b^3 - a^3) / 3.
// The search stops at the first increase, so it is greedy: it may end in a local minimum.
//   range = [lowest + width * start, lowest + width * (end + 1)]
// Kept for comparison with PyTorch, in its single precision; `mse` searches further and scores the
// policy itself. Source: torch/ao/quantization/observer.py, after caffe2's norm_minimization.cc.
#ifndef VQ_CALIBRATE_TORCH_L2_HPP
#define VQ_CALIBRATE_TORCH_L2_HPP

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <vq/calibrate/estimator.hpp>
#include <vq/calibrate/histogram.hpp>

namespace vq::inline v1 {

struct torch_l2 {
  using estimator_tag = void;

  index_type levels = 0;  // of the quantizer; 0: 2^bits of the policy

  template <quantizer_policy Policy>
  result<range> estimate(const histogram& h, const Policy&) const {
    if (levels < 0) return status::bad_argument;
    if (!h.sound()) return status::no_data;
    const bin_range kept = search(h, levels == 0 ? index_type{1} << Policy::bits : levels);
    return h.clipped(h.edge(kept.first), h.edge(kept.last + 1));
  }

  struct bin_range {
    index_type first = 0, last = 0;  // both included
  };
  static bin_range search(const histogram& h, index_type levels) {
    constexpr double step = 1e-5;
    const auto count = [&](index_type bin) {
      return static_cast<float>(h.counts[static_cast<std::size_t>(bin)]);
    };
    std::vector<float> cumulative;
    float sum = 0;
    for (index_type bin = 0; bin < h.size(); ++bin) cumulative.push_back(sum += count(bin));
    const double total = sum;
    const auto below = [&](index_type bin) { return cumulative[static_cast<std::size_t>(bin)]; };

    bin_range kept{0, h.size() - 1};
    double alpha = 0, beta = 1;
    double least = std::numeric_limits<double>::infinity();
    while (alpha < beta) {
      const double next_alpha = alpha + step, next_beta = beta - step;
      bin_range inner = kept;
      while (inner.first < kept.last &&
             below(inner.first) < static_cast<float>(next_alpha * total)) {
        ++inner.first;
      }
      while (inner.last > kept.first && below(inner.last) > static_cast<float>(next_beta * total)) {
        --inner.last;
      }
      bin_range next = kept;
      if (inner.first - kept.first > kept.last - inner.last) {
        next.first = inner.first;
        alpha = next_alpha;
      } else {
        next.last = inner.last;
        beta = next_beta;
      }
      if (next.first == kept.first && next.last == kept.last) continue;
      const double error = squared_error(h, next, levels);
      if (error > least) break;
      least = error;
      kept = next;
    }
    return kept;
  }

  // The expected squared error, times the number of values.
  static double squared_error(const histogram& h, bin_range kept, index_type levels) {
    const auto steps = static_cast<float>(levels);
    const double step =
        h.width * static_cast<double>(kept.last - kept.first + 1) / static_cast<double>(levels);
    if (step == 0) return 0;
    const auto width = static_cast<float>(h.width), to = static_cast<float>(step);
    const auto half = static_cast<float>(step / 2);
    const auto level_of = [&](float x) {
      const float level =
          std::floor(static_cast<float>(static_cast<double>(x) / static_cast<double>(to)));
      return level < 0 ? 0.f : level > steps - 1 ? steps - 1 : level;
    };
    const auto integral = [](float a, float b, float density) {
      return density * ((b * b * b - a * a * a) / 3);
    };
    double error = 0;
    for (index_type bin = 0; bin < h.size(); ++bin) {
      const float begin = static_cast<float>(bin - kept.first) * width, end = begin + width;
      const float first = level_of(begin), last = level_of(end);
      const float density = static_cast<float>(h.counts[static_cast<std::size_t>(bin)]) / width;
      float e = integral(begin - (first + 0.5f) * to, half, density);
      e += (last - first - 1) * integral(-half, half, density);
      e += integral(-half, end - (last * to + half), density);
      error += static_cast<double>(e);
    }
    return error;
  }
};

static_assert(estimator<torch_l2>);

}  // namespace vq::inline v1

#endif
