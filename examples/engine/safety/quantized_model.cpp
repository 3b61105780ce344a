#include "engine/safety/quantized_model.hpp"

#include <algorithm>
#include <utility>

#include "engine/calibration.hpp"
#include "engine/graph_passes.hpp"
#include "engine/model.hpp"
#include "engine/transformer_calibration.hpp"

namespace engine {
namespace {

using quantized_or_failure = vq::result<quantized_graph, vq::failure>;

quantized_or_failure quantize_cnn(const graph& g, const image_set& images,
                                  const parallel_for& run) {
  auto folded = fold_batch_norms(g);
  if (!folded) return folded.error();
  const graph network = fuse_activations(std::move(folded->network));
  const auto watched = quantized_outputs(network, {});
  const auto seen = observe(network, watched, images, run, [] {});
  if (!seen) return seen.error();
  auto params = estimate(network, watched, *seen, estimator::mse, 8, run);
  if (!params) return params.error();
  return quantize_graph(network, {*std::move(params), {}}, {});
}

}  // namespace

vq::result<quantized_graph, vq::failure> quantize_model(const std::filesystem::path& folder,
                                                        const std::filesystem::path& data,
                                                        index_type images, index_type threads) {
  const auto m = load_model(folder);
  if (!m) return m.error();
  const auto set = image_set::open(
      data.empty() ? folder / ".." / "data" / "cifar10-calib.safetensors" : data, *m);
  if (!set) return set.error();
  parallel_for run;
  run.threads = threads;
  if (m->arch != "vit") return quantize_cnn(m->network, *set, run);
  transformer_scheme scheme;
  scheme.range = estimator::mse;
  scheme.images = std::min(images, most_calibration_images);
  return quantize_transformer(m->network, *set, scheme, run);
}

}  // namespace engine
