// How a transformer is to be quantized: bits, formats, what is rewritten and refined.
#ifndef ENGINE_TRANSFORMER_SCHEME_HPP
#define ENGINE_TRANSFORMER_SCHEME_HPP

#include <vector>

#include "engine/estimator.hpp"
#include "engine/precision.hpp"
#include "engine/weight_quantization.hpp"

namespace engine {

// Calibration keeps a tensor of each image, so that there is a limit.
inline constexpr index_type most_calibration_images = 128;

enum class format_family { affine, twin, twin_two_sided, log2, log_sqrt2, adaptive_log };

// What becomes of a layer norm before its output gets one grid for all channels.
enum class norm_rewriting {
  none,
  reparameterized,  // a grid for each channel moves into the weights (RepQ-ViT)
  power_of_two,     // one step for all, doubled up to three times in single channels (FQ-ViT)
  migrated          // channels are divided by a factor, half of what they differ (SmoothQuant)
};

struct weight_recipe {
  weight_scheme::estimator range = weight_scheme::estimator::minmax;
  double ridge = 0;     // damping; 0: no refinement
  double feedback = 0;  // damping; 0: every weight is rounded to its nearest code

  bool needs_moments() const { return ridge > 0 || feedback > 0; }
};

struct transformer_scheme {
  precision bits = {};
  estimator range = estimator::minmax;  // or mse: of activations
  norm_rewriting norms = norm_rewriting::none;
  std::vector<format_family> probabilities = {format_family::affine};  // candidates
  std::vector<format_family> after_gelu = {format_family::affine};
  weight_recipe weights = {};
  index_type images = most_calibration_images;
};

}  // namespace engine

#endif
