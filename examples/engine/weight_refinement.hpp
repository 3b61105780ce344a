// Weights of a linear layer as codes, made up for what quantization does to its inputs: in closed
// form, layer by layer, without back-propagation.
//
//   1. ridge refinement against the quantized inputs (ERQ)
//   2. a symmetric grid for each output channel
//   3. rounding column by column, each passing its error on to those to come (GPTQ)
#ifndef ENGINE_WEIGHT_REFINEMENT_HPP
#define ENGINE_WEIGHT_REFINEMENT_HPP

#include <utility>

#include <vq/optimize.hpp>

#include "engine/operation.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

// `in`: the parameters of inputs in evenly spaced codes, in whose units the bias becomes codes too;
// null for others. Changes the layer's weight and bias to what the codes stand for.
inline vq::result<quantized_weight> refine_weight(linear& layer, const vq::input_moments* inputs,
                                                  const vq::affine_param* in, int bits,
                                                  const weight_recipe& recipe) {
  const auto rows = as_rows(layer.weight.values.data(), layer.weight.shape);
  if (recipe.ridge > 0) {
    const auto s = vq::refine_by_ridge(rows, layer.bias, *inputs, recipe.ridge);
    if (s != vq::status::ok) return s;
  }
  quantized_weight w;
  w.bits = bits;
  w.scales = layer.weight.extent(0);
  w.params.resize(at(w.scales));
  w.codes.resize(layer.weight.values.size());

  vq::status s = vq::status::ok;
  visit_weight_format(bits, [&](auto q) {
    s = fit_weight(q, layer.weight, {bits, weight_scheme::sharing::per_channel, recipe.range},
                   w.params);
    if (s == vq::status::ok && recipe.feedback > 0) {
      const auto nearest = [&](index_type output, index_type, float x) {
        const vq::affine_param& p = w.params[at(output)];
        return q.policy.decode(q.policy.encode(x, p), p);
      };
      s = vq::round_with_feedback(rows, layer.bias, *inputs, nearest,
                                  {.damping = recipe.feedback, .descending = true});
    }
    if (s == vq::status::ok) s = vq::quantize(q, rows, w.params, w.codes);
  });
  if (s != vq::status::ok) return s;
  layer.weight = dequantized(w, layer.weight.shape);
  w.bias = layer.bias;
  if (in != nullptr) {
    w.bias_codes.resize(w.bias.size());
    s = vq::quantize_bias(w.bias, *in, w.params, w.bias_codes);
  }
  if (s != vq::status::ok) return s;
  return w;
}

}  // namespace engine

#endif
