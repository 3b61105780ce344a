// Networks that compute the same function with badly scaled weights, as real networks often have
// them. Each channel gets a factor s, log-uniform over [1, 100]: s = 100^u, u uniform in [0, 1).
// The generator is std::mt19937_64 with a fixed seed, its upper 53 bits are u.
#ifndef DEMO_SKEW_HPP
#define DEMO_SKEW_HPP

#include <cmath>
#include <cstdint>
#include <random>
#include <variant>

#include "engine/equalization.hpp"
#include "engine/graph.hpp"

namespace demo {

using engine::index_type;

inline constexpr std::uint64_t skew_seed = 1;

class log_uniform {
 public:
  explicit log_uniform(std::uint64_t seed) : random_(seed) {}
  double operator()() {
    const double u = static_cast<double>(random_() >> 11) * 0x1p-53;
    return std::pow(100.0, u);
  }

 private:
  std::mt19937_64 random_;
};

inline void scale_all(std::span<float> values, double s) {
  for (float& value : values) value = static_cast<float>(value * s);
}

// The weights of one output channel.
inline std::span<float> row_of(engine::tensor& weight, std::size_t channel) {
  const std::size_t row = weight.values.size() / engine::at(weight.extent(0));
  return std::span(weight.values).subspan(channel * row, row);
}

// bn: every convolution before a batch norm gets its output channels scaled, and the batch norm
// takes it back: mean * s, variance -> s^2 (variance + epsilon) - epsilon.
inline engine::graph skew_batch_norms(engine::graph g) {
  log_uniform factor(skew_seed);
  for (engine::node& n : g.nodes) {
    auto* norm = std::get_if<engine::batch_norm>(&n.op);
    if (norm == nullptr) continue;
    auto* conv = std::get_if<engine::conv2d>(&g[n.inputs[0]].op);
    if (conv == nullptr) continue;
    for (std::size_t c = 0; c < norm->mean.size(); ++c) {
      const double s = factor(), epsilon = norm->epsilon;
      scale_all(row_of(conv->weight, c), s);
      norm->mean[c] = static_cast<float>(norm->mean[c] * s);
      norm->variance[c] = static_cast<float>(s * s * (norm->variance[c] + epsilon) - epsilon);
    }
  }
  return g;
}

// cross-layer: in every pair of convolutions with a ReLU between (the two of a residual block), the
// first one's weights and bias times s, the second one's input channels divided by s. For folded
// graphs without groups.
inline engine::graph skew_pairs(engine::graph g) {
  log_uniform factor(skew_seed);
  for (const engine::layer_pair pair : engine::layer_pairs(g)) {
    auto& first = std::get<engine::conv2d>(g[pair.first].op);
    auto& second = std::get<engine::conv2d>(g[pair.second].op);
    const auto inputs = engine::at(second.weight.extent(1));
    const std::size_t window = engine::at(second.weight.extent(2) * second.weight.extent(3));
    for (std::size_t c = 0; c < inputs; ++c) {
      const double s = factor();
      scale_all(row_of(first.weight, c), s);
      first.bias[c] = static_cast<float>(first.bias[c] * s);
      for (std::size_t o = 0; o < engine::at(second.weight.extent(0)); ++o) {
        scale_all(row_of(second.weight, o).subspan(c * window, window), 1 / s);
      }
    }
  }
  return g;
}

}  // namespace demo

#endif
