// What calibration images say about the outputs of every node, and the parameters that follow.
#ifndef ENGINE_CALIBRATION_HPP
#define ENGINE_CALIBRATION_HPP

#include <algorithm>
#include <span>
#include <vector>

#include <vq/calibrate/entropy.hpp>
#include <vq/calibrate/estimate_params.hpp>
#include <vq/calibrate/histogram.hpp>
#include <vq/calibrate/moving_average.hpp>
#include <vq/calibrate/mse.hpp>
#include <vq/calibrate/percentile.hpp>
#include <vq/calibrate/torch_l2.hpp>
#include <vq/simd.hpp>

#include "engine/estimator.hpp"
#include "engine/float_executor.hpp"
#include "engine/format.hpp"
#include "engine/image_set.hpp"
#include "engine/parallel.hpp"

namespace engine {

// One tensor, as the observers of the library saw it: 64 KiB whatever the number of images.
struct tensor_statistics {
  vq::moving_average_observer average;
  vq::histogram_observer histogram;

  vq::status observe(std::span<const float> values) {
    const vq::tensor_view<const float, 1> x(values.data(), {std::ssize(values)});
    if (const auto s = average.observe(vq::simd::native, x); s != vq::status::ok) return s;
    return histogram.observe(vq::simd::native, x);
  }
  vq::status merge(const tensor_statistics& later) {
    if (const auto s = average.merge(later.average); s != vq::status::ok) return s;
    return histogram.merge(later.histogram);
  }
};

// The parameters of a tensor for one format. Errors: no_data.
template <vq::quantizer_policy Policy>
vq::result<vq::affine_param> estimate(const Policy& policy, const tensor_statistics& seen,
                                      estimator how) {
  switch (how) {
    case estimator::minmax:
      return vq::estimate_params(policy, seen.histogram, vq::minmax{});
    case estimator::moving_average:
      return vq::estimate_params(policy, seen.average);
    case estimator::percentile:
      return vq::estimate_params(policy, seen.histogram, vq::percentile{});
    case estimator::mse:
      return vq::estimate_params(policy, seen.histogram, vq::mse{});
    case estimator::entropy:
      return vq::estimate_params(policy, seen.histogram, vq::entropy{});
    case estimator::torch_l2:
      return vq::estimate_params(policy, seen.histogram, vq::torch_l2{});
  }
  return vq::status::bad_argument;
}

// Runs images through a network and watches the outputs for which `watched` holds. Shards of images
// are observed apart and merged in their order: the result does not depend on the threads.
// Errors: not_finite, with the node's name.
template <class Progress>
vq::result<std::vector<tensor_statistics>, vq::failure> observe(const graph& g,
                                                                const std::vector<bool>& watched,
                                                                const image_set& images,
                                                                const parallel_for& run,
                                                                Progress progress) {
  constexpr index_type shards = 8;
  const float_executor network(g);
  struct shard {
    std::vector<tensor_statistics> seen;
    vq::status status = vq::status::ok;
    index_type node = 0;  // where the status comes from
  };
  std::vector<shard> parts(shards);
  run(shards, [&](index_type s, index_type) {
    shard& part = parts[at(s)];
    part.seen.resize(g.nodes.size());
    auto memory = network.workspace();
    const index_type end = images.size() * (s + 1) / shards;
    for (index_type i = images.size() * s / shards; i < end; ++i) {
      if (part.status != vq::status::ok) return;
      network.run(images.read(i), memory, [&](index_type node, std::span<float> output) {
        if (!watched[at(node)] || part.status != vq::status::ok) return;
        part.status = part.seen[at(node)].observe(output);
        part.node = node;
      });
      progress();
    }
  });
  std::vector<tensor_statistics> all(g.nodes.size());
  for (const shard& part : parts) {
    vq::status s = part.status;
    for (std::size_t i = 0; s == vq::status::ok && i < all.size(); ++i) {
      s = all[i].merge(part.seen[i]);
    }
    if (s != vq::status::ok) {
      return vq::failure{s, vq::sentence("calibration: output of ",
                                         vq::in_quotes(g[part.node].name), ": ", vq::describe(s))};
    }
  }
  return all;
}

// The parameters of all watched outputs in 8, 6 or 4 bits; the others keep the identity.
// Errors: no_data, with the node's name.
inline vq::result<std::vector<vq::affine_param>, vq::failure> estimate(
    const graph& g, const std::vector<bool>& watched, const std::vector<tensor_statistics>& seen,
    estimator how, int bits, const parallel_for& run) {
  std::vector<vq::affine_param> params(seen.size());
  std::vector<vq::status> outcome(seen.size(), vq::status::ok);
  run(g.size(), [&](index_type i, index_type) {
    if (!watched[at(i)]) return;
    visit_activation_format(bits, [&](auto q) {
      const auto found = estimate(q.policy, seen[at(i)], how);
      outcome[at(i)] = found ? vq::status::ok : found.error();
      if (found) params[at(i)] = *found;
    });
  });
  for (index_type i = 0; i < g.size(); ++i) {
    if (outcome[at(i)] == vq::status::ok) continue;
    return vq::failure{outcome[at(i)],
                       vq::sentence("calibration: output of ", vq::in_quotes(g[i].name), ": ",
                                    vq::describe(outcome[at(i)]))};
  }
  return params;
}

}  // namespace engine

#endif
