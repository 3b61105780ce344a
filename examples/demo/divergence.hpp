// How far logits are from those of the float network: needs no labels.
#ifndef DEMO_DIVERGENCE_HPP
#define DEMO_DIVERGENCE_HPP

#include <vq/core/result.hpp>

#include "engine/evaluation.hpp"

namespace demo {

struct logit_distance {
  double kl = 0;       // KL(float || other), mean over the images
  double sqnr_db = 0;  // of all logits
};

// Errors: size_mismatch, not_finite.
vq::result<logit_distance> distance(const engine::logits_table& reference,
                                    const engine::logits_table& other);

}  // namespace demo

#endif
