// A graph with everything that quantization adds to it: codes of the weights, formats of the
// activations. The integer network and its simulation in floats are both made from this.
#ifndef ENGINE_QUANTIZED_GRAPH_HPP
#define ENGINE_QUANTIZED_GRAPH_HPP

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/graph.hpp"
#include "engine/output_format.hpp"
#include "engine/weight_quantization.hpp"

namespace engine {

struct quantization_scheme {
  enum class head_format { quantized, floats };
  enum class norm_format { floats, quantized };

  weight_scheme weights = {};
  int activation_bits = 8;
  head_format head = head_format::quantized;  // of the last layer
  norm_format norms = norm_format::floats;    // of batch norms that were not folded
};

struct quantized_graph {
  graph network;
  quantization_scheme scheme;
  // For every node; none where the output stays in floats, or where there is no weight.
  std::vector<std::optional<output_format>> outputs;
  std::vector<std::optional<quantized_weight>> weights;

  // Codes, scales and zero points, biases, and what stays in floats.
  index_type bytes() const;
};

// Which outputs become codes. An output that only a batch norm or an activation reads stays in
// floats, because one kernel computes both; but a quantized batch norm is a layer of its own.
inline std::vector<bool> quantized_outputs(const graph& g, const quantization_scheme& scheme) {
  const auto readers = g.consumers();
  std::vector<bool> quantized;
  for (index_type i = 0; i < g.size(); ++i) {
    const auto& by = readers[at(i)];
    bool inner = false;
    if (by.size() == 1 && scheme.norms == quantization_scheme::norm_format::floats) {
      inner = g[by[0]].is<batch_norm>() || g[by[0]].is<activation>();
    } else if (by.size() == 1) {
      inner = g[by[0]].is<activation>() && !g[i].is<batch_norm>();
    }
    const bool before_head = !by.empty() && by[0] + 1 == g.size();
    const bool float_head = scheme.head == quantization_scheme::head_format::floats;
    quantized.push_back(!by.empty() && !inner && !(before_head && float_head));
  }
  return quantized;
}

// Parameters and channel means of every node's output. Parameters of outputs that stay in floats
// are not looked at; without means no bias is corrected.
struct activation_statistics {
  std::vector<vq::affine_param> params;
  std::vector<std::vector<float>> means = {};
};

// Errors: what the library says of a layer's weights, with the layer's name.
inline vq::result<quantized_graph, vq::failure> quantize_graph(
    const graph& g, const activation_statistics& activations, const quantization_scheme& scheme) {
  quantized_graph q{g, scheme, {}, {}};
  const std::vector<bool> quantized = quantized_outputs(g, scheme);
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    q.outputs.emplace_back();
    if (!quantized[i]) continue;
    q.outputs.back() = affine_format(scheme.activation_bits, activations.params[i]);
  }
  for (const node& n : g.nodes) {
    q.weights.emplace_back();
    const auto* conv = std::get_if<conv2d>(&n.op);
    const auto* fc = std::get_if<linear>(&n.op);
    if (conv == nullptr && fc == nullptr) continue;
    const std::size_t from = at(n.inputs[0]);
    if (!q.outputs[from]) continue;  // a layer that reads floats stays in floats

    layer_input in{*affine_of(*q.outputs[from]), {}, conv != nullptr ? conv->groups : 1};
    if (!activations.means.empty()) in.means = activations.means[from];
    auto w = conv != nullptr ? quantize_weight(conv->weight, conv->bias, in, scheme.weights)
                             : quantize_weight(fc->weight, fc->bias, in, scheme.weights);
    if (!w) {
      return vq::failure{w.error(), vq::sentence("layer ", vq::in_quotes(n.name), ": tensor ",
                                                 vq::in_quotes(n.weight + ".weight"), ": ",
                                                 vq::describe(w.error()))};
    }
    q.weights.back() = *std::move(w);
  }
  return q;
}

inline index_type quantized_graph::bytes() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i]) count += sizeof(float) + sizeof(std::uint8_t);  // scale and zero point
    const node& n = network.nodes[i];
    if (weights[i]) {
      count += weights[i]->bytes();
    } else if (const auto* norm = std::get_if<batch_norm>(&n.op);
               norm != nullptr && scheme.norms == quantization_scheme::norm_format::quantized) {
      count += 2 * (norm->mean.size() + sizeof(float));  // factors and shifts, a scale for each
    } else {
      count += sizeof(float) * at(stored_floats(n.op));
    }
  }
  return static_cast<index_type>(count);
}

}  // namespace engine

#endif
