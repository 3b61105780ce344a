#include "engine/safety/model_safety.hpp"

#include "engine/safety/integer_layers.hpp"
#include "engine/safety/quantized_model.hpp"

namespace engine {

vq::result<model_safety, vq::failure> check_model_safety(const std::filesystem::path& folder,
                                                         const std::filesystem::path& data,
                                                         index_type images, index_type threads) {
  const auto quantized = quantize_model(folder, data, images, threads);
  if (!quantized) return quantized.error();
  model_safety found;
  const auto layers = integer_layers(*quantized);
  found.layers = std::ssize(layers);
  for (const vq::integer_target& target : vq::integer_targets::all) {
    for (const integer_weights& w : layers) {
      found.reports.push_back(vq::check_integer_safety(w.layer(), target));
    }
  }
  return found;
}

}  // namespace engine
