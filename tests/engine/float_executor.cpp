// The float network against PyTorch's outputs (golden.safetensors beside each model).
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "bundled.hpp"

namespace {

// (1, channels, height, width) to (height, width, channels).
std::vector<float> channels_last(std::span<const float> planar, vq::index_type channels) {
  const std::size_t c = engine::at(channels), pixels = planar.size() / c;
  std::vector<float> out(planar.size());
  for (std::size_t i = 0; i < planar.size(); ++i) out[i % pixels * c + i / pixels] = planar[i];
  return out;
}

// What golden.safetensors calls the output of a node, if it has it.
std::string golden_name(std::string node) {
  if (node.ends_with(".2") && node.starts_with("layer")) {
    node.resize(node.size() - 2);  // a stage ends with its third block
  }
  return "image0." + node;
}

// Also a network whose batch norms are folded and whose activations are fused.
void require_golden(const engine::model& model, const engine::graph& g) {
  constexpr float tolerance = 1e-4f;
  const auto images = bundled::test_images(model);
  const auto golden = bundled::require(
      vq::safetensors_file::open(bundled::folder() / model.name / "golden.safetensors"));
  const auto reference = [&](const std::string& name) { return *golden.to_floats(name); };
  std::size_t compared = 2;

  bundled::require_close(images.read(0), channels_last(reference("pixel_values.0"), 3), tolerance);
  const engine::float_executor network(g);
  const auto logits = bundled::logits(network, images, bundled::image_count);
  const auto expected = reference("logits");
  REQUIRE(expected.size() == 64 * 10);
  bundled::require_close(logits, std::span(expected).first(logits.size()), tolerance);

  auto memory = network.workspace();
  network.run(images.read(0), memory, [&](vq::index_type node, std::span<float> output) {
    const std::string name = golden_name(g[node].name);
    if (golden.find(name) == nullptr) return;
    CAPTURE(name);
    bundled::require_close(output, channels_last(reference(name), g[node].shape[2]), tolerance);
    ++compared;
  });
  REQUIRE(compared == golden.tensors().size());
  REQUIRE(compared == (model.name == "resnet20" ? 6 : 21));
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
