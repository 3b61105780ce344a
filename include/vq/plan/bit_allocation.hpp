// Which format for which layer: the cheapest choice that fits, exactly.
//
//   minimize   sum of cost[i][choice[i]]
//   subject to sum of bytes[i][choice[i]] <= limits.bytes,  sum of time <= limits.time
//
//   std::vector<std::vector<vq::bit_option>> layers{{{.cost = 0.9, .bytes = 4096}, {.cost = 0.1, .bytes = 8192}}, ...};
//   auto best = vq::allocate_bits(layers, {.bytes = 6'000'000'000});
//   best->choice[3];                                       // the option of layer 3
//
// A multiple-choice knapsack. Options are priced by the Lagrangian of the limits, at the multipliers
// that make its bound highest:
//
//   bound = sum of min over options (cost + a * bytes + b * time) - a * limits.bytes - b * limits.time
//
// An option whose price is above its layer's least by more than what separates the best choice known
// from the bound cannot be part of a better one. Those that are left go through dynamic programming
// over the choices that are best for their bytes and time, and partial choices whose bound is no
// better than the best known are dropped. The best known is found by the same procedure with a cap
// on the number of partial choices. The result is optimal to 1e-12 of the sum of the largest costs,
// unless `limits.partial_choices` stops the search: then `optimal` is false and `bound` says how much
// better a choice could be at most. Ties go to fewer bytes, and the same input has the same result.
//
// Layers that must agree (q, k and v; gate and up) are one layer here: see merge_layers. Source:
// Pisinger 1995 (A minimal algorithm for the multiple-choice knapsack problem); here with reduced
// costs of a Lagrangian in place of an expanding core.
#ifndef VQ_PLAN_BIT_ALLOCATION_HPP
#define VQ_PLAN_BIT_ALLOCATION_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/plan/allocation_search.hpp>

namespace vq::inline v1 {

// Layers that must take the same format, as one: the k-th option of the result stands for the k-th
// of each. All have equally many options.
inline layer_options merge_layers(std::span<const layer_options> layers) {
  layer_options merged(layers.empty() ? 0 : layers.front().size());
  for (const layer_options& layer : layers) {
    for (std::size_t k = 0; k < merged.size(); ++k) {
      merged[k].cost += layer[k].cost;
      merged[k].bytes += layer[k].bytes;
      merged[k].time += layer[k].time;
    }
  }
  return merged;
}

// Errors: bad_argument (a layer without options; a cost that is not finite; bytes or a time below
// zero), too_few_bytes... (no choice fits: the message says what the least would be).
inline result<bit_allocation, failure> allocate_bits(std::span<const layer_options> layers,
                                                     const allocation_limits& limits) {
  std::int64_t least_bytes = 0;
  double least_time = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto refuse = [&](const char* why) {
      return failure{status::bad_argument, sentence("bit allocation: layer ", i, ": ", why)};
    };
    if (layers[i].empty()) return refuse("no format is allowed");
    std::int64_t bytes = layers[i].front().bytes;
    double time = layers[i].front().time;
    for (const bit_option& o : layers[i]) {
      if (!std::isfinite(o.cost)) return refuse("a cost is not finite");
      if (o.bytes < 0 || !(o.time >= 0)) return refuse("bytes or time are negative");
      bytes = (std::min)(bytes, o.bytes);
      time = (std::min)(time, o.time);
    }
    least_bytes += bytes;
    least_time += time;
  }
  if (least_bytes > limits.bytes) {
    return failure{status::bad_argument,
                   sentence("bit allocation: ", limits.bytes,
                            " bytes are allowed and the smallest formats take ", least_bytes)};
  }
  if (least_time > limits.time) {
    return failure{status::bad_argument,
                   "bit allocation: the fastest formats take longer than allowed"};
  }

  detail::allocation_search search(layers, limits);
  search.price();
  search.order_by_freedom();
  bit_allocation best;
  bool found = false, complete = false;
  for (std::size_t cap = 64; !complete; cap *= 16) {
    cap = (std::min)(cap, limits.partial_choices);
    complete = search.improve(cap, best, found);
    if (cap == limits.partial_choices) break;
  }
  if (!found) {
    return failure{status::bad_argument,
                   complete ? "bit allocation: no choice keeps both limits"
                            : "bit allocation: no choice was found that keeps both limits"};
  }
  best.optimal = complete;
  best.bound = complete ? best.cost : (std::min)(best.cost, search.bound());
  return best;
}

}  // namespace vq::inline v1

#endif
