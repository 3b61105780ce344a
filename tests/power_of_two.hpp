// A format of a user, which the library does not know: its text runs on registers (tests/simd), and
// vq_add_dispatch compiles it for every instruction set (tests/dispatch).
#ifndef VQ_TESTS_POWER_OF_TWO_HPP
#define VQ_TESTS_POWER_OF_TWO_HPP

#include <cstdint>

#include <vq/quant.hpp>

namespace mine {

// Steps of 2^exponent.
struct power_of_two {
  static constexpr int bits = 8;
  using code_type = std::int8_t;
  struct param_type {
    int exponent = 0;
  };

  constexpr param_type fit(vq::range r) const noexcept {
    int e = -20;
    while (e < 20 && 127 * vq::op::exp2i(static_cast<float>(e)) < r.absmax()) ++e;
    return {e};
  }
  template <class V>
  constexpr V encode(V x, param_type p) const noexcept {
    const V steps = x * V(vq::op::exp2i(static_cast<float>(-p.exponent)));
    return vq::op::clamp(vq::op::round_even(steps), V(-127.f), V(127.f));
  }
  template <class V>
  constexpr V decode(V code, param_type p) const noexcept {
    return code * V(vq::op::exp2i(static_cast<float>(p.exponent)));
  }
};
static_assert(vq::quantizer_policy<power_of_two>);

}  // namespace mine

#endif
