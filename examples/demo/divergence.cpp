#include "demo/divergence.hpp"

#include <vq/analyze/divergence.hpp>
#include <vq/analyze/metrics.hpp>

namespace demo {

vq::result<logit_distance> distance(const engine::logits_table& reference,
                                    const engine::logits_table& other) {
  const auto error = vq::compare(reference.view(), other.view());
  if (!error) return error.error();
  logit_distance d;
  d.sqnr_db = error->sqnr_db();
  for (engine::index_type i = 0; i < reference.images(); ++i) {
    const auto kl = vq::kl_of_logits(reference.row(i), other.row(i));
    if (!kl) return kl.error();
    d.kl += *kl / static_cast<double>(reference.images());
  }
  return d;
}

}  // namespace demo
