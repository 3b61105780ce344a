// The float network against PyTorch's outputs (golden.safetensors beside each model).
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "bundled.hpp"

namespace {

// (1, channels, height, width) to (height, width, channels).
std::vector<float> channels_last(std::span<const float> planar, vq::index_type channels) {
  const std::size_t c = engine::at(channels), pixels = planar.size() / c;
  std::vector<float> out(planar.size());
  for (std::size_t i = 0; i < planar.size(); ++i) out[i % pixels * c + i / pixels] = planar[i];
  return out;
}

// The node that computes what golden.safetensors calls so.
std::string node_of(std::string golden) {
  golden.erase(0, std::string("image0.").size());
  return golden.starts_with("layer") ? golden + ".2" : golden;  // a stage ends with its third block
}

// Also a network whose batch norms are folded and whose activations are fused.
void require_golden(const engine::model& model, const engine::graph& g) {
  constexpr float tolerance = 1e-4f;
  const auto images = bundled::test_images(model);
  const auto golden = bundled::require(
      vq::safetensors_file::open(bundled::folder() / model.name / "golden.safetensors"));
  const engine::float_executor network(g);
  auto memory = network.workspace();
  for (const vq::tensor_entry& entry : golden.tensors()) {
    CAPTURE(entry.name);
    const auto reference = *golden.to_floats(entry.name);
    if (entry.name == "pixel_values.0") {
      bundled::require_close(images.read(0), channels_last(reference, 3), tolerance);
    } else if (entry.name == "logits") {
      REQUIRE(entry.shape[0] == 64);
      const auto values = bundled::logits(network, images, bundled::image_count);
      bundled::require_close(values, std::span(reference).first(values.size()), tolerance);
    } else {
      const auto node = g.find(node_of(entry.name));
      REQUIRE(node >= 0);
      network.run(images.read(0), memory, [&](vq::index_type i, std::span<float> output) {
        if (i != node) return;
        bundled::require_close(output, channels_last(reference, entry.shape[1]), tolerance);
      });
    }
  }
  REQUIRE(golden.tensors().size() == (model.name == "resnet20" ? 6 : 21));
}

}  // namespace

TEST_CASE("logits and block outputs are PyTorch's, before and after folding", "[engine]") {
  const auto model = bundled::model(GENERATE("resnet20", "mobilenetv2"));
  CAPTURE(model.name);
  require_golden(model, model.network);
  require_golden(model, bundled::folded(model.network));
}

TEST_CASE("the bundled models have the parameters that their manifest counts", "[engine]") {
  REQUIRE(bundled::model("resnet20").network.parameters() == 272'474);
  REQUIRE(bundled::model("mobilenetv2").network.parameters() == 700'490);
}

TEST_CASE("a hook sees every node once, in order, and may change what others read", "[engine]") {
  const auto model = bundled::model("resnet20");
  const auto image = bundled::test_images(model).read(0);
  const engine::float_executor network(model.network);
  auto memory = network.workspace();

  vq::index_type seen = 0;
  network.run(image, memory, [&](vq::index_type node, std::span<float> output) {
    REQUIRE(node == seen++);
    REQUIRE(std::ssize(output) == engine::volume(model.network[node].shape));
  });
  REQUIRE(seen == model.network.size());

  const auto pooled = model.network.find("avgpool");
  const auto logits = network.run(image, memory, [&](vq::index_type node, std::span<float> output) {
    if (node == pooled) std::fill(output.begin(), output.end(), 0.f);
  });
  const auto& fc = std::get<engine::linear>(model.network.output().op);
  REQUIRE(std::vector<float>(logits.begin(), logits.end()) == fc.bias);
}
