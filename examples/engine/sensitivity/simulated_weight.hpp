// A weight in a format that a recipe names, simulated: the floats that its codes stand for.
//
//   simulate_weight<vq::menu<my_quantizer>>("mine-channel", weight);    // a menu of one's own
//   simulate_weight("nf4-block64-dq256", weight);                       // the built-in menu
//
// "keep" and "f32" leave the weight alone, "f16" and "bf16" round it. In place. Errors: not_found
// (the menu has no such format), not_finite.
#ifndef ENGINE_SENSITIVITY_SIMULATED_WEIGHT_HPP
#define ENGINE_SENSITIVITY_SIMULATED_WEIGHT_HPP

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/fit.hpp>

#include "engine/tensor.hpp"

namespace engine {

using weight_view = vq::tensor_view<float, 2>;  // output channels times everything else
using weight_simulation = std::function<vq::status(std::string_view format, weight_view weight)>;

template <class Q>
vq::status simulate_weight_as(weight_view weight) {
  // Storage changes no values, but for scales that are codes themselves.
  constexpr vq::quantizer<typename Q::policy_type, typename Q::granularity_type> q;
  std::vector<typename Q::param_type> params(at(q.required(weight).params));
  if (const auto s = vq::fit(q, weight, params); s != vq::status::ok) return s;
  if constexpr (vq::has_nested_scales<Q>) {
    const vq::sizes need = vq::required_scales(Q{}, weight);
    std::vector<std::uint8_t> codes(at(need.codes));
    std::vector<vq::scale_param> absmax(at(need.params));
    vq::nested_scales nested{.codes = codes, .absmax = absmax};
    if (const auto s = vq::quantize_scales(Q{}, params, nested); s != vq::status::ok) return s;
    const auto s = vq::dequantize_scales(vq::scalar, Q{}, nested, params);
    if (s != vq::status::ok) return s;
  }
  return vq::fake_quantize(q, weight, params, weight);
}

template <class Menu>
vq::status simulate_weight(std::string_view format, weight_view weight) {
  if (vq::is_unquantized(format)) {
    const bool half = format == "f16", short_half = format == "bf16";
    for (index_type i = 0; i < weight.size() && (half || short_half); ++i) {
      float& value = weight.data_handle()[i];
      value = half ? static_cast<float>(vq::half(value)) : static_cast<float>(vq::bfloat16(value));
    }
    return vq::status::ok;
  }
  vq::status s = vq::status::not_found;
  vq::visit_format<Menu>(format, [&]<class Q>(Q) { s = simulate_weight_as<Q>(weight); });
  return s;
}

// Compiled once: the menu is long.
vq::status simulate_weight(std::string_view format, weight_view weight);

}  // namespace engine

#endif
