// The interval of values that a quantizer has to represent.
#ifndef VQ_CORE_RANGE_HPP
#define VQ_CORE_RANGE_HPP

#include <limits>

#include <vq/core/op.hpp>

namespace vq::inline v1 {

// [lowest, highest]; `empty_range` contains nothing and is the identity of `hull`.
struct range {
  float lowest = 0;
  float highest = 0;

  constexpr float absmax() const noexcept { return (op::max)(op::abs(lowest), op::abs(highest)); }
  constexpr bool empty() const noexcept { return !(lowest <= highest); }
  friend constexpr bool operator==(const range&, const range&) noexcept = default;
};

inline constexpr range empty_range{std::numeric_limits<float>::infinity(),
                                   -std::numeric_limits<float>::infinity()};

// The smallest range that contains both.
constexpr range hull(range a, range b) noexcept {
  return {(op::min)(a.lowest, b.lowest), (op::max)(a.highest, b.highest)};
}

}  // namespace vq::inline v1

#endif
