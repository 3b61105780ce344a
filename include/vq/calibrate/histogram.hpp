// Histograms: what the searches of this folder look at, and the observer that collects one.
//
//   vq::histogram_observer seen;
//   status s = seen.observe(batch);          // any number of times, or merge() of shards
//   result<vq::histogram> h = seen.snapshot();
//   auto p = vq::estimate_params(vq::uniform<8>{}, seen, vq::percentile{99.99});
//
// The observer's bins have a power of two as width and multiples of it as edges. When a value
// falls outside, the width doubles until it fits, and pairs of bins become one exactly. So the
// state is a function of the multiset of values: neither the order of the batches nor the sharding
// shows, and merging is exact, associative and commutative. 64 KiB each, whatever was seen.
#ifndef VQ_CALIBRATE_HISTOGRAM_HPP
#define VQ_CALIBRATE_HISTOGRAM_HPP

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <vq/calibrate/count_values.hpp>
#include <vq/calibrate/observer.hpp>
#include <vq/calibrate/state_text.hpp>

namespace vq::inline v1 {

// Bin i counts the values in [edge(i), edge(i + 1)). Counts may be fractional, where a collector
// interpolates. `zeros` of them are exactly 0, which every grid represents without an error.
struct histogram {
  double lowest = 0;
  double width = 0;
  std::vector<double> counts;
  range seen = empty_range;
  double zeros = 0;

  index_type size() const { return static_cast<index_type>(counts.size()); }
  double edge(index_type bin) const { return lowest + width * static_cast<double>(bin); }
  // The value that stands for a bin: its centre, or the nearest value that can have occurred.
  float value(index_type bin) const {
    const auto centre = static_cast<float>(lowest + width * (static_cast<double>(bin) + 0.5));
    return op::clamp(centre, seen.lowest, seen.highest);
  }
  double total() const { return std::accumulate(counts.begin(), counts.end(), 0.0); }
  // False for a histogram from which nothing can be estimated.
  bool sound() const {
    return width > 0 && detail::is_observable(seen) && total() > 0 && zeros <= total();
  }
  // The part of a range where values have been.
  range clipped(double from, double to) const {
    return {op::clamp(static_cast<float>(from), seen.lowest, seen.highest),
            op::clamp(static_cast<float>(to), seen.lowest, seen.highest)};
  }
};

// The histogram of the magnitudes. Where values have both signs it starts at 0, and bins below zero
// count by their centres: nothing is blurred where zero is an edge.
inline histogram magnitudes(const histogram& h) {
  histogram m{h.lowest, h.width, h.counts, h.seen, h.zeros};
  if (h.lowest >= 0) return m;
  const double highest = h.edge(h.size());
  m.seen = {-h.seen.highest, -h.seen.lowest};
  if (highest <= 0) {
    m.lowest = -highest;
    std::reverse(m.counts.begin(), m.counts.end());
    return m;
  }
  m.lowest = 0;
  m.seen = {0, h.seen.absmax()};
  const double largest = -h.lowest > highest ? -h.lowest : highest;
  m.counts.assign(static_cast<std::size_t>(std::ceil(largest / h.width - 1e-6)), 0.0);
  for (index_type bin = 0; bin < h.size(); ++bin) {
    const double centre = h.edge(bin) + 0.5 * h.width;
    const auto folded = static_cast<std::size_t>((centre < 0 ? -centre : centre) / h.width);
    m.counts[folded < m.counts.size() ? folded : m.counts.size() - 1] +=
        h.counts[static_cast<std::size_t>(bin)];
  }
  return m;
}

class histogram_observer {
 public:
  // Half of them on each side of zero; those on the side of the largest magnitude are at least half
  // used, so the width is at most 1/2048 of that magnitude.
  static constexpr index_type bins = 8192;

  template <execution E, readable_view V>
  status observe(E e, const V& batch) {
    if (batch.empty()) return status::ok;
    const observed o = observe_range(e, batch);
    if (!o.finite) return status::not_finite;
    include(detail::without_negative_zero(o.seen));
    const float factor = power_of_two(-exponent_);
    std::uint64_t* const zero_bin = counts_.data() + half;
    for_each_chunk(e, batch, 0, batch.size(), [&](index_type, const float* x, index_type count) {
      const index_type zeros = kernel<count_values, E>{}(x, count, factor, zero_bin);
      zeros_ += static_cast<std::uint64_t>(zeros);
    });
    return status::ok;
  }
  template <readable_view V>
  status observe(const V& batch) {
    return observe(scalar, batch);
  }

  status merge(const histogram_observer& other) {
    if (other.seen_.empty()) return status::ok;
    include(other.seen_);
    const int doublings = exponent_ - other.exponent_;
    for (index_type i = 0; i < bins; ++i) {
      at((i - half) >> (doublings < 31 ? doublings : 31)) +=
          other.counts_[static_cast<std::size_t>(i)];
    }
    zeros_ += other.zeros_;
    return status::ok;
  }

