// Finds the parameters of a quantizer from the data themselves (min-max).
//
//   status s = vq::fit(q, weights, params);                              // vq's convention
//   status s = vq::fit(q, weights, params, vq::conventions::torch);
//
// NaN or infinity in the data is refused with status::not_finite; a run of zeros gets scale 1.
// Other ways to find a range (percentile, error search, entropy) live in calibrate/.
#ifndef VQ_QUANTIZER_FIT_HPP
#define VQ_QUANTIZER_FIT_HPP

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/convert.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/range.hpp>
#include <vq/core/status.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

// What was seen in some values; `finite` is false when a NaN or an infinity was among them, and then
// the range means nothing.
struct observed {
  range seen = empty_range;
  bool finite = true;
};
constexpr observed hull(const observed& a, const observed& b) noexcept {
  return {hull(a.seen, b.seen), a.finite && b.finite};
}

// Smallest and largest value; -0 is below +0. With the sign applied, the bits of floats order as
// integers, NaN and infinity at both ends, and compilers vectorize the minimum of integers.
struct find_range {
  constexpr observed operator()(const float* x, index_type count) const noexcept {
    const std::int32_t infinity = ordered(std::numeric_limits<float>::infinity());
    const std::int32_t minus_infinity = ordered(-std::numeric_limits<float>::infinity());
    std::int32_t least = infinity, most = minus_infinity;
    for (index_type i = 0; i < count; ++i) {
      const std::int32_t key = ordered(x[i]);
      least = key < least ? key : least;
      most = key > most ? key : most;
    }
    const bool finite = count == 0 || (least > minus_infinity && most < infinity);
    return {{value(least), value(most)}, finite};
  }

 private:
  static constexpr std::int32_t flipped(std::int32_t bits) noexcept {
    return bits ^ ((bits >> 31) & 0x7fffffff);
  }
  static constexpr std::int32_t ordered(float x) noexcept {
    return flipped(std::bit_cast<std::int32_t>(x));
  }
  static constexpr float value(std::int32_t key) noexcept {
    return std::bit_cast<float>(flipped(key));
  }
};

// Largest magnitude, as the range [-m, m]. The bits of magnitudes order as integers, with infinity
// and NaN on top, so one integer maximum finds both the range and whether it is finite.
struct find_absmax {
  constexpr observed operator()(const float* x, index_type count) const noexcept {
    std::uint32_t most = 0;
    for (index_type i = 0; i < count; ++i) {
      const std::uint32_t bits = std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu;
      most = bits > most ? bits : most;
    }
    const auto absmax = std::bit_cast<float>(most);
    return {{-absmax, absmax}, most < 0x7f800000u};
  }
};

template <class Policy>
using range_operation = std::conditional_t<symmetric_range<Policy>, find_absmax, find_range>;

// Calls f(param, observed) for every parameter of `cut`, in rising order. Short runs that recur in
// every row (per_channel of the last axis) are gathered for a tile of parameters at a time, so that
// memory is read in order.
template <class Operation, execution E, readable_view V, class F>
constexpr void for_each_observed(E e, const slices& cut, const V& x, F f) noexcept {
  const auto look = [&](observed& into, index_type begin, index_type length) {
    for_each_chunk(e, x, begin, length, [&](index_type, const float* values, index_type n) {
      into = hull(into, kernel<Operation, E>{}(values, n));
    });
  };
  if (!cut.shared) {
    cut.for_each_strip([&](strip s) {
      s.for_each_run([&](index_type param, index_type offset) {
        observed seen;
        look(seen, s.begin + offset, s.length);
        f(param, seen);
      });
    });
    return;
  }
  if (cut.length >= 16) {
    for (index_type param = 0; param < cut.params(); ++param) {
      observed seen;
      cut.for_each_run(param, [&](index_type begin, index_type n) { look(seen, begin, n); });
      f(param, seen);
    }
    return;
  }
  constexpr index_type tile = 64;
  for (index_type first = 0; first < cut.params(); first += tile) {
    const index_type count = cut.params() - first < tile ? cut.params() - first : tile;
    observed seen[tile];
    for (index_type row = 0; row < cut.rows; ++row) {
      for (index_type i = 0; i < count; ++i) {
        look(seen[i], row * cut.row + (first + i) * cut.length, cut.length);
      }
    }
    for (index_type i = 0; i < count; ++i) f(first + i, seen[i]);
  }
}

namespace detail {

// `cut` is all that there is of a granularity here: one instance serves every granularity.
template <execution E, class Policy, readable_view V, std::same_as<convention>... C>
constexpr status fit_slices(E e, const Policy& policy, const slices& cut, const V& x,
                            std::span<typename Policy::param_type> params, const C&... c) noexcept {
  if (static_cast<index_type>(params.size()) < cut.params()) return status::too_few_params;
  bool finite = true;
  for_each_observed<range_operation<Policy>>(e, cut, x, [&](index_type param, const observed& o) {
    finite &= o.finite;
    auto& fitted = params[static_cast<std::size_t>(param)];
    if constexpr (sizeof...(C) == 0) {
      fitted = fit_run(policy, cut.is_short(param), o.seen);
    } else {
      fitted = policy.fit(o.seen, c...);
    }
  });
  return finite ? status::ok : status::not_finite;
}

}  // namespace detail

template <execution E, a_quantizer Q, readable_view V>
constexpr status fit(E e, const Q& q, const V& x,
                     std::span<typename Q::param_type> params) noexcept {
  return detail::fit_slices(e, q.policy, q.cut(x.extents()), x, params);
}
template <execution E, a_quantizer Q, readable_view V>
  requires fits_by_convention<typename Q::policy_type>
constexpr status fit(E e, const Q& q, const V& x, std::span<typename Q::param_type> params,
                     const convention& c) noexcept {
  return detail::fit_slices(e, q.policy, q.cut(x.extents()), x, params, c);
}
template <a_quantizer Q, readable_view V, std::same_as<convention>... C>
constexpr status fit(const Q& q, const V& x, std::span<typename Q::param_type> params,
                     const C&... c) noexcept {
  return fit(scalar, q, x, params, c...);
}

}  // namespace vq::inline v1

#endif
