// Runs a graph in floats, one image at a time.
//
//   float_executor network(graph);
//   auto memory = network.workspace();
//   std::span<const float> logits = network.run(image, memory);
//   network.run(image, memory, [&](index_type node, std::span<float> output) { ... });
//
// The hook sees the output of every node, the input's too, before anybody reads it, and may change
// it: that is how ranges are collected and how quantization is simulated. The executor itself never
// changes, so threads share it, each with a workspace of its own.
#ifndef ENGINE_FLOAT_EXECUTOR_HPP
#define ENGINE_FLOAT_EXECUTOR_HPP

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "engine/float_kernel.hpp"
#include "engine/graph.hpp"
#include "engine/memory_plan.hpp"

namespace engine {

// Sum: what products are summed in.
template <class Sum>
class graph_executor {
 public:
  using workspace_type = aligned_vector<float>;

  explicit graph_executor(const graph& g) : plan_(plan_memory(g, 16)) {
    for (const node& n : g.nodes) {
      std::vector<shape_type> shapes;
      for (const index_type from : n.inputs) shapes.push_back(g[from].shape);
      steps_.push_back({kernel_of<Sum>(n.op, shapes, n.shape), n.inputs, volume(n.shape)});
      scratch_ = std::max(scratch_, steps_.back().kernel.scratch);
    }
  }

  workspace_type workspace() const { return workspace_type(at(plan_.size + scratch_)); }

  // The output of the last node, valid until the workspace is used again.
  std::span<const float> run(std::span<const float> image, workspace_type& memory) const {
    return run(image, memory, [](index_type, std::span<float>) {});
  }
  template <class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory,
                             Hook&& hook) const {
    std::copy(image.begin(), image.end(), output(0, memory).begin());
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const step& s = steps_[i];
      std::array<const float*, 2> in{};
      for (std::size_t k = 0; k < s.inputs.size(); ++k) {
        in[k] = memory.data() + plan_.offset[at(s.inputs[k])];
      }
      const std::span<float> out = output(i, memory);
      s.kernel.run({in.data(), s.inputs.size()}, out.data(), memory.data() + plan_.size);
      hook(static_cast<index_type>(i), out);
    }
    return output(steps_.size() - 1, memory);
  }

 private:
  struct step {
    float_kernel kernel;
    std::vector<index_type> inputs;
    index_type size;
  };

  std::span<float> output(std::size_t i, workspace_type& memory) const {
    return {memory.data() + plan_.offset[i], at(steps_[i].size)};
  }

  memory_plan plan_;
  std::vector<step> steps_;
  index_type scratch_ = 0;
};

using float_executor = graph_executor<float>;

}  // namespace engine

#endif
