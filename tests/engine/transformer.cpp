// The quantized vision transformer: integers against their simulation, selective precision,
// calibration.
#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <vq/simd.hpp>

#include "bundled.hpp"
#include "engine/graph_part.hpp"
#include "engine/integer_network.hpp"
#include "engine/path_check.hpp"
#include "engine/transformer_calibration.hpp"

namespace {

using engine::format_family;
using engine::transformer_scheme;
using wide_network = engine::transformer_network<vq::simd::native_t>;

// The first `layers` encoder layers, without a head.
engine::graph encoder(const engine::model& model, int layers) {
  const engine::graph& g = model.network;
  const auto last = g.find("vit.encoder.layer." + std::to_string(layers - 1));
  return engine::part_of(g, engine::ancestors(g, 0, last));
}

// Everything that is offered, in one layer.
transformer_scheme everything(int bits, format_family after_softmax) {
  transformer_scheme s;
  s.bits = {bits, bits, {{"input", {.outputs = 8}}}};
  s.range = engine::estimator::mse;
  s.norms = engine::norm_rewriting::reparameterized;
  s.probabilities = {after_softmax};
  s.after_gelu = {bits == 8 ? format_family::affine : format_family::twin_two_sided};
  s.weights = {engine::weight_scheme::estimator::mse, 0.01, 0.01};
  s.images = 2;
  return s;
}

std::string refusal(const engine::graph& g, const engine::precision& p) {
  const auto bits = engine::assign_bits(g, p);
  REQUIRE(!bits);
  return vq::describe(bits.error());
}

}  // namespace

