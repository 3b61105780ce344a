#include "demo/transformer/networks.hpp"
#include "engine/transformer_calibration.hpp"

namespace demo {

vq::result<engine::quantized_graph, vq::failure> calibrate(const engine::graph& g,
                                                           const engine::image_set& images,
                                                           const engine::transformer_scheme& scheme,
                                                           const engine::parallel_for& run) {
  return engine::quantize_transformer(g, images, scheme, run);
}

}  // namespace demo
