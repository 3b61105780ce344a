// Layer norms whose channels differ in range, rewritten so that one grid serves all, in one of the
// ways of `norm_rewriting`: the network computes the same function, the ranges go into the weights
// of the linear layers that follow.
#ifndef ENGINE_NORM_REWRITING_HPP
#define ENGINE_NORM_REWRITING_HPP

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/minmax.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/calibrate/power_of_two_factor.hpp>
#include <vq/optimize.hpp>
#include <vq/simd.hpp>

#include "engine/network_pair.hpp"
#include "engine/transformer_scheme.hpp"

namespace engine {

struct norm_grid_choice {
  norm_rewriting how = norm_rewriting::none;
  estimator range = estimator::minmax;  // or mse: of each channel
  int bits = 8;
};

using channel_histograms = std::vector<vq::histogram_observer>;

// Errors: not_finite.
inline vq::result<channel_histograms> observe_channels(network_pair& nets, index_type node) {
  const index_type channels = nets.exact[node].shape.back();
  channel_histograms seen(at(channels));
  vq::status s = vq::status::ok;
  nets.for_each_output(node, false, [&](std::span<const float> q, std::span<const float>) {
    for (index_type c = 0; c < channels && s == vq::status::ok; ++c) {
      const vq::tensor_view<const float, 1> column(q.data() + c, {std::ssize(q) / channels},
                                                   {channels});
      s = seen[at(c)].observe(vq::simd::native, column);
    }
  });
  if (s != vq::status::ok) return s;
  return seen;
}

// The best grid of each channel for itself.
inline vq::result<std::vector<vq::affine_param>> grid_of_each(const channel_histograms& seen,
                                                              const norm_grid_choice& choice,
                                                              const parallel_for& run) {
  std::vector<vq::affine_param> params(seen.size());
  std::vector<vq::status> outcome(seen.size(), vq::status::ok);
  run(std::ssize(seen), [&](index_type c, index_type) {
    visit_activation_format(choice.bits, [&](auto q) {
      const auto found =
          choice.range == estimator::mse
              ? vq::estimate_params(q.policy, seen[at(c)], vq::mse{.steps = 30, .rounds = 1})
              : vq::estimate_params(q.policy, seen[at(c)], vq::minmax{});
      outcome[at(c)] = found ? vq::status::ok : found.error();
      if (found) params[at(c)] = *found;
    });
  });
  for (const vq::status s : outcome) {
    if (s != vq::status::ok) return s;
  }
  return params;
}

// Steps of one scale times powers of two, and that scale.
inline vq::result<std::pair<std::vector<vq::affine_param>, vq::affine_param>> factored_grids(
    network_pair& nets, index_type node, const norm_grid_choice& choice) {
  vq::minmax_observer whole;
  const index_type channels = nets.exact[node].shape.back();
  vq::status s = vq::status::ok;
  const auto for_each_batch = [&](auto f) {
    nets.for_each_output(node, false, [&](std::span<const float> q, std::span<const float>) {
      const vq::tensor_view<const float, 2> x(q.data(), {std::ssize(q) / channels, channels});
      if (s == vq::status::ok) s = f(x);
    });
  };
  for_each_batch([&](const auto& x) { return whole.observe(vq::simd::native, x); });
  const auto range = whole.estimate();
  if (s != vq::status::ok || !range) return s != vq::status::ok ? s : range.error();
  std::optional<vq::factored_grid> grid;
  visit_activation_format(choice.bits, [&](auto q) {
    vq::power_of_two_factors factors(q.policy, *range, channels);
    for_each_batch([&](const auto& x) { return factors.add(x); });
    const auto chosen = factors.choose();
    if (s == vq::status::ok && !chosen) s = chosen.error();
    if (s == vq::status::ok) grid = *chosen;
  });
  if (s != vq::status::ok) return s;
  return std::pair{grid->params(), grid->finest};
}

// The linear layers that read a node, as the library rewrites them.
inline std::vector<vq::linear_reader> linear_readers(graph& g, std::span<const index_type> nodes) {
  std::vector<vq::linear_reader> all;
  for (const index_type i : nodes) {
    auto& fc = std::get<linear>(g[i].op);
    all.push_back({view<2>(fc.weight), fc.bias});
  }
  return all;
}

// Rewrites both networks; the grid for all channels, or none where it has yet to be found
// (migrated). Errors: what the library says of the values.
inline vq::result<std::optional<output_format>> rewrite_norm(network_pair& nets, index_type node,
                                                             const norm_grid_choice& choice,
                                                             std::span<const index_type> readers,
                                                             const parallel_for& run) {
  const auto in_both = [&](auto rewrite) {
    for (graph* g : {&nets.quantized.network, &nets.exact}) {
      const auto layers = linear_readers(*g, readers);
      const auto s = rewrite(std::get<layer_norm>((*g)[node].op), layers);
      if (s != vq::status::ok) return s;
    }
    return vq::status::ok;
  };
  if (choice.how == norm_rewriting::power_of_two) {
    const auto found = factored_grids(nets, node, choice);
    if (!found) return found.error();
    const auto& [params, finest] = *found;
    const vq::layer_grid grid{double{short_scale(finest.scale)},
                              static_cast<double>(finest.zero_point)};
    const auto s = in_both([&, &each = params](layer_norm& norm, const auto& layers) {
      return vq::reparameterize(each, grid, norm.gamma, norm.beta, layers);
    });
    if (s != vq::status::ok) return s;
    return std::optional(affine_format(choice.bits, grid.param()));
  }
  const auto seen = observe_channels(nets, node);
  if (!seen) return seen.error();
  if (choice.how == norm_rewriting::migrated) {
    std::vector<float> absmax, factors(seen->size());
    for (const auto& channel : *seen) absmax.push_back(channel.estimate()->absmax());
    auto s = vq::migration_factors(absmax, linear_readers(nets.quantized.network, readers), 0.5,
                                   factors);
    if (s != vq::status::ok) return s;
    s = in_both([&](layer_norm& norm, const auto& layers) {
      return vq::migrate(factors, norm.gamma, norm.beta, layers);
    });
    if (s != vq::status::ok) return s;
    return std::optional<output_format>();
  }
  const auto params = grid_of_each(*seen, choice, run);
  if (!params) return params.error();
  vq::layer_grid grid = vq::grid_of_all(*params);
  grid.scale = double{short_scale(static_cast<float>(grid.scale))};
  const auto s = in_both([&](layer_norm& norm, const auto& layers) {
    return vq::reparameterize(*params, grid, norm.gamma, norm.beta, layers);
  });
  if (s != vq::status::ok) return s;
  return std::optional(affine_format(choice.bits, grid.param()));
}

}  // namespace engine

#endif
