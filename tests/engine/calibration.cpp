#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <vq/io/safetensors_reader.hpp>
#include <vq/io/safetensors_writer.hpp>

#include "quantized.hpp"

namespace {

// The first `count` calibration images as a file of their own.
engine::image_set first_images(const engine::model& model, vq::index_type count) {
  const auto all = bundled::require(
      vq::safetensors_file::open(bundled::folder() / "data/cifar10-calib.safetensors"));
  auto images = *all.to_vector<std::uint8_t>("images");
  auto labels = *all.to_vector<std::int32_t>("labels");
  images.resize(engine::at(count * 3 * 32 * 32));
  labels.resize(engine::at(count));
  vq::safetensors_writer out;
  out.add("images", {count, 3, 32, 32}, images);
  out.add("labels", {count}, labels);
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  const auto path = std::filesystem::temp_directory_path() /
                    ("vq-test-engine-" + std::to_string(now) + ".safetensors");
  REQUIRE(out.write(path));
  auto opened = bundled::require(engine::image_set::open(path, model));
  std::filesystem::remove(path);  // stays readable as long as it is mapped
  return opened;
}

}  // namespace

TEST_CASE("what calibration finds does not depend on the number of threads", "[engine]") {
  const auto model = bundled::model("resnet20");
  const engine::graph g = bundled::folded(model.network);
  const auto outputs = engine::quantized_outputs(g, {});
  const auto images = first_images(model, 12);
  const auto alone = bundled::require(engine::observe(g, outputs, images, {1}, [] {}));
  const auto shared = bundled::require(engine::observe(g, outputs, images, {3}, [] {}));
  for (const engine::estimator e : engine::all_estimators) {
    CAPTURE(name_of(e));
    REQUIRE(bundled::require(engine::estimate(g, outputs, alone, e, 8, {1})) ==
            bundled::require(engine::estimate(g, outputs, shared, e, 8, {3})));
  }
}

TEST_CASE("min-max covers what was seen; outputs behind ReLU begin at zero", "[engine]") {
  const auto model = bundled::model("mobilenetv2");
  const engine::graph g = bundled::folded(model.network);
  const auto outputs = engine::quantized_outputs(g, {});
  REQUIRE(!outputs.back());  // logits stay floats
  const auto images = first_images(model, 2);
  const auto seen = bundled::require(engine::observe(g, outputs, images, {}, [] {}));
  const auto params =
      bundled::require(engine::estimate(g, outputs, seen, engine::estimator::minmax, 8, {}));

  const engine::float_executor network(g);
  auto memory = network.workspace();
  network.run(images.read(0), memory, [&](vq::index_type node, std::span<float> output) {
    const auto i = engine::at(node);
    if (!outputs[i]) return;
    CAPTURE(g[node].name);
    const float half_step = 0.501f * params[i].scale;
    const engine::activation_policy<8> policy;
    for (const float x : output) {
      const float back = policy.decode(policy.encode(x, params[i]), params[i]);
      REQUIRE(std::fabs(back - x) <= half_step);
    }
    const auto* conv = std::get_if<engine::conv2d>(&g[node].op);
    if (conv != nullptr && conv->clamp.lowest == 0) REQUIRE(params[i].zero_point == 0);
  });
}

TEST_CASE("calibration without data or with overflowing outputs names the layer", "[engine]") {
  const auto model = bundled::model("resnet20");
  const engine::graph g = bundled::folded(model.network);
  const auto outputs = engine::quantized_outputs(g, {});
  const std::vector<engine::tensor_statistics> nothing(g.nodes.size());
  const auto params = engine::estimate(g, outputs, nothing, engine::estimator::mse, 8, {});
  REQUIRE(!params);
  REQUIRE(vq::describe(params.error()) ==
          "calibration: output of 'input': no data have been observed yet");

  engine::graph huge = g;
  for (float& w : std::get<engine::conv2d>(huge[1].op).weight.values) w = 1e38f;
  const auto images = bundled::calibration_images(model);
  const auto seen = engine::observe(huge, outputs, images, {}, [] {});
  REQUIRE(!seen);
  REQUIRE(vq::describe(seen.error()) ==
          "calibration: output of 'relu': the data contain NaN or infinity");
}
