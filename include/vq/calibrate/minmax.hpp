// Min-max: the range from the smallest to the largest value ever seen.
//
// The default of weights, and of activations without outliers: nothing is clipped, so one stray
// value stretches the steps of all others. Merging is exact, associative and commutative.
#ifndef VQ_CALIBRATE_MINMAX_HPP
#define VQ_CALIBRATE_MINMAX_HPP

#include <string>
#include <string_view>

#include <vq/calibrate/observer.hpp>
#include <vq/calibrate/state_text.hpp>

namespace vq::inline v1 {

class minmax_observer : public observes_views<minmax_observer> {
 public:
  using observes_views<minmax_observer>::observe;
  void observe(range batch) {
    VQ_ASSERT(detail::is_observable(batch));
    seen_ = hull(seen_, detail::without_negative_zero(batch));
  }

  status merge(const minmax_observer& other) {
    seen_ = hull(seen_, other.seen_);
    return status::ok;
  }

  result<range> estimate() const {
    if (seen_.empty()) return status::no_data;
    return seen_;
  }

  // vq minmax 1 / seen <lowest> <highest>
  std::string serialize() const { return state_writer("minmax").key("seen").numbers(seen_).text(); }
  static result<minmax_observer> deserialize(std::string_view text) {
    state_reader in(text, "minmax");
    minmax_observer o;
    o.seen_ = in.key("seen").numbers();
    if (!in.finished()) return status::bad_format;
    if (o.seen_ != empty_range && !detail::is_observable(o.seen_)) return status::bad_format;
    return o;
  }

  friend bool operator==(const minmax_observer&, const minmax_observer&) = default;

 private:
  range seen_ = empty_range;
};

static_assert(range_observer<minmax_observer>);

}  // namespace vq::inline v1

#endif
