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

#include "engine/output_format.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

// Changes weight and bias to what the codes stand for. `inputs`: where the recipe needs them. The
// bias stays in floats.
inline vq::result<quantized_weight> refine_weight(tensor& weight, std::vector<float>& bias,
                                                  const vq::input_moments* inputs, int bits,
                                                  const weight_recipe& recipe) {
  const auto rows = as_rows(weight.values.data(), weight.shape);
  if (inputs != nullptr && recipe.ridge > 0) {
    const auto s = vq::refine_by_ridge(rows, bias, *inputs, recipe.ridge);
    if (s != vq::status::ok) return s;
  }
  quantized_weight w;
  w.bits = bits;
  w.scales = weight.extent(0);
  w.params.resize(at(w.scales));
  w.codes.resize(weight.values.size());

  vq::status s = vq::status::ok;
  visit_weight_format(bits, [&](auto q) {
    s = fit_weight(q, weight, {bits, weight_scheme::sharing::per_channel, recipe.range}, w.params);
    for (vq::affine_param& p : w.params) p.scale = short_scale(p.scale);
    if (s == vq::status::ok && inputs != nullptr && recipe.feedback > 0) {
      const auto nearest = [&](index_type output, index_type, float x) {
        const vq::affine_param& p = w.params[at(output)];
        return q.policy.decode(q.policy.encode(x, p), p);
      };
      s = vq::round_with_feedback(rows, bias, *inputs, nearest,
                                  {.damping = recipe.feedback, .descending = true});
    }
    if (s == vq::status::ok) s = vq::quantize(q, rows, w.params, w.codes);
  });
  if (s != vq::status::ok) return s;
  weight = dequantized(w, weight.shape);
  w.bias = bias;
  return w;
}

}  // namespace engine

#endif
