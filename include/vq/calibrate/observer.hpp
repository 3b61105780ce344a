// What watches the values of a tensor while calibration data run through a network.
//
// An observer sees batches, one view each; it keeps a state of bounded size whatever their number,
// and answers with a range. States of shards that were observed apart merge into one, and travel
// between processes as text.
//
//   observe(e, view)  ok; or not_finite for a NaN or infinity, and the state stays as it was
//   merge(other)      `other` saw what came after; bad_argument where the options differ
//   estimate()        the range; no_data before the first value
//   serialize(), deserialize(text)   exact: the copy behaves as the original does
//
// What the estimate depends on: min-max and the histogram on the values alone (any order, any
// sharding, the same bits); the mean of batches on how values are cut into batches; the moving
// average on the order of the batches too.
#ifndef VQ_CALIBRATE_OBSERVER_HPP
#define VQ_CALIBRATE_OBSERVER_HPP

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>

#include <vq/core/convert.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/range.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/quantizer/fit.hpp>

namespace vq::inline v1 {

template <class O>
concept observer =
    std::copyable<O> &&
    requires(O o, const O other, const tensor_view<const float, 2>& x, std::string_view text) {
      { o.observe(scalar, x) } -> std::same_as<status>;
      { o.observe(x) } -> std::same_as<status>;
      { o.merge(other) } -> std::same_as<status>;
      { other.estimate() } -> std::same_as<result<range>>;
      { other.serialize() } -> std::same_as<std::string>;
      { O::deserialize(text) } -> std::same_as<result<O>>;
    };

// An observer that needs of each batch no more than its range, which must be finite and not empty.
template <class O>
concept range_observer = observer<O> && requires(O o, range batch) { o.observe(batch); };

namespace detail {

constexpr bool is_finite(float x) noexcept {
  return op::abs(x) <= (std::numeric_limits<float>::max)();
}
// A range that values can have: not empty, both ends finite.
constexpr bool is_observable(range r) noexcept {
  return !r.empty() && is_finite(r.lowest) && is_finite(r.highest);
}
// The same of ends in double, which become floats.
constexpr bool is_observable(double lowest, double highest) noexcept {
  constexpr double rounds_to_infinity = 0x1.ffffffp127;
  return lowest <= highest && lowest > -rounds_to_infinity && highest < rounds_to_infinity;
}

// Of both zeros, +0: then the hull of some ranges does not depend on their order.
constexpr range without_negative_zero(range r) noexcept {
  return {r.lowest + 0.f, r.highest + 0.f};
}

}  // namespace detail

// Smallest and largest value of a view, if all are finite.
template <execution E, readable_view V>
observed observe_range(E e, const V& x) noexcept {
  observed all;
  for_each_chunk(e, x, 0, x.size(), [&](index_type, const float* values, index_type count) {
    all = hull(all, kernel<find_range, E>{}(values, count));
  });
  return all;
}

// The part that all observers of ranges share: `observe` for a view, with and without an execution.
template <class Derived>
class observes_views {
 public:
  template <execution E, readable_view V>
  status observe(E e, const V& batch) {
    if (batch.empty()) return status::ok;
    const observed o = observe_range(e, batch);
    if (!o.finite) return status::not_finite;
    static_cast<Derived&>(*this).observe(o.seen);
    return status::ok;
  }
  template <readable_view V>
  status observe(const V& batch) {
    return observe(scalar, batch);
  }

  friend bool operator==(const observes_views&, const observes_views&) = default;
};

}  // namespace vq::inline v1

#endif
