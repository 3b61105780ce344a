// Every operation backwards: from the gradient of a loss with respect to its output to those with
// respect to its inputs. Weights are constants.
#ifndef ENGINE_GRADIENT_KERNEL_HPP
#define ENGINE_GRADIENT_KERNEL_HPP

#include <algorithm>
#include <functional>
#include <span>
#include <variant>

#include "engine/operation.hpp"

namespace engine {

// What a node has read and made, and the gradients: the kernel adds to those of its inputs, which
// several nodes may read.
struct reverse_values {
  std::span<const float* const> in;
  const float* out;
  const float* gradient;
  std::span<float* const> in_gradients;
};

using gradient_kernel = std::function<void(const reverse_values&)>;

// The limits that a fused activation gives to channel c of an output; unclamped without one.
inline vq::range limits_of(const operation& op, index_type c) {
  if (const auto* conv = std::get_if<conv2d>(&op)) {
    vq::range r = conv->clamp;
    if (!conv->highest.empty()) r.highest = std::min(r.highest, conv->highest[at(c)]);
    return r;
  }
  if (const auto* fc = std::get_if<linear>(&op)) return fc->clamp;
  if (const auto* sum = std::get_if<add>(&op)) return sum->clamp;
  if (const auto* act = std::get_if<activation>(&op)) return act->clamp;
  return unclamped;
}

gradient_kernel gradient_kernel_of(const operation& any, std::span<const shape_type> in,
                                   const shape_type& out);

}  // namespace engine

#endif
