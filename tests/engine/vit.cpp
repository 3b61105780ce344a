// The vision transformer in floats against PyTorch's outputs.
#include <span>
#include <string>
#include <vector>

#include <vq/io/safetensors_reader.hpp>

#include "bundled.hpp"

namespace {

// What golden.safetensors calls the output of a node; empty where it has none.
std::string golden_name(const std::string& node) {
  const std::string layer = "vit.encoder.layer.", probs = ".attention.attention.probs";
  if (node == "vit.embeddings") return "image0.hidden_states.0";
  if (!node.starts_with(layer)) return {};
  const int number = node[layer.size()] - '0';
  if (node.size() == layer.size() + 1) return "image0.hidden_states." + std::to_string(number + 1);
  return node.ends_with(probs) ? "image0.attentions." + std::to_string(number) : "";
}

}  // namespace

TEST_CASE("vit: logits, hidden states and attention are PyTorch's", "[engine]") {
  constexpr float tolerance = 1e-4f;
  const auto model = bundled::model("vit");
  REQUIRE(model.network.parameters() == 2'693'578);
  const auto images = bundled::test_images(model);
  const auto golden =
      bundled::require(vq::safetensors_file::open(bundled::folder() / "vit/golden.safetensors"));

  const engine::float_executor network(model.network);
  const auto logits = bundled::logits(network, images, bundled::image_count);
  const auto expected = *golden.to_floats("logits");
  REQUIRE(expected.size() == 64 * 10);
  bundled::require_close(logits, std::span(expected).first(logits.size()), tolerance);

  std::size_t compared = 2;  // the logits, and the pixels (tests/engine/float_executor.cpp)
  auto memory = network.workspace();
  network.run(images.read(0), memory, [&](vq::index_type node, std::span<float> output) {
    const std::string name = golden_name(model.network[node].name);
    if (name.empty()) return;
    CAPTURE(name);
    bundled::require_close(output, *golden.to_floats(name), tolerance);
    ++compared;
  });
  REQUIRE(compared == golden.tensors().size());
}
