// Parts of a network that run on their own: from a place where one tensor alone connects what is
// before with what comes after, to any later node. Calibration so goes through a network without
// computing everything again for each question.
#ifndef ENGINE_GRAPH_PART_HPP
#define ENGINE_GRAPH_PART_HPP

#include <algorithm>
#include <vector>

#include "engine/graph.hpp"
#include "engine/quantized_graph.hpp"

namespace engine {

// Nothing after node i reads anything before it.
inline bool is_cut(const graph& g, index_type i) {
  for (index_type later = i + 1; later < g.size(); ++later) {
    const auto& from = g[later].inputs;
    if (std::any_of(from.begin(), from.end(), [i](index_type n) { return n < i; })) return false;
  }
  return true;
}

// What node `to` needs, down to the cut `from`: numbers of nodes, rising.
inline std::vector<index_type> ancestors(const graph& g, index_type from, index_type to) {
  std::vector<bool> needed(g.nodes.size());
  needed[at(from)] = needed[at(to)] = true;
  std::vector<index_type> found;
  for (index_type i = to; i >= from; --i) {
    if (!needed[at(i)]) continue;
    found.push_back(i);
    if (i == from) break;
    for (const index_type n : g[i].inputs) needed[at(n)] = true;
  }
  std::reverse(found.begin(), found.end());
  return found;
}

// The graph of these nodes, the first of which becomes the input.
inline graph part_of(const graph& g, const std::vector<index_type>& nodes) {
  graph part;
  for (const index_type i : nodes) {
    part.nodes.push_back(g[i]);
    for (index_type& from : part.nodes.back().inputs) {
      from = std::lower_bound(nodes.begin(), nodes.end(), from) - nodes.begin();
    }
  }
  part[0].op = input{};
  part[0].inputs.clear();
  return part;
}

inline quantized_graph part_of(const quantized_graph& q, const std::vector<index_type>& nodes) {
  quantized_graph part{part_of(q.network, nodes), q.scheme, {}, {}};
  for (const index_type i : nodes) {
    part.outputs.push_back(q.outputs[at(i)]);
    part.weights.push_back(q.weights[at(i)]);
  }
  part.weights[0].reset();
  return part;
}

}  // namespace engine

#endif
