// What a number format must offer to be calibrated, stored, vectorized and planned.
//
// A policy has three facts (bits, code_type, param_type) and three verbs:
//   fit(range) -> param       the parameters that represent a range
//   encode(x, param) -> code  a value becomes an integer code, kept in a float
//   decode(code, param) -> x  and back
// Write encode and decode as templates on V and they also run on registers of floats (runs_on).
// Optional: `name`; `symmetric_range` (fit looks at absmax alone); `in_range(x, param)`, a mask
// that is false where encode clamps; `fit(range, convention)`; `arithmetic_type` and `limits`
// (affine_policy); `fit_short` and `encode_short`, a rule
// for a run that is shorter than the granularity asks, because its row ended.
#ifndef VQ_POLICY_CONCEPTS_HPP
#define VQ_POLICY_CONCEPTS_HPP

#include <concepts>
#include <type_traits>

#include <vq/core/range.hpp>
#include <vq/policy/convention.hpp>

namespace vq::inline v1 {

// Codes travel through float lanes, which are exact to 24 bits; 16 is what is stored.
template <class P>
concept has_facts =
    requires {
      requires P::bits >= 1 && P::bits <= 16;
      typename P::code_type;
      typename P::param_type;
    } && std::is_integral_v<typename P::code_type> &&
    std::is_trivially_copyable_v<typename P::param_type>;

template <class P>
concept has_fit = requires(const P policy, range r) {
  { policy.fit(r) } noexcept -> std::same_as<typename P::param_type>;
};

template <class P>
concept has_encode = requires(const P policy, float x, typename P::param_type param) {
  { policy.encode(x, param) } noexcept -> std::same_as<float>;
};

template <class P>
concept has_decode = requires(const P policy, float code, typename P::param_type param) {
  { policy.decode(code, param) } noexcept -> std::same_as<float>;
};

template <class P>
concept quantizer_policy = has_facts<P> && has_fit<P> && has_encode<P> && has_decode<P>;

// The policy's text also runs on V, a register of floats.
template <class P, class V>
concept runs_on = requires(const P policy, V x, typename P::param_type param) {
  { policy.encode(x, param) } noexcept -> std::same_as<V>;
  { policy.decode(x, param) } noexcept -> std::same_as<V>;
};

// fit looks at the largest magnitude alone, which is cheaper to find than both ends.
template <class P>
concept symmetric_range = requires { requires P::symmetric_range; };

template <class P>
concept fits_by_convention = requires(const P policy, range r, convention c) {
  { policy.fit(r, c) } noexcept -> std::same_as<typename P::param_type>;
};

// An evenly spaced grid, which kernels may compute in integers:
//   encode = round(clamp(divide(x, scale), lowest - Z, highest - Z)) + Z, decode = (code - Z) * scale
// with divide and round of P::arithmetic_type, lowest and highest of P::limits, and the zero point Z
// one of the codes; fit of a grid with symmetric limits gives Z = limits.zero.
template <class P>
concept affine_policy = requires {
  typename P::arithmetic_type;
  { P::limits } -> std::convertible_to<code_limits>;
} && std::same_as<typename P::param_type, affine_param>;

template <class P>
concept has_short_run_rule =
    requires(const P policy, range r, float x, typename P::param_type param) {
      { policy.fit_short(r) } noexcept -> std::same_as<typename P::param_type>;
      { policy.encode_short(x, param) } noexcept -> std::same_as<float>;
    };

// fit in registers, for policies that look at absmax alone: fit_absmax(absmax) is the scale of many
// ranges [-absmax, absmax] at once, and param_of(scale) the parameter with that scale.
template <class P, class V>
concept fits_registers = symmetric_range<P> && requires(const P policy, V absmax, float scale) {
  { policy.fit_absmax(absmax) } noexcept -> std::same_as<V>;
  { policy.param_of(scale) } noexcept -> std::same_as<typename P::param_type>;
};

// fit and encode with that rule, where the policy has one.
template <quantizer_policy P>
constexpr typename P::param_type fit_run(const P& policy, bool short_run, range r) noexcept {
  if constexpr (has_short_run_rule<P>) {
    if (short_run) return policy.fit_short(r);
  }
  return policy.fit(r);
}
template <class P, class V>
constexpr V encode_run(const P& policy, bool short_run, V x,
                       const typename P::param_type& param) noexcept {
  if constexpr (has_short_run_rule<P>) {
    if (short_run) return policy.encode_short(x, param);
  }
  return policy.encode(x, param);
}

}  // namespace vq::inline v1

#endif
