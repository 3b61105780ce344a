// The float network against PyTorch's outputs (golden.safetensors beside each model).
#include "engine/float_executor.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

#include "bundled.hpp"

namespace {

// What the issue of this project allows: max |difference| <= 1e-4 * max |reference|.
void require_close(std::span<const float> values, std::span<const float> reference) {
  REQUIRE(values.size() == reference.size());
  float difference = 0, largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    difference = std::max(difference, std::fabs(values[i] - reference[i]));
    largest = std::max(largest, std::fabs(reference[i]));
  }
  CAPTURE(difference, largest);
  REQUIRE(difference <= 1e-4f * largest);
}

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

}  // namespace

TEST_CASE("logits and block outputs are PyTorch's", "[engine]") {
  const std::string name = GENERATE("resnet20", "mobilenetv2");
  CAPTURE(name);
  const auto model = bundled::model(name);
  const auto images = bundled::test_images(model);
  const auto golden = vq::safetensors_file::open(bundled::folder() / name / "golden.safetensors");
  REQUIRE(golden);

  const engine::float_executor network(model.network);
  auto memory = network.workspace();
  int compared = 0;
  for (const vq::tensor_entry& entry : golden->tensors()) {
    CAPTURE(entry.name);
    const auto reference = *golden->to_floats(entry.name);
    if (entry.name == "pixel_values.0") {
      require_close(images.read(0), channels_last(reference, 3));
    } else if (entry.name == "logits") {
      std::vector<float> logits;
      for (vq::index_type i = 0; i < entry.shape[0]; ++i) {
        const auto row = network.run(images.read(i), memory);
        logits.insert(logits.end(), row.begin(), row.end());
      }
      require_close(logits, reference);
    } else {
      const auto node = model.network.find(node_of(entry.name));
      REQUIRE(node >= 0);
      network.run(images.read(0), memory, [&](vq::index_type i, std::span<float> output) {
        if (i == node) require_close(output, channels_last(reference, entry.shape[1]));
      });
    }
    ++compared;
  }
  REQUIRE(compared == (name == "resnet20" ? 6 : 21));
}

TEST_CASE("the bundled models have the parameters that their manifest counts", "[engine]") {
  // Trainable values; running statistics (two of four per batch norm channel) are none.
  const auto trainable = [](const engine::graph& g) {
    auto count = g.parameters();
    for (const engine::node& n : g.nodes) {
      if (n.is<engine::batch_norm>()) count -= 2 * n.shape.back();
    }
    return count;
  };
  REQUIRE(trainable(bundled::model("resnet20").network) == 272'474);
  REQUIRE(trainable(bundled::model("mobilenetv2").network) == 700'490);
}

TEST_CASE("a hook sees every node once, in order, and may change what others read", "[engine]") {
  const auto model = bundled::model("resnet20");
  const auto image = bundled::test_images(model).read(0);
  const engine::float_executor network(model.network);
  auto memory = network.workspace();

  vq::index_type seen = 0;
  network.run(image, memory, [&](vq::index_type node, std::span<float> output) {
    REQUIRE(node == seen++);
    REQUIRE(static_cast<vq::index_type>(output.size()) ==
            engine::volume(model.network[node].shape));
  });
  REQUIRE(seen == model.network.size());

  const auto pooled = model.network.find("avgpool");
  const auto logits = network.run(image, memory, [&](vq::index_type node, std::span<float> output) {
    if (node == pooled) std::fill(output.begin(), output.end(), 0.f);
  });
  const auto& fc = std::get<engine::linear>(model.network.output().op);
  REQUIRE(std::vector<float>(logits.begin(), logits.end()) == fc.bias);
}
