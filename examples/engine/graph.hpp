// A network as a list of named nodes in the order of computation. A value: passes such as batch
// norm folding take a graph and return another one.
#ifndef ENGINE_GRAPH_HPP
#define ENGINE_GRAPH_HPP

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>

#include "engine/operation.hpp"
#include "engine/shape.hpp"

namespace engine {

struct node {
  std::string name;    // of the module whose output this is, as the framework calls it
  std::string weight;  // what the names of its tensors begin with; empty without any
  operation op;
  std::vector<index_type> inputs;  // numbers of earlier nodes
  shape_type shape;                // of the output

  template <class Operation>
  bool is() const {
    return std::holds_alternative<Operation>(op);
  }
};

// nodes[0] is the input, the last node the output.
struct graph {
  std::vector<node> nodes;

  index_type size() const { return static_cast<index_type>(nodes.size()); }
  const node& operator[](index_type i) const { return nodes[at(i)]; }
  node& operator[](index_type i) { return nodes[at(i)]; }
  const node& output() const { return nodes.back(); }

  // The number of the node with this name, or -1.
  index_type find(std::string_view name) const {
    for (index_type i = 0; i < size(); ++i) {
      if ((*this)[i].name == name) return i;
    }
    return -1;
  }

  // For every node, the nodes that read it.
  std::vector<std::vector<index_type>> consumers() const {
    std::vector<std::vector<index_type>> readers(nodes.size());
    for (index_type i = 0; i < size(); ++i) {
      for (const index_type from : (*this)[i].inputs) readers[at(from)].push_back(i);
    }
    return readers;
  }

  index_type parameters() const {
    index_type count = 0;
    for (const node& n : nodes) count += engine::parameters(n.op);
    return count;
  }
  index_type bytes() const {
    index_type floats = 0;
    for (const node& n : nodes) floats += stored_floats(n.op);
    return floats * static_cast<index_type>(sizeof(float));
  }
};

// Appends a node and computes its shape; its number, or a sentence that names it and the rule.
inline vq::result<index_type, vq::failure> append(graph& g, node added) {
  std::vector<shape_type> shapes;
  for (const index_type from : added.inputs) shapes.push_back(g[from].shape);
  auto shape = output_shape(added.op, shapes);
  if (!shape) {
    return vq::failure{shape.error().code, vq::sentence("layer ", vq::in_quotes(added.name), ": ",
                                                        vq::describe(shape.error()))};
  }
  added.shape = *std::move(shape);
  g.nodes.push_back(std::move(added));
  return g.size() - 1;
}

// The graph without the nodes for which `removed` holds: whoever read such a node reads its first
// input instead. The node before takes over its name, because it now computes what was called so.
template <class Removed>
graph without(const graph& g, Removed removed) {
  graph rest;
  std::vector<index_type> renumbered(g.nodes.size());
  for (index_type i = 0; i < g.size(); ++i) {
    if (removed(i)) {
      renumbered[at(i)] = renumbered[at(g[i].inputs[0])];
      rest[renumbered[at(i)]].name = g[i].name;
      continue;
    }
    node kept = g[i];
    for (index_type& from : kept.inputs) from = renumbered[at(from)];
    renumbered[at(i)] = rest.size();
    rest.nodes.push_back(std::move(kept));
  }
  return rest;
}

}  // namespace engine

#endif
