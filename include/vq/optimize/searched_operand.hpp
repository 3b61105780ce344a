// One operand of a product under search (product_search.hpp): its policy, the parameters it has, and
// what may take their place.
#ifndef VQ_OPTIMIZE_SEARCHED_OPERAND_HPP
#define VQ_OPTIMIZE_SEARCHED_OPERAND_HPP

#include <cmath>
#include <span>
#include <vector>

#include <vq/calibrate/mse.hpp>
#include <vq/core/range.hpp>
#include <vq/core/result.hpp>
#include <vq/policy/concepts.hpp>

namespace vq::inline v1 {

// The factors lowest + i (highest - lowest) / steps, i = 0..steps, on a range. The paper writes
// lowest = 0, which is no range, and the released code leaves out i = steps.
struct search_space {
  double lowest = 0.01;
  double highest = 1.2;
  int steps = 100;
};

// One operand: its policy, and for each group the parameters and what may take their place.
template <quantizer_policy Policy>
struct searched_operand {
  using param_type = typename Policy::param_type;
  Policy policy;
  std::vector<param_type> params;
  std::vector<std::vector<param_type>> candidates;  // of each group; equally many
};

// Starts at the parameters that fit() gives. no_data (no group, or one without values), bad_argument
// (the space), not_finite (a range).
template <quantizer_policy Policy, class... Convention>
result<searched_operand<Policy>> searched(const Policy& policy, std::span<const range> groups,
                                          const search_space& space, const Convention&... c) {
  if (!(space.lowest > 0 && space.highest > space.lowest && std::isfinite(space.highest)) ||
      space.steps < 1) {
    return status::bad_argument;
  }
  if (groups.empty()) return status::no_data;
  searched_operand<Policy> found{policy, {}, {}};
  for (const range& r : groups) {
    if (r.empty()) return status::no_data;
    if (!std::isfinite(r.lowest) || !std::isfinite(r.highest)) return status::not_finite;
    found.params.push_back(policy.fit(r, c...));
    auto& all = found.candidates.emplace_back();
    if constexpr (offers_candidates<Policy>) {
      for (const auto& candidate : policy.candidates(r)) all.push_back(candidate);
    } else {
      for (int i = 0; i <= space.steps; ++i) {
        const double f = space.lowest + i * (space.highest - space.lowest) / space.steps;
        all.push_back(policy.fit(
            {static_cast<float>(f * r.lowest), static_cast<float>(f * r.highest)}, c...));
      }
    }
  }
  return found;
}

}  // namespace vq::inline v1

#endif
