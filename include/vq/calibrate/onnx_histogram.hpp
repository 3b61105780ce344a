// The histograms of ONNX Runtime's calibrators (HistogramCollector), for comparison with them.
//
//   values::real         `bins` equal bins over [-T, T], T the largest magnitude of the first batch;
//                        a larger T adds whole bins of the old width at both ends
//   values::magnitudes   `bins` bins over [min |x|, max |x|] of the first batch; later batches add
//                        bins above, and what is smaller than the first batch's min |x| is dropped
//
// Edges are floats, computed as numpy does (linspace and arange in single precision). The number of
// bins is not bounded by design: 1000 times the first batch's T makes 1000 times the bins. Here it
// ends at `most_bins` with status::overflow, as does a range wider than the largest float. The result depends on the order of the batches, so
// there is no merge. Use histogram_observer where nothing forces this one.
// Source: onnxruntime/python/tools/quantization/calibrate.py (1.23).
#ifndef VQ_CALIBRATE_ONNX_HISTOGRAM_HPP
#define VQ_CALIBRATE_ONNX_HISTOGRAM_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <vq/calibrate/histogram.hpp>
#include <vq/calibrate/observer.hpp>

namespace vq::inline v1 {

class onnx_histogram_observer {
 public:
  enum class values : std::uint8_t { real, magnitudes };
  static constexpr index_type most_bins = index_type{1} << 24;

  // The percentile and entropy calibrators' own defaults are 2048 and 128 bins; with 128 the entropy
  // search has a single candidate, the full range.
  explicit onnx_histogram_observer(index_type bins = 2048, values kind = values::real)
      : first_bins_(bins), kind_(kind) {
    VQ_ASSERT(bins >= 1 && bins <= most_bins);
  }

  template <execution E, readable_view V>
  status observe(E e, const V& batch) {
    if (batch.empty()) return status::ok;
    const observed o = observe_range(e, batch);
    if (!o.finite) return status::not_finite;
    if (!detail::is_finite(2 * o.seen.absmax())) return status::overflow;
    const status widened =
        kind_ == values::real ? widen_both(o.seen.absmax()) : widen_above(magnitudes_of(batch));
    if (widened != status::ok) return widened;
    seen_ = hull(seen_, o.seen);
    for_each_chunk(batch, 0, batch.size(), [&](index_type, const float* x, index_type count) {
      for (index_type i = 0; i < count; ++i) add(kind_ == values::real ? x[i] : op::abs(x[i]));
    });
    return status::ok;
  }
  template <readable_view V>
  status observe(const V& batch) {
    return observe(scalar, batch);
  }

  values kind() const { return kind_; }
  range seen() const { return seen_; }
  std::span<const std::int64_t> counts() const { return counts_; }
  std::span<const float> edges() const { return edges_; }  // one more than counts; none at first

  // For this library's own searches; of `real` values only.
  result<histogram> snapshot() const {
    if (counts_.empty()) return status::no_data;
    if (kind_ != values::real) return status::bad_argument;
    const double lowest = edges_.front(), highest = edges_.back();
    histogram h{lowest, (highest - lowest) / static_cast<double>(counts_.size()), {}, seen_, 0};
    for (const std::int64_t count : counts_) h.counts.push_back(static_cast<double>(count));
    return h;
  }

 private:
  // numpy.linspace in float; an empty interval becomes one of width 1.
  void set_edges(float first, float last, index_type bins) {
    if (first == last) {
      first -= 0.5f;
      last += 0.5f;
    }
    const float step = (last - first) / static_cast<float>(bins);
    edges_.clear();
    for (index_type i = 0; i < bins; ++i) edges_.push_back(static_cast<float>(i) * step + first);
    edges_.push_back(last);
  }

  status widen_both(float largest) {
    if (counts_.empty()) {
      counts_.resize(static_cast<std::size_t>(first_bins_));
      set_edges(-largest, largest, first_bins_);
      largest_ = largest;
      return status::ok;
    }
    if (largest <= largest_) return status::ok;
    const auto bins = static_cast<index_type>(counts_.size());
    if (largest_ == 0) {
      largest_ = largest;
    } else {
      const float width = 2 * largest_ / static_cast<float>(bins);
      const double added =
          std::floor(static_cast<double>(largest - largest_) / static_cast<double>(width)) + 1;
      if (!(2 * added + static_cast<double>(bins) <= static_cast<double>(most_bins)))
        return status::overflow;
      const auto each_side = static_cast<std::size_t>(added);
      counts_.insert(counts_.begin(), each_side, 0);
      counts_.insert(counts_.end(), each_side, 0);
      largest_ = static_cast<float>(added) * width + largest_;
    }
    set_edges(-largest_, largest_, static_cast<index_type>(counts_.size()));
    return status::ok;
  }

  template <readable_view V>
  static range magnitudes_of(const V& batch) {
    range found = empty_range;
    for_each_chunk(batch, 0, batch.size(), [&](index_type, const float* x, index_type count) {
      for (index_type i = 0; i < count; ++i) found = hull(found, {op::abs(x[i]), op::abs(x[i])});
    });
    return found;
  }
  status widen_above(range magnitudes) {
    if (counts_.empty()) {
      counts_.resize(static_cast<std::size_t>(first_bins_));
      set_edges(magnitudes.lowest, magnitudes.highest, first_bins_);
      return status::ok;
    }
    if (magnitudes.highest <= edges_.back()) return status::ok;
    // numpy.arange(last + width, highest + width, width) in float
    const float width = edges_[1] - edges_[0];
    const float start = edges_.back() + width, stop = magnitudes.highest + width;
    const double added = std::ceil(static_cast<double>((stop - start) / width));
    if (!(added + static_cast<double>(counts_.size()) <= static_cast<double>(most_bins)))
      return status::overflow;
    const float step = (start + width) - start;
    for (index_type i = 0; i < static_cast<index_type>(added); ++i) {
      edges_.push_back(start + static_cast<float>(i) * step);
      counts_.push_back(0);
    }
    return status::ok;
  }

  // The last bin includes its upper edge.
  void add(float x) {
    if (!(x >= edges_.front() && x <= edges_.back())) return;
    const auto above = std::upper_bound(edges_.begin(), edges_.end() - 1, x);
    ++counts_[static_cast<std::size_t>(above - edges_.begin()) - 1];
  }

  index_type first_bins_;
  values kind_;
  std::vector<std::int64_t> counts_;
  std::vector<float> edges_;
  range seen_ = empty_range;
  float largest_ = 0;
};

}  // namespace vq::inline v1

#endif
