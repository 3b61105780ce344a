// The histogram of PyTorch's HistogramObserver, for comparison with it: `bins` equal bins between
// the smallest and the largest value seen.
//
// When a batch widens the range, the counts so far are spread: each old bin is cut into 16 equal
// parts, and each part goes to the new bin that holds its middle. So counts become fractional,
// mass moves by up to a bin with every widening, and the result depends on the order of the
// batches; there is no merge. Use histogram_observer where nothing forces this one.
// Single precision throughout, as upstream; a range too wide for it gives status::overflow. Source: torch/ao/quantization/observer.py (2.14).
#ifndef VQ_CALIBRATE_TORCH_HISTOGRAM_HPP
#define VQ_CALIBRATE_TORCH_HISTOGRAM_HPP

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

#include <vq/calibrate/histogram.hpp>
#include <vq/calibrate/observer.hpp>

namespace vq::inline v1 {

class torch_histogram_observer {
 public:
  explicit torch_histogram_observer(index_type bins = 2048)
      : counts_(static_cast<std::size_t>(bins)) {
    VQ_ASSERT(bins >= 1);
  }

  template <execution E, readable_view V>
  status observe(E e, const V& batch) {
    if (batch.empty()) return status::ok;
    const observed o = observe_range(e, batch);
    if (!o.finite) return status::not_finite;
    const range wider = hull(seen_, o.seen);
    const range edges = edges_of(wider);
    const auto bins = static_cast<float>(counts_.size());
    if (!detail::is_finite((edges.highest - edges.lowest) * bins)) return status::overflow;
    if (!seen_.empty() && wider != seen_) widen(wider);
    seen_ = wider;
    std::vector<float> added(counts_.size());
    for_each_chunk(batch, 0, batch.size(), [&](index_type, const float* x, index_type count) {
      for (index_type i = 0; i < count; ++i) ++added[bin_of(x[i], edges)];
    });
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += added[i];
    return status::ok;
  }
  template <readable_view V>
  status observe(const V& batch) {
    return observe(scalar, batch);
  }

  result<histogram> snapshot() const {
    if (seen_.empty()) return status::no_data;
    const range edges = edges_of(seen_);
    const double width = (static_cast<double>(edges.highest) - static_cast<double>(edges.lowest)) /
                         static_cast<double>(counts_.size());
    return histogram{edges.lowest, width, {counts_.begin(), counts_.end()}, seen_, 0};
  }

 private:
  static constexpr index_type parts = 16;

  // torch.histc counts a constant in a range of width 2 (which a float can tell apart up to 2^20).
  static range edges_of(range r) {
    if (r.lowest != r.highest) return r;
    const float half = (op::max)(1.f, op::abs(r.lowest) * 0x1p-20f);
    return {r.lowest - half, r.highest + half};
  }
  std::size_t bin_of(float x, range edges) const {
    const auto bins = static_cast<float>(counts_.size());
    const auto bin =
        static_cast<std::size_t>((x - edges.lowest) * bins / (edges.highest - edges.lowest));
    return bin < counts_.size() ? bin : counts_.size() - 1;
  }

  void widen(range wider) {
    std::vector<float> moved(counts_.size());
    if (seen_.lowest == seen_.highest) {
      const float total = std::accumulate(counts_.begin(), counts_.end(), 0.f);
      moved[bin_of(seen_.lowest, edges_of(wider))] = total;
      counts_ = std::move(moved);
      return;
    }
    const auto bins = static_cast<index_type>(counts_.size());
    std::vector<float> edges;
    for (index_type i = 0; i <= bins; ++i) edges.push_back(evenly(wider, i, bins));
    const float half_part =
        0.5f * ((seen_.highest - seen_.lowest) / static_cast<float>(bins * parts));
    for (index_type i = 0; i < bins * parts; ++i) {
      const float middle = evenly(seen_, i, bins * parts) + half_part;
      const auto above = std::upper_bound(edges.begin(), edges.end(), middle) - edges.begin();
      const index_type bin = above < 1 ? 0 : above > bins ? bins - 1 : above - 1;
      moved[static_cast<std::size_t>(bin)] +=
          counts_[static_cast<std::size_t>(i / parts)] / static_cast<float>(parts);
    }
    counts_ = std::move(moved);
  }
  // Point i of `steps` equal steps through r, from the nearer end (torch.linspace).
  static float evenly(range r, index_type i, index_type steps) {
    const float step = (r.highest - r.lowest) / static_cast<float>(steps);
    return i < (steps + 1) / 2 ? r.lowest + step * static_cast<float>(i)
                               : r.highest - step * static_cast<float>(steps - i);
  }

  std::vector<float> counts_;
  range seen_ = empty_range;
};

}  // namespace vq::inline v1

#endif
