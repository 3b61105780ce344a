// The rows of the demo: which network, quantized how, run how.
#ifndef DEMO_VARIANTS_HPP
#define DEMO_VARIANTS_HPP

#include <string>
#include <string_view>
#include <vector>

#include "engine/calibration.hpp"
#include "engine/quantized_graph.hpp"

namespace demo {

// Rewritten networks; all compute the same function.
enum class network {
  folded,               // batch norms folded, activations fused
  equalized,            // and neighbouring layers equalized
  unfolded,             // batch norms as they are
  skewed_norms,         // unfolded, scaled badly (skew.hpp, bn)
  skewed_norms_folded,  // the same, folded
  skewed_pairs,         // folded, scaled badly (skew.hpp, cross-layer)
  skewed_pairs_equalized,
};

// The integer network, or its simulation in floats where a layer stays in floats.
enum class path { integer, simulated };

// The default estimator, chosen by the divergence of the logits from float on the calibration
// images: the least squared error of all estimators on both models (README.md has the numbers).
inline constexpr engine::estimator default_estimator = engine::estimator::mse;

struct variant {
  std::string name;
  network from = network::folded;
  engine::quantization_scheme scheme = {};
  engine::estimator activations = default_estimator;
  bool corrects_bias = false;

  path runs_as() const {
    const bool head = scheme.head == engine::quantization_scheme::head_format::floats;
    const bool norms = from == network::unfolded || from == network::skewed_norms;
    return head || norms ? path::simulated : path::integer;
  }
};

inline engine::quantization_scheme bits(int weights, int activations) {
  engine::quantization_scheme s;
  s.weights.bits = weights;
  s.activation_bits = activations;
  return s;
}
inline engine::quantization_scheme per_tensor(engine::quantization_scheme s) {
  s.weights.scales = engine::weight_scheme::sharing::per_tensor;
  return s;
}
inline engine::quantization_scheme mse_weights(engine::quantization_scheme s) {
  s.weights.range = engine::weight_scheme::estimator::mse;
  return s;
}

// Everything but fp32 and the skewed networks.
inline std::vector<variant> variants() {
  using engine::quantization_scheme;
  const quantization_scheme w8a8 = bits(8, 8), w6a6 = bits(6, 6), w4a8 = bits(4, 8),
                            w4a4 = bits(4, 4);
  quantization_scheme float_head = w8a8, quantized_norms = w8a8;
  float_head.head = quantization_scheme::head_format::floats;
  quantized_norms.norms = quantization_scheme::norm_format::quantized;

  std::vector<variant> all{{.name = "int8", .scheme = w8a8}};
  for (const engine::estimator e : engine::all_estimators) {
    all.push_back({.name = "int8-" + std::string(name_of(e)), .scheme = w8a8, .activations = e});
  }
  all.insert(all.end(),
             {{.name = "int8-per-tensor", .scheme = per_tensor(w8a8)},
              {.name = "int8-bn-float", .from = network::unfolded, .scheme = w8a8},
              {.name = "int8-bn-quantized", .from = network::unfolded, .scheme = quantized_norms},
              {.name = "int8-head-fp32", .scheme = float_head},
              {.name = "int8-equalized", .from = network::equalized, .scheme = w8a8},
              {.name = "int8-equalized-per-tensor",
               .from = network::equalized,
               .scheme = per_tensor(w8a8)},
              {.name = "int8-bias-corrected", .scheme = w8a8, .corrects_bias = true},
              {.name = "int6", .scheme = w6a6},
              {.name = "int6-minmax", .scheme = w6a6, .activations = engine::estimator::minmax},
              {.name = "int6-per-tensor", .scheme = per_tensor(w6a6)},
              {.name = "int6-equalized-per-tensor",
               .from = network::equalized,
               .scheme = per_tensor(w6a6)}});
  // 4-bit weights, first with 8-bit and then with 4-bit activations.
  for (const auto& [prefix, scheme] : {std::pair("w4a8", w4a8), std::pair("int4", w4a4)}) {
    const std::string name = prefix;
    all.insert(
        all.end(),
        {{.name = name, .scheme = scheme},
         {.name = name + "-minmax", .scheme = scheme, .activations = engine::estimator::minmax},
         {.name = name + "-mse-weights", .scheme = mse_weights(scheme)},
         {.name = name + "-per-tensor", .scheme = per_tensor(scheme)},
         {.name = name + "-equalized", .from = network::equalized, .scheme = scheme},
         {.name = name + "-equalized-per-tensor",
          .from = network::equalized,
          .scheme = per_tensor(scheme)},
         {.name = name + "-bias-corrected", .scheme = scheme, .corrects_bias = true}});
  }
  return all;
}

inline std::vector<variant> skewed_variants() {
  const auto w8a8 = bits(8, 8);
  auto quantized_norms = w8a8;
  quantized_norms.norms = engine::quantization_scheme::norm_format::quantized;
  return {{"skewed-bn-per-tensor", network::skewed_norms, per_tensor(w8a8)},
          {"skewed-bn-per-channel", network::skewed_norms, w8a8},
          {"skewed-bn-quantized", network::skewed_norms, quantized_norms},
          {"skewed-bn-folded", network::skewed_norms_folded, w8a8},
          {"skewed-bn-folded-per-tensor", network::skewed_norms_folded, per_tensor(w8a8)},
          {"skewed-cross-layer-per-tensor", network::skewed_pairs, per_tensor(w8a8)},
          {"skewed-cross-layer-per-channel", network::skewed_pairs, w8a8},
          {"skewed-cross-layer-equalized-per-tensor", network::skewed_pairs_equalized,
           per_tensor(w8a8)}};
}

}  // namespace demo

#endif
