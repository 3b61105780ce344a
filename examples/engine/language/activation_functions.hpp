// The nonlinear functions of CLIP, of LLaVA's connector and of Llama, in place.
//
//   quick_gelu(x) = x / (1 + exp(-1.702 x))
//   exact_gelu(x) = x / 2 (1 + erf(x / sqrt(2)))
//   silu(x)       = x / (1 + exp(-x))
#ifndef ENGINE_LANGUAGE_ACTIVATION_FUNCTIONS_HPP
#define ENGINE_LANGUAGE_ACTIVATION_FUNCTIONS_HPP

#include <numbers>

#include <unsupported/Eigen/SpecialFunctions>

#include "engine/float_conv2d.hpp"

namespace engine {

inline void quick_gelu(matrix& x) { x.array() /= 1 + (x.array() * -1.702f).exp(); }

inline void exact_gelu(matrix& x) {
  const float root = 1 / std::numbers::sqrt2_v<float>;
  x.array() *= 0.5f * (1 + (x.array() * root).erf());
}

inline void silu(matrix& x) { x.array() /= 1 + (-x.array()).exp(); }

}  // namespace engine

#endif
