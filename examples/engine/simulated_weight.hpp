// A weight in a format that a recipe names, simulated: the floats that its codes stand for.
//
//   simulate_weight<vq::menu<my_quantizer>>("mine-channel", weight);    // a menu of one's own
//   simulate_weight("nf4-block64-dq256", weight);                       // the built-in menu
//
// "keep" and "f32" leave the weight alone, "f16" and "bf16" round it. In place. Errors: not_found
// (the menu has no such format), not_finite.
#ifndef ENGINE_SIMULATED_WEIGHT_HPP
#define ENGINE_SIMULATED_WEIGHT_HPP

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include <vq/plan/weight_formats.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/fit_quantize.hpp>

#include "engine/tensor.hpp"

namespace engine {

using weight_view = vq::tensor_view<float, 2>;  // output channels times everything else
using weight_simulation = std::function<vq::status(std::string_view format, weight_view weight)>;

// Rounds values to "f16" or "bf16"; other formats leave them alone.
void round_to(std::string_view format, std::span<float> values);

// Puts the scales in the place of those that double quantization would recover.
template <class Storage>
vq::status nest_scales(std::vector<vq::scale_param>& scales) {
  constexpr vq::quantizer<vq::nf4, vq::per_block<64>, Storage> q;  // any, for its scales
  const auto need = Storage::scale_quantizer::required(std::array{std::ssize(scales)});
  std::vector<std::uint8_t> codes(at(need.codes));
  std::vector<vq::scale_param> absmax(at(need.params));
  vq::nested_scales nested{.codes = codes, .absmax = absmax};
  if (const auto s = vq::quantize_scales(q, scales, nested); s != vq::status::ok) return s;
  return vq::dequantize_scales(vq::scalar, q, nested, scales);
}

template <class Q>
vq::status simulate_weight_as(weight_view weight) {
  // Storage changes no values, but for scales that are codes themselves.
  constexpr vq::quantizer<typename Q::policy_type, typename Q::granularity_type> q;
  std::vector<typename Q::param_type> params(at(q.required(weight).params));
  if constexpr (vq::has_nested_scales<Q>) {  // codes belong to the scales as they were before
    std::vector<std::uint8_t> codes(at(q.required(weight).codes));
    auto s = vq::fit_quantize(q, weight, params, codes);
    if (s == vq::status::ok) s = nest_scales<typename Q::storage_type>(params);
    return s == vq::status::ok ? vq::dequantize(q, codes, params, weight) : s;
  } else {
    const auto s = vq::fit(q, weight, params);
    return s == vq::status::ok ? vq::fake_quantize(q, weight, params, weight) : s;
  }
}

template <class Menu>
vq::status simulate_weight(std::string_view format, weight_view weight) {
  if (vq::is_unquantized(format)) {
    round_to(format, {weight.data_handle(), at(weight.size())});
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