TEST_CASE("integers and their simulation give the same codes and the same floats", "[engine]") {
  const auto model = bundled::model("vit");
  const auto g = encoder(model, 1);
  const auto calibration = bundled::calibration_images(model);
  const auto family = GENERATE(format_family::affine, format_family::twin, format_family::log2,
                               format_family::log_sqrt2, format_family::adaptive_log);
  const int bits = family == format_family::affine ? 8 : 4;
  const auto q =
      bundled::require(engine::quantize_transformer(g, calibration, everything(bits, family), {}));
  const auto network = bundled::require(wide_network::build(q));
  const auto d = engine::compare_paths<engine::simulated_network<double>>(
      q, network, bundled::test_images(model), 2);
  REQUIRE(d.codes > 2 * 100'000);
  // Sums are exact on both sides; a double whose float is a tie may still fall to either side.
  REQUIRE(d.different_codes * 100'000 <= d.codes);
  REQUIRE(d.same_input_logit_difference <= 1e-6f * d.largest_logit);
}

TEST_CASE("wide kernels run the transformer as the reference does, bit for bit", "[engine]") {
  const auto model = bundled::model("vit");
  const auto q = bundled::require(
      engine::quantize_transformer(encoder(model, 1), bundled::calibration_images(model),
                                   everything(4, format_family::log_sqrt2), {}));
  const auto reference = bundled::require(engine::transformer_network<vq::scalar_t>::build(q));
  const auto wide = bundled::require(wide_network::build(q));
  const auto images = bundled::test_images(model);
  REQUIRE(bundled::logits(wide, images, 1) == bundled::logits(reference, images, 1));
}

TEST_CASE("calibration does not depend on the threads", "[engine]") {
  const auto model = bundled::model("vit");
  const auto g = encoder(model, 1);
  const auto calibration = bundled::calibration_images(model);
  auto scheme = everything(4, format_family::twin);
  scheme.images = 5;
  const auto one = bundled::require(engine::quantize_transformer(g, calibration, scheme, {1}));
  const auto three = bundled::require(engine::quantize_transformer(g, calibration, scheme, {3}));
  for (std::size_t i = 0; i < one.weights.size(); ++i) {
    if (!one.weights[i]) continue;
    CAPTURE(g.nodes[i].name);
    REQUIRE(one.weights[i]->codes == three.weights[i]->codes);
    REQUIRE(one.weights[i]->bias == three.weights[i]->bias);
  }
}

TEST_CASE("patterns select by the names of modules", "[engine]") {
  STATIC_REQUIRE(engine::matches("*.attention.query", "layer.0.attention.query"));
  STATIC_REQUIRE(engine::matches("layer.?.output", "layer.3.output"));
  STATIC_REQUIRE(!engine::matches("layer.?.output", "layer.10.output"));
  STATIC_REQUIRE(!engine::matches("query", "a.query"));
  STATIC_REQUIRE(engine::matches("*", ""));

  const auto g = bundled::model("vit").network;
  const auto bits = bundled::require(engine::assign_bits(
      g, {4, 4, {{"*.query", {.weights = 8}}, {"*.layer.0.*", {.outputs = 6}}}}));
  const auto of = [&](const char* name) { return bits[engine::at(g.find(name))]; };
  REQUIRE(of("vit.encoder.layer.1.attention.attention.query").weights == 8);
  REQUIRE(of("vit.encoder.layer.1.attention.attention.query").outputs == 4);
  REQUIRE(of("vit.encoder.layer.0.attention.attention.query").outputs == 6);
  REQUIRE(of("vit.encoder.layer.0.attention.attention.key").weights == 4);
}

TEST_CASE("precision that selects nothing, or offers no such bits, is refused", "[engine]") {
  const auto g = bundled::model("vit").network;
  REQUIRE(refusal(g, {4, 4, {{"*.querry", {.weights = 8}}}}) ==
          "precision: pattern '*.querry' selects no module");
  REQUIRE(refusal(g, {4, 4, {{"*.probs", {.weights = 8}}}}) ==
          "precision: pattern '*.probs' selects no module with weights");
  REQUIRE(refusal(g, {4, 4, {{"*.probs", {.outputs = 7}}}}) ==
          "precision: pattern '*.probs': 4, 6 and 8 bits are offered");
  REQUIRE(refusal(g, {3, 4}) == "precision: 3 and 4 bits: 4, 6 and 8 are offered");
}

TEST_CASE("float activations keep the simulation; integers refuse them by name", "[engine]") {
  const auto model = bundled::model("vit");
  transformer_scheme scheme;
  scheme.bits = {4, 16};
  scheme.images = 1;
  const auto q = bundled::require(engine::quantize_transformer(
      encoder(model, 1), bundled::calibration_images(model), scheme, {}));
  REQUIRE(
      bundled::logits(engine::fake_quantized_network(q), bundled::test_images(model), 1).size() ==
      65 * 192);
  const auto network = wide_network::build(q);
  REQUIRE(!network);
  REQUIRE(vq::describe(network.error())
              .find("layer 'vit.embeddings.patch_embeddings.projection' cannot run in integers") ==
          0);
}

TEST_CASE("calibration names the layer whose values overflow, and needs images", "[engine]") {
  const auto model = bundled::model("vit");
  auto g = encoder(model, 1);
  const auto calibration = bundled::calibration_images(model);
  transformer_scheme scheme;
  scheme.images = 0;
  const auto nothing = engine::quantize_transformer(g, calibration, scheme, {});
  REQUIRE(!nothing);
  REQUIRE(vq::describe(nothing.error()) ==
          "calibration: layer 'input': no data have been observed yet");

  scheme.images = 1;
  const auto fc = g.find("vit.encoder.layer.0.attention.attention.query");
  auto& query = std::get<engine::linear>(g[fc].op);
  std::fill(query.bias.begin(), query.bias.end(), std::numeric_limits<float>::infinity());
  const auto infinite = engine::quantize_transformer(g, calibration, scheme, {});
  REQUIRE(!infinite);
  REQUIRE(vq::describe(infinite.error()) ==
          "calibration: layer 'vit.encoder.layer.0.attention.attention.query': the data contain "
          "NaN or infinity");
}
