// What a node of a graph can compute. Plain descriptions: the executors know how.
//
// To teach the engine a new layer, describe it here, add it to `operation`, and give it an
// output_shape (shape.hpp) and a float kernel (float_kernel.hpp).
#ifndef ENGINE_OPERATION_HPP
#define ENGINE_OPERATION_HPP

#include <limits>
#include <string>
#include <variant>
#include <vector>

#include <vq/core/range.hpp>

#include "engine/tensor.hpp"
#include "engine/transformer_operation.hpp"

namespace engine {

// No clamping: the activation of a layer without one.
inline constexpr vq::range unclamped{-std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::infinity()};

// What the caller supplies.
struct input {};

struct conv2d {
  tensor weight;            // (out, in / groups, height, width)
  std::vector<float> bias;  // one per output channel, or empty
  index_type stride = 1;
  index_type padding = 0;  // with zeros, on all four sides
  index_type groups = 1;
  vq::range clamp = unclamped;  // an activation that was fused into this layer
  std::vector<float> highest;   // upper limits of single channels, or empty (equalized ReLU6)

  bool depthwise() const { return groups > 1 && weight.extent(1) == 1; }
};

struct linear {
  tensor weight;            // (out, in)
  std::vector<float> bias;  // one per output, or empty
  vq::range clamp = unclamped;
};

// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, per channel.
struct batch_norm {
  std::vector<float> gamma, beta, mean, variance;
  float epsilon = 1e-5f;
};

// ReLU: [0, infinity), ReLU6: [0, 6].
struct activation {
  vq::range clamp;
};

// Of two values of the same shape.
struct add {
  vq::range clamp = unclamped;
};

// The mean over height and width.
struct global_average_pool {};

using operation =
    std::variant<input, conv2d, linear, batch_norm, activation, add, global_average_pool, to_tokens,
                 layer_norm, gelu, attention_scores, softmax, attention_context, take_token>;

// Null where the operation has no weight.
template <class Operation>
auto weight_of(Operation& op) -> decltype(&std::get<linear>(op).weight) {
  if (auto* conv = std::get_if<conv2d>(&op)) return &conv->weight;
  if (auto* fc = std::get_if<linear>(&op)) return &fc->weight;
  return nullptr;
}

// How many values training has learned: weights, biases, gamma and beta.
inline index_type parameters(const operation& op) {
  std::size_t count = 0;
  if (const auto* conv = std::get_if<conv2d>(&op)) {
    count = conv->weight.values.size() + conv->bias.size();
  } else if (const auto* fc = std::get_if<linear>(&op)) {
    count = fc->weight.values.size() + fc->bias.size();
  } else if (const auto* norm = std::get_if<batch_norm>(&op)) {
    count = norm->gamma.size() + norm->beta.size();
  } else if (const auto* ln = std::get_if<layer_norm>(&op)) {
    count = ln->gamma.size() + ln->beta.size();
  } else if (const auto* tokens = std::get_if<to_tokens>(&op)) {
    count = tokens->class_token.size() + tokens->positions.values.size();
  }
  return static_cast<index_type>(count);
}

// How many floats it keeps: the parameters, and the running statistics of a batch norm.
inline index_type stored_floats(const operation& op) {
  const auto* norm = std::get_if<batch_norm>(&op);
  const std::size_t statistics = norm == nullptr ? 0 : norm->mean.size() + norm->variance.size();
  return parameters(op) + static_cast<index_type>(statistics);
}

// The range of an activation that was fused into the operation; null where none can be.
inline vq::range* fused_clamp(operation& op) {
  if (auto* conv = std::get_if<conv2d>(&op)) return &conv->clamp;
  if (auto* fc = std::get_if<linear>(&op)) return &fc->clamp;
  if (auto* sum = std::get_if<add>(&op)) return &sum->clamp;
  return nullptr;
}

}  // namespace engine

#endif
