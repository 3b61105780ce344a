// The mathematics of policies. Each call goes through lane<V>, so a register type that a later
// header defines takes part. Call them qualified, `op::max(a, b)`: an unqualified name may find the
// register library's own function, which rounds or orders differently.
// The parentheses around max and min keep macros of these names away.
#ifndef VQ_CORE_OP_HPP
#define VQ_CORE_OP_HPP

#include <cstddef>

#include <vq/core/lane.hpp>

namespace vq::inline v1::op {

template <class M, class V>
constexpr V select(M mask, V a, V b) noexcept {
  return lane<V>::select(mask, a, b);
}
template <class V>
constexpr V(max)(V a, V b) noexcept {
  return (lane<V>::max)(a, b);
}
template <class V>
constexpr V(min)(V a, V b) noexcept {
  return (lane<V>::min)(a, b);
}
// a / b, correctly rounded. Not the operator: on some registers that is an approximation.
template <class V>
constexpr V divide(V a, V b) noexcept {
  return lane<V>::divide(a, b);
}
template <class V>
constexpr V abs(V x) noexcept {
  return lane<V>::abs(x);
}

// min(max(x, lowest), highest): NaN becomes `lowest`.
template <class V>
constexpr V clamp(V x, V lowest, V highest) noexcept {
  return (op::min)((op::max)(x, lowest), highest);
}

// To the nearest integer, halves to the even one (IEEE 754 roundTiesToEven).
template <class V>
constexpr V round_even(V x) noexcept {
  return lane<V>::round_even(x);
}

// To the nearest integer, halves away from zero (C's round).
template <class V>
constexpr V round_away(V x) noexcept {
  const V even = op::round_even(x);
  const V rest = x - even;  // exact; +-0.5 on a tie
  const V up = op::select(x > V(0.f), even + V(1.f), even);
  const V down = op::select(x < V(0.f), even - V(1.f), even);
  return op::select(rest == V(0.5f), up, op::select(rest == V(-0.5f), down, even));
}

// 2^e for an integer e in [-126, 127].
template <class V>
constexpr V exp2i(V e) noexcept {
  return lane<V>::exp2i(e);
}

// Of a positive normal x = mantissa * 2^exponent, mantissa in [1, 2).
template <class V>
constexpr V exponent(V x) noexcept {
  return lane<V>::exponent(x);
}
template <class V>
constexpr V mantissa(V x) noexcept {
  return lane<V>::mantissa(x);
}

// table[code] for an integer code in [0, N).
template <std::size_t N, class V>
constexpr V lookup(const float (&table)[N], V code) noexcept {
  return lane<V>::lookup(table, code);
}

// How many of the rising bounds lie strictly below x: the nearest entry, given the midpoints.
template <std::size_t N, class V>
constexpr V count_below(const float (&bounds)[N], V x) noexcept {
  return lane<V>::count_below(bounds, x);
}
// The same for bounds that a type has, `static constexpr float values[N]`: registers turn them into
// tables at compile time.
template <class Bounds, class V>
constexpr V count_below(V x) noexcept {
  return lane<V>::template count_below<Bounds>(x);
}

}  // namespace vq::inline v1::op

#endif
