// expect: has_decode
#include <vq/quant.hpp>

struct one_way {
  static constexpr int bits = 8;
  using code_type = signed char;
  struct param_type {};

  constexpr param_type fit(vq::range) const noexcept { return {}; }
  constexpr float encode(float x, param_type) const noexcept { return x; }
};
vq::quantizer<one_way> q;
