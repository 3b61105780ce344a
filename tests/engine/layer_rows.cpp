#include "engine/layer_rows.hpp"

#include <string>
#include <vector>

#include "catch.hpp"
#include "engine/bundled.hpp"
#include "engine/float_executor.hpp"

using engine::at;
using engine::index_type;

TEST_CASE("layer rows: rows times weights are the layer's output", "[engine]") {
  // Convolutions with stride and padding, depthwise ones, and a linear layer; tokens.
  const std::string name = GENERATE("resnet20", "mobilenetv2", "vit");
  const auto m = bundled::model(name);
  const auto images = bundled::calibration_images(m);
  const engine::graph& g = m.network;
  std::vector<std::vector<float>> outputs(g.nodes.size());
  const engine::float_executor network(g);
  auto memory = network.workspace();
  network.run(images.read(0), memory, [&](index_type n, std::span<float> values) {
    outputs[at(n)].assign(values.begin(), values.end());
  });
  index_type layers = 0;
  for (index_type i = 0; i < g.size(); ++i) {
    const engine::tensor* weight = engine::weight_of(g[i].op);
    if (weight == nullptr) continue;
    ++layers;
    const engine::layer_rows rows(g[i], g[g[i].inputs[0]].shape);
    const index_type outs = rows.outputs(), channels = outs * rows.groups(), in = rows.inputs();
    REQUIRE(rows.rows() * channels == std::ssize(outputs[at(i)]));
    const auto* conv = std::get_if<engine::conv2d>(&g[i].op);
    const auto& bias = conv != nullptr ? conv->bias : std::get<engine::linear>(g[i].op).bias;
    std::vector<float> x(at(in));
    float most = 0, off = 0;
    for (index_type r = 0; r < rows.rows(); r += 7) {
      for (index_type group = 0; group < rows.groups(); ++group) {
        rows.copy(outputs[at(g[i].inputs[0])].data(), r, group, x.data());
        for (index_type o = group * outs; o < (group + 1) * outs; ++o) {
          double y = bias.empty() ? 0 : double{bias[at(o)]};
          for (index_type k = 0; k < in; ++k) {
            y += double{x[at(k)]} * double{weight->values[at(o * in + k)]};
          }
          const float expected = outputs[at(i)][at(r * channels + o)];
          most = std::max(most, std::fabs(expected));
          off = std::max(off, std::fabs(static_cast<float>(y) - expected));
        }
      }
    }
    INFO(g[i].name);
    CHECK(off <= 1e-4f * most);
  }
  CHECK(layers > 20);
}
