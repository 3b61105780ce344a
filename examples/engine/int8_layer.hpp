// A convolution or linear layer ready to run in integers: packed weights, and what becomes of the
// int32 sums.
#ifndef ENGINE_INT8_LAYER_HPP
#define ENGINE_INT8_LAYER_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <vq/nn/weights.hpp>
#include <vq/quantizer/requantize.hpp>

#include "engine/format.hpp"
#include "engine/operation.hpp"
#include "engine/weight_quantization.hpp"

namespace engine {

// What a tensor of codes looks like: its parameters and the codes it may hold.
struct code_format {
  vq::affine_param param;
  vq::code_limits codes;

  std::int32_t code_of(float value) const { return vq::code_of(value, param, codes); }

  // The codes that an activation leaves.
  vq::code_limits within(vq::range clamp) const {
    vq::code_limits left = codes;
    if (clamp.lowest > unclamped.lowest) left.lowest = code_of(clamp.lowest);
    if (clamp.highest < unclamped.highest) left.highest = code_of(clamp.highest);
    return left;
  }
};

// Weights in the order of the kernels. The view points into the vectors, so it is never copied.
struct weight_pack {
  std::vector<weight_code> codes;
  std::vector<std::int32_t> sums;
  vq::packed_weights view;

  weight_pack() = default;
  weight_pack(const weight_pack&) = delete;
  weight_pack& operator=(const weight_pack&) = delete;
};

struct int8_layer {
  std::shared_ptr<const weight_pack> weights;
  std::int32_t in_zero_point = 0;
  // Of a layer that gives codes:
  std::vector<std::int32_t> bias;
  std::vector<vq::float_multiplier> multipliers;
  std::int32_t out_zero_point = 0;
  vq::code_limits codes;
  std::vector<std::int32_t> highest;  // limits of single channels, or empty
  // Of a layer that gives floats:
  std::vector<float> scales, float_bias;

  vq::to_codes<activation_code> to_codes() const {
    return {multipliers, out_zero_point, codes, highest};
  }
  vq::to_float to_floats() const { return {scales, float_bias}; }
};

// `shape`: of the weight, (out, in / groups, kernel height, kernel width). Without `out` the layer
// gives floats. `highest`: limits of single channels, or none. Errors: what the library refuses.
inline vq::result<int8_layer> prepare_layer(const quantized_weight& w,
                                            const vq::shape_type<4>& shape, index_type groups,
                                            vq::affine_param in,
                                            const std::optional<code_format>& out,
                                            vq::range clamp = unclamped,
                                            const std::vector<float>& highest = {}) {
  const auto pack = std::make_shared<weight_pack>();
  const vq::packed_sizes need = vq::packed_size(shape, groups);
  pack->codes.resize(at(need.codes));
  pack->sums.resize(at(need.sums));
  const auto packed =
      vq::pack_weights<weight_code>({w.codes.data(), shape}, groups, pack->codes, pack->sums);
  if (!packed) return packed.error();
  pack->view = *packed;

  int8_layer layer;
  layer.weights = pack;
  layer.in_zero_point = in.zero_point;
  if (!out) {
    for (const vq::affine_param& p : w.params) layer.scales.push_back(in.scale * p.scale);
    layer.float_bias = w.bias;
    return layer;
  }
  layer.bias = w.bias_codes;
  layer.multipliers.resize(w.params.size());
  const auto s =
      vq::find_multipliers<vq::float_multiplier>(in, w.params, out->param, layer.multipliers);
  if (s != vq::status::ok) return s;
  layer.out_zero_point = out->param.zero_point;
  layer.codes = out->within(clamp);
  for (const float limit : highest) layer.highest.push_back(out->code_of(limit));
  return layer;
}

}  // namespace engine

#endif
