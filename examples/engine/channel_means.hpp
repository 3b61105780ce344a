// The mean of every channel of every output over calibration images: what bias correction needs.
#ifndef ENGINE_CHANNEL_MEANS_HPP
#define ENGINE_CHANNEL_MEANS_HPP

#include <span>
#include <utility>
#include <vector>

#include <vq/fold/bias_correction.hpp>

#include "engine/float_executor.hpp"
#include "engine/image_set.hpp"

namespace engine {

// Channels are the last axis. Errors: not_finite, with the node's name.
inline vq::result<std::vector<std::vector<float>>, vq::failure> channel_means(
    const graph& g, const image_set& images) {
  std::vector<std::vector<double>> sums;
  for (const node& n : g.nodes) sums.emplace_back(at(n.shape.back()));
  std::vector<vq::channel_sums> all(sums.begin(), sums.end());

  const float_executor network(g);
  auto memory = network.workspace();
  vq::status s = vq::status::ok;
  index_type last = 0;
  for (index_type i = 0; i < images.size(); ++i) {
    network.run(images.read(i), memory, [&](index_type node, std::span<float> output) {
      if (s != vq::status::ok) return;
      const index_type channels = g[node].shape.back(), rows = std::ssize(output) / channels;
      s = all[at(node)].add(vq::tensor_view<const float, 2>(output.data(), {rows, channels}));
      last = node;
    });
  }
  std::vector<std::vector<float>> means;
  for (index_type i = 0; i < g.size() && s == vq::status::ok; ++i) {
    means.emplace_back(sums[at(i)].size());
    s = all[at(i)].means(means.back());
    last = i;
  }
  if (s == vq::status::ok) return means;
  return vq::failure{s,
                     vq::sentence("means of ", vq::in_quotes(g[last].name), ": ", vq::describe(s))};
}

}  // namespace engine

#endif
