// The rows of the transformer demo: bits, methods, and what is left out to see what it adds.
#ifndef DEMO_TRANSFORMER_VARIANTS_HPP
#define DEMO_TRANSFORMER_VARIANTS_HPP

#include <string>
#include <utility>
#include <vector>

#include "engine/transformer_scheme.hpp"

namespace demo {

struct transformer_variant {
  std::string name;
  engine::transformer_scheme scheme;
  bool simulated_too = false;
};

using engine::format_family;
using engine::norm_rewriting;
using method = engine::transformer_scheme;

// First and last layer at 8 bits: weights, and what they read.
inline engine::precision first_and_last_in_8(int weights, int activations) {
  return {weights,
          activations,
          {{"input", {.outputs = 8}},
           {"vit.embeddings.patch_embeddings.projection", {.weights = 8}},
           {"vit.pooled", {.outputs = 8}},
           {"classifier", {.weights = 8}}}};
}

namespace methods {

inline method minmax() { return {}; }
// Base search: the ranges of least squared error.
inline method mse() {
  method m;
  m.range = engine::estimator::mse;
  m.weights.range = engine::weight_scheme::estimator::mse;
  return m;
}
inline method ptq4vit() {
  method m = mse();
  m.probabilities = {format_family::twin};
  m.after_gelu = {format_family::twin_two_sided};
  return m;
}
inline method fqvit() {
  method m;
  m.norms = norm_rewriting::power_of_two;
  m.probabilities = {format_family::log2};
  return m;
}
inline method repq() {
  method m = mse();
  m.norms = norm_rewriting::reparameterized;
  m.probabilities = {format_family::log_sqrt2};
  return m;
}
inline method repq_ridge() {
  method m = repq();
  m.weights.ridge = 0.01;
  return m;
}
inline method adalog() {
  method m = repq();
  m.probabilities = m.after_gelu = {format_family::adaptive_log};
  return m;
}
// Each tensor in the format that suits it; weights rounded with error feedback.
inline method best() {
  method m = repq();
  m.probabilities = {format_family::affine, format_family::twin, format_family::log2,
                     format_family::log_sqrt2, format_family::adaptive_log};
  m.after_gelu = {format_family::affine, format_family::twin_two_sided,
                  format_family::adaptive_log};
  m.weights.feedback = 0.01;
  return m;
}
inline method best_with_ridge() {
  method m = best();
  m.weights.ridge = 0.01;
  return m;
}

}  // namespace methods

inline transformer_variant in_bits(int weights, int activations, const char* name, method m,
                                   bool simulated_too = false) {
  m.bits = first_and_last_in_8(weights, activations);
  return {"w" + std::to_string(weights) + "a" + std::to_string(activations) + "-" + name,
          std::move(m), simulated_too};
}

// `best` at 4 bits, one ingredient taken away or exchanged at a time.
inline std::vector<transformer_variant> ablations() {
  const auto best_but = [](const char* name, auto change) {
    method m = methods::best();
    change(m);
    return in_bits(4, 4, name, std::move(m));
  };
  const std::vector<format_family> affine{format_family::affine};
  return {
      best_but("best-without-feedback", [](method& m) { m.weights.feedback = 0; }),
      best_but("best-ridge-for-feedback",
               [](method& m) { std::swap(m.weights.ridge, m.weights.feedback); }),
      best_but("best-norms-per-tensor", [](method& m) { m.norms = norm_rewriting::none; }),
      best_but("best-norms-migrated", [](method& m) { m.norms = norm_rewriting::migrated; }),
      best_but("best-norms-power-of-two",
               [](method& m) { m.norms = norm_rewriting::power_of_two; }),
      best_but("best-softmax-affine", [&](method& m) { m.probabilities = affine; }),
      best_but("best-gelu-affine", [&](method& m) { m.after_gelu = affine; }),
      best_but("best-gelu-twin", [](method& m) { m.after_gelu = {format_family::twin_two_sided}; }),
      best_but("best-ranges-minmax",
               [](method& m) {
                 m.range = engine::estimator::minmax;
                 m.weights.range = engine::weight_scheme::estimator::minmax;
               }),
      best_but("best-16-images", [](method& m) { m.images = 16; }),
      best_but("best-64-images", [](method& m) { m.images = 64; }),
  };
}

// `best` at 4 bits with some modules at 8, chosen by name.
inline std::vector<transformer_variant> selections() {
  const auto with = [](const char* name, std::vector<engine::precision_rule> rules) {
    transformer_variant v = in_bits(4, 4, name, methods::best());
    auto& all = v.scheme.bits.rules;
    all.insert(all.end(), rules.begin(), rules.end());
    return v;
  };
  const engine::bit_choice eight{.weights = 8, .outputs = 8}, outputs{.outputs = 8};
  return {with("best-query-key-8",
               {{"*.attention.attention.query", eight}, {"*.attention.attention.key", eight}}),
          with("best-gelu-8", {{"*.intermediate", outputs}}),
          with("best-norms-8", {{"*.layernorm_before", outputs}, {"*.layernorm_after", outputs}})};
}

inline std::vector<transformer_variant> transformer_variants() {
  std::vector<transformer_variant> all;
  for (const int bits : {8, 6, 4}) {
    all.push_back(in_bits(bits, bits, "minmax", methods::minmax(), true));
    all.push_back(in_bits(bits, bits, "mse", methods::mse()));
    all.push_back(in_bits(bits, bits, "fqvit", methods::fqvit()));
    all.push_back(in_bits(bits, bits, "ptq4vit", methods::ptq4vit()));
    all.push_back(in_bits(bits, bits, "repq", methods::repq()));
    all.push_back(in_bits(bits, bits, "repq-ridge", methods::repq_ridge()));
    all.push_back(in_bits(bits, bits, "adalog", methods::adalog()));
    all.push_back(in_bits(bits, bits, "best", methods::best(), true));
    all.push_back(in_bits(bits, bits, "best-with-ridge", methods::best_with_ridge()));
  }
  for (const int activations : {8, 16}) {
    all.push_back(in_bits(4, activations, "minmax", methods::minmax()));
    all.push_back(in_bits(4, activations, "best", methods::best()));
  }
  for (const int bits : {6, 4}) {  // the first and last layer too
    transformer_variant v = in_bits(bits, bits, "best-everywhere", methods::best());
    v.scheme.bits.rules.clear();
    all.push_back(std::move(v));
  }
  for (auto more : {selections(), ablations()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace demo

#endif
