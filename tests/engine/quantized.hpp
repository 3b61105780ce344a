// The bundled models, quantized from a few calibration images.
#ifndef VQ_TESTS_ENGINE_QUANTIZED_HPP
#define VQ_TESTS_ENGINE_QUANTIZED_HPP

#include <span>
#include <utility>
#include <vector>

#include "bundled.hpp"
#include "engine/calibration.hpp"
#include "engine/quantized_graph.hpp"

namespace bundled {

// Min-max parameters over `count` calibration images.
inline engine::quantized_graph quantized(const engine::graph& g, const engine::image_set& images,
                                         index_type count,
                                         const engine::quantization_scheme& scheme = {}) {
  const auto outputs = engine::quantized_outputs(g, scheme);
  std::vector<engine::tensor_statistics> seen(g.nodes.size());
  const engine::float_executor network(g);
  auto memory = network.workspace();
  for (index_type i = 0; i < count; ++i) {
    network.run(images.read(i), memory, [&](index_type node, std::span<float> output) {
      REQUIRE(seen[engine::at(node)].observe(output) == vq::status::ok);
    });
  }
  auto params = require(
      engine::estimate(g, outputs, seen, engine::estimator::minmax, scheme.activation_bits, {}));
  return require(engine::quantize_graph(g, {std::move(params), {}}, scheme));
}

}  // namespace bundled

#endif
