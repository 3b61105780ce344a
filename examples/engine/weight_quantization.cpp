#include "engine/weight_quantization.hpp"

#include <type_traits>
#include <utility>

#include <vq/fold/bias_correction.hpp>
#include <vq/quantizer/multiplier.hpp>
#include <vq/quantizer/quantize.hpp>

namespace engine {
tensor dequantized(const quantized_weight& w, const shape_type& shape) {
  tensor out{shape, std::vector<float>(w.codes.size())};
  visit_weight_format(w.bits, [&](auto q) {
    static_cast<void>(
        vq::dequantize(q, std::span(w.codes), w.params, as_rows(out.values.data(), shape)));
  });
  return out;
}

vq::status correct_bias(std::vector<float>& bias, const tensor& weight, const tensor& quantized,
                        const layer_input& in) {
  const auto correct = [&]<int Rank>(std::integral_constant<int, Rank>) {
    return vq::correct_bias(bias, view<Rank>(weight), view<Rank>(quantized), in.means, in.groups);
  };
  return weight.shape.size() == 4 ? correct(std::integral_constant<int, 4>{})
                                  : correct(std::integral_constant<int, 2>{});
}

vq::result<quantized_weight> quantize_weight(const tensor& weight, std::vector<float> bias,
                                             const layer_input& in, const weight_scheme& scheme) {
  const index_type channels = weight.extent(0);
  quantized_weight w;
  w.bits = scheme.bits;
  w.scales = scheme.scales == weight_scheme::sharing::per_channel ? channels : 1;
  w.params.resize(at(channels));
  w.codes.resize(weight.values.size());
  w.bias_codes.resize(bias.size());

  vq::status s = vq::status::ok;
  visit_weight_format(scheme.bits, [&](auto q) {
    s = fit_weight(q, weight, scheme, w.params);
    if (s != vq::status::ok) return;
    for (std::size_t c = 0; c < bias.size(); ++c) {
      const float least = vq::smallest_weight_scale(bias[c], in.param);
      if (w.params[c].scale < least) w.params[c].scale = least;
    }
    s = vq::quantize(q, as_rows(weight.values.data(), weight.shape), w.params, w.codes);
  });
  if (s == vq::status::ok && !in.means.empty() && !bias.empty()) {
    s = correct_bias(bias, weight, dequantized(w, weight.shape), in);
  }
  if (s == vq::status::ok) s = vq::quantize_bias(bias, in.param, w.params, w.bias_codes);
  if (s != vq::status::ok) return s;
  w.bias = std::move(bias);
  return w;
}

}  // namespace engine
