// Quantization simulated in floats: weights are replaced by what their codes stand for, and a hook
// quantizes and dequantizes every output that would be codes. Runs any mixture of quantized and
// float layers, also such as the integer network has no kernel for.
#ifndef ENGINE_FAKE_QUANTIZATION_HPP
#define ENGINE_FAKE_QUANTIZATION_HPP

#include <optional>
#include <span>
#include <vector>

#include "engine/float_executor.hpp"
#include "engine/quantized_graph.hpp"

namespace engine {

// The graph with the weights, biases and batch norms that the codes stand for.
graph with_dequantized_weights(const quantized_graph& q);

// Sum: what products are summed in.
template <class Sum>
class simulated_network {
 public:
  using workspace_type = typename graph_executor<Sum>::workspace_type;

  explicit simulated_network(const quantized_graph& q)
      : network_(with_dequantized_weights(q)), outputs_(q.outputs) {}

  workspace_type workspace() const { return network_.workspace(); }

  std::span<const float> run(std::span<const float> image, workspace_type& memory) const {
    return run(image, memory, [](index_type, std::span<float>) {});
  }
  // The hook sees outputs after they were quantized and dequantized, and may change them.
  template <class Hook>
  std::span<const float> run(std::span<const float> image, workspace_type& memory,
                             Hook&& hook) const {
    return network_.run(image, memory, [&](index_type node, std::span<float> output) {
      if (const auto& format = outputs_[at(node)]) {
        static_cast<void>(simulate(*format, output));
      }
      hook(node, output);
    });
  }

 private:
  graph_executor<Sum> network_;
  std::vector<std::optional<output_format>> outputs_;
};

using fake_quantized_network = simulated_network<float>;

}  // namespace engine

#endif
