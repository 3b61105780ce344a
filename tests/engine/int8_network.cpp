// The integer network against the reference kernels and against its simulation in floats.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <vq/simd.hpp>

#include "engine/equalization.hpp"
#include "engine/integer_network.hpp"
#include "engine/path_check.hpp"
#include "quantized.hpp"

namespace {

using wide_network = engine::int8_network<vq::simd::native_t>;

}  // namespace

TEST_CASE("simulation and integer path: the same codes up to float rounding", "[engine]") {
  const auto model = bundled::model(GENERATE("resnet20", "mobilenetv2"));
  CAPTURE(model.name);
  const engine::graph g = bundled::folded(model.network);
  const auto q = bundled::quantized(g, bundled::calibration_images(model), 8);
  const auto network = bundled::require(wide_network::build(q));
  const auto d =
      engine::compare_paths(q, network, bundled::test_images(model), bundled::image_count);
  CAPTURE(d.codes, d.different_codes, d.same_input_logit_difference, d.logit_difference);
  REQUIRE(d.images == bundled::image_count);
  // Each layer from the same codes: a sum within float rounding of the border between two codes
  // may fall to either side.
  REQUIRE(d.codes > d.images * 200'000);
  REQUIRE(d.largest_code_difference <= 1);
  REQUIRE(d.different_codes * 100'000 < d.codes);
  REQUIRE(d.same_input_logit_difference <= 1e-5f * d.largest_logit);
  // End to end such codes add up to a little: of 64 images at most one changes its class.
  REQUIRE(d.logit_difference <= 0.05f * d.largest_logit);
  REQUIRE(d.same_class >= d.images - 1);
}

TEST_CASE("wide kernels give the codes and logits of the reference, bit for bit", "[engine]") {
  const auto model = bundled::model(GENERATE("resnet20", "mobilenetv2"));
  const auto images = bundled::test_images(model);
  engine::graph g = bundled::folded(model.network);
  if (model.name == "mobilenetv2") {  // with a limit for each channel
    g = bundled::require(engine::equalize_layers(g)).network;
  }
  const auto q = bundled::quantized(g, bundled::calibration_images(model), 2);
  const auto reference = bundled::require(engine::int8_network<vq::scalar_t>::build(q));
  const auto wide = bundled::require(wide_network::build(q));

  std::vector<std::vector<engine::activation_code>> codes(engine::at(g.size()));
  auto reference_memory = reference.workspace();
  auto wide_memory = wide.workspace();
  const auto image = images.read(0);
  const auto expected = reference.run(
      image, reference_memory, [&](vq::index_type n, std::span<const engine::activation_code> c) {
        codes[engine::at(n)].assign(c.begin(), c.end());
      });
  const auto logits = wide.run(image, wide_memory,
                               [&](vq::index_type n, std::span<const engine::activation_code> c) {
                                 CAPTURE(g[n].name);
                                 REQUIRE(std::vector(c.begin(), c.end()) == codes[engine::at(n)]);
                               });
  REQUIRE(std::vector(logits.begin(), logits.end()) ==
          std::vector(expected.begin(), expected.end()));
}

TEST_CASE("codes of fewer bits stay within their grid, and take fewer bytes", "[engine]") {
  const auto model = bundled::model("resnet20");
  const engine::graph g = bundled::folded(model.network);
  const auto calibration = bundled::calibration_images(model);
  engine::quantization_scheme scheme;
  scheme.weights.bits = scheme.activation_bits = 4;
  const auto q = bundled::quantized(g, calibration, 2, scheme);
  const auto network = bundled::require(wide_network::build(q));
  auto memory = network.workspace();
  network.run(calibration.read(0), memory,
              [](vq::index_type, std::span<const engine::activation_code> codes) {
                REQUIRE(*std::max_element(codes.begin(), codes.end()) <= 15);
              });
  // 270,896 weights at half a byte; a scale and a bias of 4 bytes for each of 784 + 10 outputs; a
  // scale and a zero point for each of the 32 outputs that are codes.
  REQUIRE(q.bytes() == 270'896 / 2 + 794 * 8 + 32 * 5);
  REQUIRE(g.bytes() == (270'896 + 794) * 4);
  REQUIRE(model.network.bytes() == (270'896 + 10 + 4 * 784) * 4);
}

TEST_CASE("a layer that is not in integers is refused by name", "[engine]") {
  const auto model = bundled::model("resnet20");
  const auto calibration = bundled::calibration_images(model);
  const auto refusal = [](const engine::quantized_graph& q) {
    const auto network = wide_network::build(q);
    REQUIRE(!network);
    return vq::describe(network.error());
  };
  const auto unfolded = bundled::quantized(model.network, calibration, 1);
  REQUIRE(refusal(unfolded).find("layer 'conv1' cannot run in integers") == 0);

  engine::quantization_scheme float_head;
  float_head.head = engine::quantization_scheme::head_format::floats;
  const auto q = bundled::quantized(bundled::folded(model.network), calibration, 1, float_head);
  REQUIRE(refusal(q).find("layer 'avgpool' cannot run in integers") == 0);
  // The simulation runs both.
  const auto images = bundled::test_images(model);
  REQUIRE(bundled::logits(engine::fake_quantized_network(unfolded), images, 1).size() == 10);
  REQUIRE(bundled::logits(engine::fake_quantized_network(q), images, 1).size() == 10);
}
