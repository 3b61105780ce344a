// Runs a quantized graph in integers from the first layer to the last, one image at a time: vq/nn
// does the arithmetic, this header brings codes from layer to layer.
//
//   auto network = int8_network<vq::simd::native_t>::build(quantized);
//   auto memory = network->workspace();
//   std::span<const float> logits = network->run(image, memory);
//
// Convolutions take their activation along, a residual addition reads two tensors of codes with
// scales of their own, the last layer gives floats. Memory is planned once; run() never allocates.
#ifndef ENGINE_INT8_NETWORK_HPP
#define ENGINE_INT8_NETWORK_HPP

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <vector>

#include "engine/int8_kernel.hpp"
#include "engine/memory_plan.hpp"
#include "engine/quantized_graph.hpp"

namespace engine {

template <vq::execution Execution>
class int8_network {
 public:
  struct workspace_type {
    std::vector<activation_code> codes;
    std::vector<std::int32_t> scratch;
    std::vector<float> result;
  };

  // Errors: bad_argument where the graph holds a layer that has no integer kernel (a batch norm
  // that was not folded, a layer kept in floats); what vq/nn refuses.
  static vq::result<int8_network, vq::failure> build(const quantized_graph& q) {
    int8_network built(q);
    for (index_type i = 0; i < q.network.size(); ++i) {
      auto kernel = prepare_int8<Execution>(q, i);
      const node& n = q.network[i];
      if (!kernel) return refused(n, kernel.error());
      built.scratch_ = std::max(built.scratch_, kernel->scratch);
      built.steps_.push_back({*std::move(kernel), n.inputs, volume(n.shape)});
    }
    // Whatever a layer refuses, it refuses for every image: try one.
    auto memory = built.workspace();
    const std::vector<float> zeros(at(built.steps_[0].size));
    for (index_type i = 0; i < q.network.size(); ++i) {
      const vq::status s = built.step_forward(at(i), zeros.data(), memory);
      if (s != vq::status::ok) return refused(q.network[i], s);
    }
    return built;
  }

  workspace_type workspace() const {
    return {std::vector<activation_code>(at(plan_.size)), std::vector<std::int32_t>(at(scratch_)),
            std::vector<float>(at(steps_.back().size))};
  }

  // The output of the last node, valid until the workspace is used again.
  std::span<const float> run(std::span<const float> image, workspace_type& memory) const {
    return run(image, memory, [](index_type, std::span<const activation_code>) {});
  }
  // hook(node, codes) sees the output of every node but the last.
  template <class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory,
                             Hook&& hook) const {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      static_cast<void>(step_forward(i, image.data(), memory));  // build() has seen it succeed
      if (i + 1 < steps_.size()) {
        hook(static_cast<index_type>(i), std::span<const activation_code>(output(i, memory)));
      }
    }
    return memory.result;
  }

 private:
  struct step {
    int8_kernel kernel;
    std::vector<index_type> inputs;
    index_type size;
  };

  explicit int8_network(const quantized_graph& q) : plan_(plan_memory(q.network, 64)) {}

  static vq::failure refused(const node& n, vq::status why) {
    return {why, vq::sentence("layer ", vq::in_quotes(n.name),
                              " cannot run in integers: ", vq::describe(why))};
  }

  vq::status step_forward(std::size_t i, const float* image, workspace_type& memory) const {
    const step& s = steps_[i];
    int8_call call;
    call.image = image;
    for (std::size_t k = 0; k < s.inputs.size(); ++k) {
      call.in[k] = memory.codes.data() + plan_.offset[at(s.inputs[k])];
    }
    call.codes = output(i, memory).data();
    call.floats = memory.result.data();
    call.scratch = memory.scratch;
    return s.kernel.run(call);
  }

  std::span<activation_code> output(std::size_t i, workspace_type& memory) const {
    return {memory.codes.data() + plan_.offset[i], at(steps_[i].size)};
  }

  memory_plan plan_;
  std::vector<step> steps_;
  index_type scratch_ = 0;
};

}  // namespace engine

#endif
