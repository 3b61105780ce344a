// expect: fits_by_convention
#include <vq/quant.hpp>

struct fixed_scale {
  static constexpr int bits = 8;
  using code_type = signed char;
  struct param_type {};

  constexpr param_type fit(vq::range) const noexcept { return {}; }
  constexpr float encode(float x, param_type) const noexcept { return x; }
  constexpr float decode(float code, param_type) const noexcept { return code; }
};

vq::status calibrated(vq::tensor_view<const float, 1> x, fixed_scale::param_type (&params)[1]) {
  return vq::fit(vq::scalar, vq::quantizer<fixed_scale>{}, x, params, vq::conventions::torch);
}
