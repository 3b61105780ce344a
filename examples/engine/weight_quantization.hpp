// Weights as codes: symmetric, one scale per output channel or one for all.
#ifndef ENGINE_WEIGHT_QUANTIZATION_HPP
#define ENGINE_WEIGHT_QUANTIZATION_HPP

#include <cstdint>
#include <span>
#include <vector>

#include <vq/calibrate/fit.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/core/result.hpp>

#include "engine/format.hpp"
#include "engine/tensor.hpp"

namespace engine {

struct weight_scheme {
  enum class sharing { per_channel, per_tensor };
  enum class estimator { minmax, mse };

  int bits = 8;
  sharing scales = sharing::per_channel;
  estimator range = estimator::minmax;
};

struct quantized_weight {
  std::vector<weight_code> codes;        // in the order of the float weight, one per byte
  std::vector<vq::affine_param> params;  // one per output channel, equal where they are shared
  std::vector<float> bias;               // as it came, or corrected
  std::vector<std::int32_t> bias_codes;  // in units of input scale * weight scale; or none
  int bits = 8;
  index_type scales = 0;  // how many are stored

  // Packed codes, scales, int32 biases.
  std::size_t bytes() const {
    return (codes.size() * static_cast<std::size_t>(bits) + 7) / 8 + sizeof(float) * at(scales) +
           sizeof(float) * bias.size();
  }
};

// (out, everything else): to per_channel<0> all weights look like this.
template <class T>
vq::tensor_view<T, 2> as_rows(T* values, const shape_type& shape) {
  return {values, {shape[0], volume(shape) / shape[0]}};
}

// One parameter for each output channel. Q: a quantizer that is per_channel<0>.
template <vq::a_quantizer Q>
vq::status fit_weight(const Q& q, const tensor& weight, const weight_scheme& scheme,
                      std::span<vq::affine_param> params) {
  const auto rows = as_rows(weight.values.data(), weight.shape);
  const auto fit = [&](const auto& quantizer, std::span<vq::affine_param> found) {
    return scheme.range == weight_scheme::estimator::mse
               ? vq::fit(quantizer, rows, found, vq::mse{})
               : vq::fit(quantizer, rows, found);
  };
  if (scheme.scales == weight_scheme::sharing::per_channel) return fit(q, params);
  const auto s = fit(bytewise<typename Q::policy_type, vq::per_tensor>{}, params.first(1));
  for (vq::affine_param& p : params) p = params[0];
  return s;
}

// The floats that the codes stand for.
tensor dequantized(const quantized_weight& w, const shape_type& shape);

// What a layer's quantization needs to know of its input.
struct layer_input {
  vq::affine_param param;        // gives the unit of the bias
  std::span<const float> means;  // of each channel: to correct the bias; or empty
  index_type groups = 1;         // into which the layer cuts the channels
};

// Takes back what rounding the weights does to the mean of each output. `means` of a layer whose
// input is flat or an image: one per input channel.
vq::status correct_bias(std::vector<float>& bias, const tensor& weight, const tensor& quantized,
                        const layer_input& in);

// A channel whose weights are so small that its bias would not fit an int32 gets a larger scale.
vq::result<quantized_weight> quantize_weight(const tensor& weight, std::vector<float> bias,
                                             const layer_input& in, const weight_scheme& scheme);

}  // namespace engine

#endif
