// expect: has_encode
#include <vq/quant.hpp>

struct throwing {
  static constexpr int bits = 8;
  using code_type = signed char;
  struct param_type {};

  constexpr param_type fit(vq::range) const noexcept { return {}; }
  constexpr float encode(float x, param_type) const { return x; }  // noexcept is missing
  constexpr float decode(float code, param_type) const noexcept { return code; }
};
static_assert(vq::quantizer_policy<throwing>);
