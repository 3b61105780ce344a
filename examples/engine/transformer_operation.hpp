// What a vision transformer adds to the operations of a CNN (operation.hpp). Sequences are (tokens,
// features); attention probabilities (heads, tokens, tokens).
#ifndef ENGINE_TRANSFORMER_OPERATION_HPP
#define ENGINE_TRANSFORMER_OPERATION_HPP

#include <vector>

#include "engine/tensor.hpp"

namespace engine {

// An image's pixels as tokens behind a class token, plus a position each: (h, w, c) to (1 + h w, c).
struct to_tokens {
  std::vector<float> class_token;  // (features)
  tensor positions;                // (tokens, features)
};

// y = gamma * (x - mean of the token) / sqrt(variance of the token + epsilon) + beta.
struct layer_norm {
  std::vector<float> gamma, beta;
  float epsilon = 1e-12f;
};

// x / 2 * (1 + erf(x / sqrt(2))).
struct gelu {};

// q k^T / sqrt(features per head), of two sequences.
struct attention_scores {
  index_type heads = 1;
};

// Over the last axis.
struct softmax {};

// Probabilities times v, the heads side by side.
struct attention_context {
  index_type heads = 1;
};

// One token of a sequence.
struct take_token {
  index_type token = 0;
};

}  // namespace engine

#endif
