// Cross-layer equalization of a whole graph: vq/fold does it for one pair of layers, this header
// finds the pairs and repeats until nothing changes.
#ifndef ENGINE_EQUALIZATION_HPP
#define ENGINE_EQUALIZATION_HPP

#include <algorithm>
#include <utility>
#include <vector>

#include <vq/fold/equalize.hpp>

#include "engine/graph.hpp"

namespace engine {

// Two convolutions, the second being all that reads the first.
struct layer_pair {
  index_type first, second;
};

// Of a graph whose batch norms are folded and whose activations are fused.
inline std::vector<layer_pair> layer_pairs(const graph& g) {
  const auto readers = g.consumers();
  std::vector<layer_pair> pairs;
  for (index_type i = 0; i < g.size(); ++i) {
    const auto& by = readers[at(i)];
    if (g[i].is<conv2d>() && by.size() == 1 && g[by[0]].is<conv2d>()) pairs.push_back({i, by[0]});
  }
  return pairs;
}

// ReLU6 keeps its meaning: from now on each channel has a limit of its own.
inline vq::across kind_of_activation(const conv2d& layer) {
  if (layer.clamp == unclamped) return vq::across::identity;
  if (layer.clamp.lowest != 0) return vq::across::other;
  return layer.clamp.highest == unclamped.highest ? vq::across::relu
                                                  : vq::across::relu6_per_channel;
}

struct equalized_graph {
  graph network;
  index_type pairs = 0;
};

// Computes the same function. Errors: what the library says of a layer, with the layer's name.
inline vq::result<equalized_graph, vq::failure> equalize_layers(graph g) {
  const std::vector<layer_pair> pairs = layer_pairs(g);
  std::vector<std::vector<float>> scales;
  for (const layer_pair& p : pairs) {
    auto& first = std::get<conv2d>(g[p.first].op);
    first.bias.resize(at(first.weight.extent(0)));
    scales.emplace_back(first.bias.size(), 1.f);
  }
  constexpr int sweeps = 20;
  float change = 1;
  for (int sweep = 0; sweep < sweeps && change > 1e-4f; ++sweep) {
    change = 0;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      auto& first = std::get<conv2d>(g[pairs[i].first].op);
      auto& second = std::get<conv2d>(g[pairs[i].second].op);
      const auto largest =
          vq::equalize(view<4>(first.weight), first.bias, view<4>(second.weight), scales[i],
                       kind_of_activation(first), {.groups = second.groups});
      if (!largest) {
        return vq::failure{largest.error(), vq::sentence("equalization: layer ",
                                                         vq::in_quotes(g[pairs[i].first].name),
                                                         ": ", vq::describe(largest.error()))};
      }
      change = std::max(change, *largest);
    }
  }
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    auto& first = std::get<conv2d>(g[pairs[i].first].op);
    if (first.clamp.highest == unclamped.highest) continue;
    first.highest.resize(first.bias.size());
    const auto s = vq::clip_limits(scales[i], first.highest, first.clamp.highest);
    if (s != vq::status::ok) return vq::failure{s, vq::describe(s)};
    first.clamp.highest = *std::max_element(first.highest.begin(), first.highest.end());
  }
  return equalized_graph{std::move(g), static_cast<index_type>(pairs.size())};
}

}  // namespace engine

#endif
