// One observer for each parameter of a granularity: per-channel calibration of activations.
//
//   vq::sliced_observer<vq::minmax_observer, vq::per_channel<1>> seen;   // (batch, channel, h, w)
//   status s = seen.observe(batch);
//   result<std::vector<range>> ranges = seen.estimate();                 // one a channel
//
// Batches may differ in every extent that does not change the number of parameters; one that does
// is refused with size_mismatch.
#ifndef VQ_CALIBRATE_SLICED_OBSERVER_HPP
#define VQ_CALIBRATE_SLICED_OBSERVER_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/calibrate/observer.hpp>
#include <vq/calibrate/state_text.hpp>
#include <vq/quantizer/granularity.hpp>

namespace vq::inline v1 {

template <range_observer Observer, granularity Granularity>
class sliced_observer {
 public:
  // Every parameter starts as a copy of `blank`, which carries the options.
  explicit sliced_observer(Observer blank = Observer()) : blank_(std::move(blank)) {}

  template <execution E, readable_view V>
  status observe(E e, const V& batch) {
    if (batch.empty()) return status::ok;
    const slices cut = Granularity::cut(batch.extents());
    if (!each_.empty() && size() != cut.params()) return status::size_mismatch;
    std::vector<range> ranges(static_cast<std::size_t>(cut.params()));
    bool finite = true;
    for_each_observed<find_range>(e, cut, batch, [&](index_type param, const observed& o) {
      finite &= o.finite;
      ranges[static_cast<std::size_t>(param)] = o.seen;
    });
    if (!finite) return status::not_finite;
    each_.resize(ranges.size(), blank_);
    for (std::size_t i = 0; i < ranges.size(); ++i) each_[i].observe(ranges[i]);
    return status::ok;
  }
  template <readable_view V>
  status observe(const V& batch) {
    return observe(scalar, batch);
  }

  status merge(const sliced_observer& other) {
    if (other.each_.empty()) return status::ok;
    if (!each_.empty() && size() != other.size()) return status::size_mismatch;
    sliced_observer merged = *this;
    merged.each_.resize(other.each_.size(), blank_);
    for (std::size_t i = 0; i < merged.each_.size(); ++i) {
      if (const status s = merged.each_[i].merge(other.each_[i]); s != status::ok) return s;
    }
    *this = std::move(merged);
    return status::ok;
  }

  result<std::vector<range>> estimate() const {
    if (each_.empty()) return status::no_data;
    std::vector<range> ranges;
    ranges.reserve(each_.size());
    for (const Observer& o : each_) {
      const result<range> r = o.estimate();
      if (!r) return r.error();
      ranges.push_back(*r);
    }
    return ranges;
  }

  // Parameters seen so far; 0 before the first batch.
  index_type size() const { return static_cast<index_type>(each_.size()); }
  const Observer& operator[](index_type param) const {
    return each_[static_cast<std::size_t>(param)];
  }

  // vq sliced 1 / size n / the options of a blank observer / n times an observer's own text
  std::string serialize() const {
    state_writer out("sliced");
    out.key("size").number(size()).nested(blank_.serialize());
    for (const Observer& o : each_) out.nested(o.serialize());
    return out.text();
  }
  static result<sliced_observer> deserialize(std::string_view text) {
    std::string_view parts = text;
    state_reader in(next_part(parts), "sliced");
    const auto count = in.key("size").template number<index_type>();
    if (!in.finished() || count < 0) return status::bad_format;
    const result<Observer> blank = Observer::deserialize(next_part(parts));
    if (!blank) return blank.error();
    sliced_observer all(*blank);
    for (index_type i = 0; i < count; ++i) {
      const result<Observer> o = Observer::deserialize(next_part(parts));
      if (!o) return o.error();
      all.each_.push_back(*o);
    }
    if (!next_part(parts).empty()) return status::bad_format;
    return all;
  }

 private:
  // Cuts off what stands before the next line that begins an observer.
  static std::string_view next_part(std::string_view& text) {
    const std::size_t end = text.find("\nvq ", 0);
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return part;
  }

  Observer blank_;
  std::vector<Observer> each_;
};

}  // namespace vq::inline v1

#endif
