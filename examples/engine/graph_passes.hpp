// Simplifications that leave what a network computes as it is: batch norms go into the layer before
// them, activations become limits of the layer they follow.
#ifndef ENGINE_GRAPH_PASSES_HPP
#define ENGINE_GRAPH_PASSES_HPP

#include <string>
#include <utility>
#include <vector>

#include <vq/fold/audit.hpp>
#include <vq/fold/batch_norm.hpp>

#include "engine/graph.hpp"

namespace engine {

inline vq::layer_kind kind_of(const operation& op) {
  using vq::layer_kind;
  if (std::holds_alternative<input>(op)) return layer_kind::input;
  if (std::holds_alternative<conv2d>(op)) return layer_kind::convolution;
  if (std::holds_alternative<linear>(op)) return layer_kind::linear;
  if (std::holds_alternative<batch_norm>(op)) return layer_kind::batch_norm;
  if (std::holds_alternative<add>(op)) return layer_kind::add;
  if (std::holds_alternative<global_average_pool>(op)) return layer_kind::average_pool;
  if (const auto* a = std::get_if<activation>(&op)) {
    if (a->clamp.lowest == 0 && a->clamp.highest == unclamped.highest) return layer_kind::relu;
    if (a->clamp.lowest == 0 && a->clamp.highest == 6) return layer_kind::relu6;
    return layer_kind::other_activation;
  }
  return layer_kind::other;
}

// The graph as the library's auditor sees it; valid as long as `g` and `readers` are.
inline std::vector<vq::layer_node> as_layer_nodes(
    const graph& g, const std::vector<std::vector<index_type>>& readers) {
  std::vector<vq::layer_node> nodes;
  for (index_type i = 0; i < g.size(); ++i) {
    const auto* conv = std::get_if<conv2d>(&g[i].op);
    nodes.push_back({.name = g[i].name.c_str(),
                     .kind = kind_of(g[i].op),
                     .inputs = g[i].inputs,
                     .consumers = readers[at(i)],
                     .zero_padding = conv != nullptr ? conv->padding : 0,
                     .is_output = i + 1 == g.size()});
  }
  return nodes;
}

struct folded_graph {
  graph network;
  index_type folded = 0;          // how many batch norms are gone
  std::vector<std::string> kept;  // one sentence about each of the others
};

// Folds every batch norm that the auditor lets go into the layer before it.
// Errors: what the library says of a layer's weights or statistics, with the layer's name.
inline vq::result<folded_graph, vq::failure> fold_batch_norms(graph g) {
  const auto readers = g.consumers();
  const auto nodes = as_layer_nodes(g, readers);
  std::vector<vq::fold_verdict> verdicts(at(vq::count_normalizations(nodes)));
  const auto audited = vq::audit_batch_norms(nodes, verdicts);
  if (!audited) return vq::failure{audited.error(), vq::describe(audited.error())};

  folded_graph result;
  std::vector<bool> gone(g.nodes.size());
  for (const vq::fold_verdict& v : verdicts) {
    const std::string& name = g[v.node].name;
    if (v.direction != vq::fold_direction::backward) {
      result.kept.push_back(vq::sentence(vq::in_quotes(name), ": ", vq::describe(v.backward)));
      continue;
    }
    const auto& norm = std::get<batch_norm>(g[v.node].op);
    const vq::batch_norm statistics{.gamma = norm.gamma,
                                    .beta = norm.beta,
                                    .mean = norm.mean,
                                    .variance = norm.variance,
                                    .epsilon = norm.epsilon};
    operation& target = g[v.target].op;
    vq::status s = vq::status::not_foldable;
    if (auto* conv = std::get_if<conv2d>(&target)) {
      conv->bias.resize(at(conv->weight.extent(0)));
      s = vq::fold_batch_norm(view<4>(conv->weight), conv->bias, statistics);
    } else if (auto* fc = std::get_if<linear>(&target)) {
      fc->bias.resize(at(fc->weight.extent(0)));
      s = vq::fold_batch_norm(view<2>(fc->weight), fc->bias, statistics);
    }
    if (s != vq::status::ok) {
      return vq::failure{s,
                         vq::sentence("batch norm ", vq::in_quotes(name), ": ", vq::describe(s))};
    }
    gone[at(v.node)] = true;
    ++result.folded;
  }
  result.network = without(g, [&](index_type i) { return gone[at(i)]; });
  return result;
}

// Activations become limits of the convolution, linear layer or addition that they alone read.
inline graph fuse_activations(graph g) {
  const auto readers = g.consumers();
  std::vector<bool> gone(g.nodes.size());
  for (index_type i = 0; i < g.size(); ++i) {
    const auto* a = std::get_if<activation>(&g[i].op);
    if (a == nullptr || readers[at(g[i].inputs[0])].size() != 1) continue;
    vq::range* clamp = fused_clamp(g[g[i].inputs[0]].op);
    if (clamp == nullptr || !(*clamp == unclamped)) continue;
    *clamp = a->clamp;
    gone[at(i)] = true;
  }
  return without(g, [&](index_type i) { return gone[at(i)]; });
}

}  // namespace engine

#endif