  // Smallest and largest value; the searches take a snapshot.
  result<range> estimate() const {
    if (seen_.empty()) return status::no_data;
    return seen_;
  }

  result<histogram> snapshot() const {
    if (seen_.empty()) return status::no_data;
    const double width = power_of_two(exponent_);
    const index_type first = first_bin(), last = last_bin();
    histogram h{static_cast<double>(first) * width, width, {}, seen_, static_cast<double>(zeros_)};
    h.counts.reserve(static_cast<std::size_t>(last - first + 1));
    for (index_type bin = first; bin <= last; ++bin) {
      h.counts.push_back(static_cast<double>(at(bin)));
    }
    return h;
  }

  // vq histogram 1 / exponent e / seen <range> / zeros z / counts first n c_first ...
  std::string serialize() const {
    state_writer out("histogram");
    out.key("exponent").number(exponent_).key("seen").numbers(seen_).key("zeros").number(zeros_);
    const index_type first = seen_.empty() ? 0 : first_bin();
    const index_type count = seen_.empty() ? 0 : last_bin() - first + 1;
    out.key("counts").number(first).number(count);
    for (index_type i = 0; i < count; ++i) out.number(at(first + i));
    return out.text();
  }
  // Checks that the counts are such as the range implies.
  static result<histogram_observer> deserialize(std::string_view text) {
    state_reader in(text, "histogram");
    histogram_observer o;
    const auto exponent = in.key("exponent").number<int>();
    const range seen = in.key("seen").numbers();
    const auto zeros = in.key("zeros").number<std::uint64_t>();
    const auto first = in.key("counts").number<index_type>();
    const auto count = in.number<index_type>();
    if (!in.good()) return status::bad_format;
    if (seen == empty_range) {
      if (!in.finished() || exponent != smallest_exponent || zeros != 0 || count != 0) {
        return status::bad_format;
      }
      return o;
    }
    if (!detail::is_observable(seen)) return status::bad_format;
    o.include(detail::without_negative_zero(seen));
    if (exponent != o.exponent_ || first != o.first_bin() || count != o.last_bin() - first + 1) {
      return status::bad_format;
    }
    for (index_type i = 0; i < count; ++i) o.at(first + i) = in.number<std::uint64_t>();
    o.zeros_ = zeros;
    const bool sound =
        in.finished() && o.at(first) > 0 && o.at(first + count - 1) > 0 && zeros <= o.at(0);
    if (!sound) return status::bad_format;
    return o;
  }

  friend bool operator==(const histogram_observer&, const histogram_observer&) = default;

 private:
  static constexpr index_type half = bins / 2;
  // No finer than the smallest scale a quantizer can have; a float holds the reciprocal.
  static constexpr int smallest_exponent = -126;

  static constexpr float power_of_two(int exponent) noexcept {
    return op::exp2i(static_cast<float>(exponent));
  }
  // Least e with |x| < 2^e * half.
  static constexpr int exponent_of(float absmax) noexcept {
    constexpr int log2_half = 12;
    static_assert(half == index_type{1} << log2_half);
    const int biased = static_cast<int>(std::bit_cast<std::uint32_t>(absmax) >> 23);
    const int exponent = biased - 127 + 1 - log2_half;
    return exponent > smallest_exponent ? exponent : smallest_exponent;
  }
  static index_type bin_of(float x, int exponent) noexcept {
    std::int32_t bin = 0;
    find_bins{}(&x, 1, power_of_two(-exponent), &bin);
    return bin;
  }
  index_type first_bin() const { return bin_of(seen_.lowest, exponent_); }
  index_type last_bin() const { return bin_of(seen_.highest, exponent_); }

  std::uint64_t& at(index_type bin) { return counts_[static_cast<std::size_t>(bin + half)]; }
  std::uint64_t at(index_type bin) const { return counts_[static_cast<std::size_t>(bin + half)]; }

  // Makes room for values of this range.
  void include(range batch) {
    if (counts_.empty()) counts_.resize(static_cast<std::size_t>(bins));
    seen_ = hull(seen_, batch);
    const int exponent = exponent_of(seen_.absmax());
    const int doublings = exponent - exponent_ < 31 ? exponent - exponent_ : 31;
    exponent_ = exponent;
    if (doublings == 0) return;
    // Towards zero from both sides: a target is never a bin that has yet to move.
    for (index_type bin = 1; bin < half; ++bin) move(bin, bin >> doublings);
    for (index_type bin = -2; bin >= -half; --bin) move(bin, bin >> doublings);
  }
  void move(index_type from, index_type to) {
    const std::uint64_t count = at(from);
    at(from) = 0;
    at(to) += count;
  }

  std::vector<std::uint64_t> counts_;  // none before the first value
  range seen_ = empty_range;
  std::uint64_t zeros_ = 0;
  int exponent_ = smallest_exponent;  // of the width
};

static_assert(observer<histogram_observer>);

}  // namespace vq::inline v1

#endif
