// Where the outputs of nodes lie in one block of memory: each as long as somebody reads it, places
// that are free again are used anew. Planned once, before anything runs.
#ifndef ENGINE_MEMORY_PLAN_HPP
#define ENGINE_MEMORY_PLAN_HPP

#include <algorithm>
#include <vector>

#include <Eigen/Core>

#include "engine/graph.hpp"

namespace engine {

// Memory that begins where a register does: which values a wide loop takes one by one at the ends of a
// tensor, and so their last bit, does not depend on where the memory lies.
template <class T>
using aligned_vector = std::vector<T, Eigen::aligned_allocator<T>>;

// How long every node's output is, in elements, and who reads it.
struct tensor_sizes {
  const graph& of;
  std::vector<index_type> of_node;

  explicit tensor_sizes(const graph& g) : of(g) {
    for (const node& n : g.nodes) of_node.push_back(volume(n.shape));
  }
};

struct memory_plan {
  std::vector<index_type> offset;  // of every node's output, in elements
  index_type size = 0;             // of the whole block
};

// First fit in the order of computation. Offsets are multiples of `alignment` elements.
inline memory_plan plan_memory(const tensor_sizes& sizes, index_type alignment) {
  const graph& g = sizes.of;
  struct place {
    index_type begin, end, last_use;
  };
  std::vector<index_type> last_use(g.nodes.size());
  for (index_type i = 0; i < g.size(); ++i) {
    last_use[at(i)] = i;
    for (const index_type from : g[i].inputs) last_use[at(from)] = i;
  }
  last_use.back() = g.size();

  memory_plan plan;
  std::vector<place> taken;  // by rising begin
  for (index_type i = 0; i < g.size(); ++i) {
    std::erase_if(taken, [i](const place& p) { return p.last_use < i; });
    const index_type length = (sizes.of_node[at(i)] + alignment - 1) / alignment * alignment;
    index_type begin = 0;
    auto before = taken.begin();
    for (; before != taken.end() && before->begin < begin + length; ++before) begin = before->end;
    taken.insert(before, {begin, begin + length, last_use[at(i)]});
    plan.offset.push_back(begin);
    plan.size = std::max(plan.size, begin + length);
  }
  return plan;
}
inline memory_plan plan_memory(const graph& g, index_type alignment) {
  return plan_memory(tensor_sizes(g), alignment);
}

}  // namespace engine

#endif
