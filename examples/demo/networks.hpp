// The rewritten networks of the demo, each made and calibrated when it is first asked for.
#ifndef DEMO_NETWORKS_HPP
#define DEMO_NETWORKS_HPP

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "demo/progress.hpp"
#include "demo/skew.hpp"
#include "demo/variants.hpp"
#include "engine/calibration.hpp"
#include "engine/channel_means.hpp"
#include "engine/equalization.hpp"
#include "engine/graph_passes.hpp"

namespace demo {

using graph_or_failure = vq::result<engine::graph, vq::failure>;

inline graph_or_failure folded(const engine::graph& g) {
  auto result = engine::fold_batch_norms(g);
  if (!result) return result.error();
  for (const std::string& why : result->kept) {
    std::printf("note: batch norm %s\n", why.c_str());
  }
  return engine::fuse_activations(std::move(result->network));
}
inline graph_or_failure equalized(const graph_or_failure& g) {
  if (!g) return g.error();
  auto result = engine::equalize_layers(*g);
  if (!result) return result.error();
  return std::move(result->network);
}

inline graph_or_failure rewrite(const engine::graph& g, network how) {
  switch (how) {
    case network::folded:
      return folded(g);
    case network::equalized:
      return equalized(folded(g));
    case network::unfolded:
      return g;
    case network::skewed_norms:
      return skew_batch_norms(g);
    case network::skewed_norms_folded:
      return folded(skew_batch_norms(g));
    case network::skewed_pairs:
    case network::skewed_pairs_equalized: {
      auto plain = folded(g);
      if (!plain) return plain;
      graph_or_failure skewed = skew_pairs(*std::move(plain));
      return how == network::skewed_pairs ? skewed : equalized(skewed);
    }
  }
  return vq::failure{vq::status::bad_argument, "there is no such network"};
}

struct calibrated_network {
  engine::graph graph;
  std::vector<engine::tensor_statistics> seen;
  std::vector<std::vector<float>> means;
};

class networks {
 public:
  networks(const engine::model& m, const engine::image_set& calibration,
           const engine::parallel_for& run)
      : model_(m), images_(calibration), run_(run) {}

  vq::result<const calibrated_network*, vq::failure> get(network which) {
    const auto known = ready_.find(which);
    if (known != ready_.end()) return &known->second;
    auto g = rewrite(model_.network, which);
    if (!g) return g.error();
    progress step(model_.name + ": calibration", images_.size());
    auto seen = engine::observe(*g, watched(*g), images_, run_, [&] { step(); });
    if (!seen) return seen.error();
    calibrated_network made{*std::move(g), *std::move(seen), {}};
    if (which == network::folded) {
      auto means = engine::channel_means(made.graph, images_);
      if (!means) return means.error();
      made.means = *std::move(means);
    }
    return &ready_.emplace(which, std::move(made)).first->second;
  }

  // The network of a variant, quantized.
  vq::result<engine::quantized_graph, vq::failure> quantize(const variant& v) {
    const auto from = get(v.from);
    if (!from) return from.error();
    const engine::graph& g = (*from)->graph;
    auto params = engine::estimate(g, engine::quantized_outputs(g, v.scheme), (*from)->seen,
                                   v.activations, v.scheme.activation_bits, run_);
    if (!params) return params.error();
    engine::activation_statistics statistics{*std::move(params), {}};
    if (v.corrects_bias) statistics.means = (*from)->means;
    return engine::quantize_graph(g, statistics, v.scheme);
  }

 private:
  // All outputs that some scheme makes codes of.
  static std::vector<bool> watched(const engine::graph& g) {
    engine::quantization_scheme separate_norms;
    separate_norms.norms = engine::quantization_scheme::norm_format::quantized;
    return engine::quantized_outputs(g, separate_norms);
  }

  const engine::model& model_;
  const engine::image_set& images_;
  engine::parallel_for run_;
  std::map<network, calibrated_network> ready_;
};

}  // namespace demo

#endif
