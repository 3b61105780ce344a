// Runs a quantized network one image at a time: vq/nn does the arithmetic, this header brings codes
// from layer to layer.
//
//   auto network = int8_network<vq::simd::native_t>::build(quantized);
//   auto memory = network->workspace();
//   std::span<const float> logits = network->run(image, memory);
//
// int8_network multiplies, adds and pools integers from the first layer to the last, which gives
// floats; transformer_network computes norms, softmax, GELU and residual sums in floats in between.
// Memory is planned once; run() never allocates.
#ifndef ENGINE_INTEGER_NETWORK_HPP
#define ENGINE_INTEGER_NETWORK_HPP

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "engine/integer_kernel.hpp"
#include "engine/memory_plan.hpp"

namespace engine {

// Prepare: the kernel of a node.
template <auto Prepare>
class integer_network {
 public:
  struct workspace_type {
    aligned_vector<std::byte> tensors;
    std::vector<std::int32_t> scratch;
    aligned_vector<float> floats;
  };

  // Errors: bad_argument where a layer has no kernel for its formats (weights in codes that read
  // floats, a batch norm that was not folded); what vq/nn refuses.
  static vq::result<integer_network, vq::failure> build(const quantized_graph& q) {
    integer_network built(q);
    for (index_type i = 0; i < q.network.size(); ++i) {
      auto kernel = Prepare(q, i);
      const node& n = q.network[i];
      if (!kernel) return refused(n, kernel.error());
      built.scratch_ = std::max(built.scratch_, kernel->scratch);
      built.floats_ = std::max(built.floats_, kernel->floats);
      built.steps_.push_back(
          {*std::move(kernel), n.inputs, volume(n.shape), q.outputs[at(i)].has_value()});
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
    return {aligned_vector<std::byte>(at(plan_.size)), std::vector<std::int32_t>(at(scratch_)),
            aligned_vector<float>(at(floats_))};
  }

  // The output of the last node, valid until the workspace is used again.
  std::span<const float> run(std::span<const float> image, workspace_type& memory) const {
    return run(image, memory, [](index_type, std::span<const activation_code>) {});
  }
  // hook(node, codes) sees every output that is codes.
  template <class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory,
                             Hook&& hook) const {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      static_cast<void>(step_forward(i, image.data(), memory));  // build() has seen it succeed
      if (!steps_[i].gives_codes) continue;
      const std::byte* codes = memory.tensors.data() + plan_.offset[i];
      hook(static_cast<index_type>(i), as_codes(codes, steps_[i].size));
    }
    return {as_floats(memory.tensors.data() + plan_.offset.back()), at(steps_.back().size)};
  }

 private:
  struct step {
    integer_kernel kernel;
    std::vector<index_type> inputs;
    index_type size;
    bool gives_codes;
  };

  explicit integer_network(const quantized_graph& q) : plan_(plan_memory(sizes_of(q), 64)) {}

  static tensor_sizes sizes_of(const quantized_graph& q) {
    tensor_sizes sizes(q.network);
    for (std::size_t i = 0; i < q.outputs.size(); ++i) {
      if (!q.outputs[i]) sizes.of_node[i] *= static_cast<index_type>(sizeof(float));
    }
    return sizes;
  }

  static vq::failure refused(const node& n, vq::status why) {
    return {why, vq::sentence("layer ", vq::in_quotes(n.name),
                              " cannot run in integers: ", vq::describe(why))};
  }

  vq::status step_forward(std::size_t i, const float* image, workspace_type& memory) const {
    const step& s = steps_[i];
    integer_call call;
    call.in[0] = reinterpret_cast<const std::byte*>(image);
    for (std::size_t k = 0; k < s.inputs.size(); ++k) {
      call.in[k] = memory.tensors.data() + plan_.offset[at(s.inputs[k])];
    }
    call.out = memory.tensors.data() + plan_.offset[i];
    call.scratch = memory.scratch;
    call.floats = memory.floats.data();
    return s.kernel.run(call);
  }

  memory_plan plan_;
  std::vector<step> steps_;
  index_type scratch_ = 0, floats_ = 0;
};

template <vq::execution E>
using int8_network = integer_network<&prepare_int8<E>>;
template <vq::execution E>
using transformer_network = integer_network<&prepare_mixed<E>>;

}  // namespace engine

#endif
