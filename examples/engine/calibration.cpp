#include "engine/calibration.hpp"

#include "engine/float_executor.hpp"

namespace engine {

vq::result<std::vector<tensor_statistics>, vq::failure> observe(
    const graph& g, const std::vector<bool>& watched, const image_set& images,
    const parallel_for& run, const std::function<void()>& progress) {
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

vq::result<std::vector<vq::affine_param>, vq::failure> estimate(
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
