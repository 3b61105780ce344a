// The layers of a quantized network that multiply integers, as vq::check_integer_safety wants them.
//
//   for (const integer_weights& w : integer_layers(quantized)) {
//     vq::check_integer_safety(w.layer(), vq::integer_targets::avx2);
//   }
//
// Products are in the order of channels-last kernels: (kernel height, kernel width, input channel).
// Inputs may be any code of their format. Where the layer gives codes its bias is an integer; a layer
// that gives floats adds it there. Products of two activations (attention) have no weights and are
// not listed: 255 * 255 * the number of products bounds them.
#ifndef ENGINE_SAFETY_INTEGER_LAYERS_HPP
#define ENGINE_SAFETY_INTEGER_LAYERS_HPP

#include <cstdint>
#include <string>
#include <vector>

#include <vq/analyze/integer_safety.hpp>

#include "engine/precision.hpp"
#include "engine/quantized_graph.hpp"

namespace engine {

struct integer_weights {
  std::string name;
  index_type node = 0;
  index_type outputs = 0;
  std::vector<weight_code> codes;  // (output, product)
  std::vector<double> bias;        // in units of the accumulator, before rounding; or none
  vq::input_codes inputs;

  // Valid as long as this.
  vq::integer_layer layer() const {
    return {.name = name,
            .weights = codes,
            .outputs = outputs,
            .inputs = inputs,
            .bias = bias,
            .shifts = {}};
  }
};

// (out, in, height, width) -> (out, height, width, in)
inline std::vector<weight_code> channels_last(const std::vector<weight_code>& codes,
                                              const shape_type& shape) {
  if (shape.size() != 4) return codes;
  const index_type inputs = shape[1], area = shape[2] * shape[3];
  std::vector<weight_code> moved(codes.size());
  for (index_type i = 0; i < std::ssize(codes); ++i) {
    const index_type output = i / (inputs * area), in = i / area % inputs, tap = i % area;
    moved[at((output * area + tap) * inputs + in)] = codes[at(i)];
  }
  return moved;
}

inline std::vector<integer_weights> integer_layers(const quantized_graph& q) {
  std::vector<integer_weights> found;
  for (index_type i = 0; i < q.network.size(); ++i) {
    const auto& w = q.weights[at(i)];
    if (!w) continue;
    const node& n = q.network[i];
    const auto& in = q.outputs[at(n.inputs[0])];
    const vq::affine_param* param = in ? affine_of(*in) : nullptr;
    if (param == nullptr) continue;  // not evenly spaced: summed plane by plane
    const auto* conv = std::get_if<conv2d>(&n.op);
    const shape_type& shape =
        conv != nullptr ? conv->weight.shape : std::get<linear>(n.op).weight.shape;
    const vq::code_limits limits = activation_limits(bits_of(*in));
    integer_weights layer{n.weight, i,
                          shape[0], channels_last(w->codes, shape),
                          {},       {limits.lowest, limits.highest, param->zero_point}};
    if (!w->bias_codes.empty() && q.outputs[at(i)]) {
      for (std::size_t c = 0; c < w->bias.size(); ++c) {
        layer.bias.push_back(double{w->bias[c]} /
                             (double{param->scale} * double{w->params[c].scale}));
      }
    }
    found.push_back(std::move(layer));
  }
  return found;
}

}  // namespace engine

#endif
