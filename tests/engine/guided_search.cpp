// The Hessian-guided search end to end: gradients of the network, parameters of one layer, and what
// they do to its answers.
#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <vq/optimize/product_search.hpp>
#include <vq/quant.hpp>

#include "bundled.hpp"
#include "engine/gradient.hpp"

namespace {

using engine::index_type;
using inputs_4 = vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>;
using weights_4 = vq::uniform<4>;
using search_type = vq::product_search<inputs_4, weights_4>;

const std::string layer = "vit.encoder.layer.2.intermediate.dense";

// Of all answers for images [first, last): mean KL(float || the layer quantized).
double divergence(const engine::graph& g, const engine::image_set& images, index_type first,
                  index_type last, vq::affine_param x, std::span<const vq::affine_param> w) {
  engine::graph quantized = g;
  const index_type node = g.find(layer);
  auto& weight = std::get<engine::linear>(quantized[node].op).weight;
  const vq::quantizer<weights_4, vq::per_channel<0>> q;
  REQUIRE(vq::fake_quantize(q, engine::view<2>(std::as_const(weight)), w,
                            engine::view<2>(weight)) == vq::status::ok);
  const engine::float_executor exact(g), changed(quantized);
  auto memory = exact.workspace(), other = changed.workspace();
  double sum = 0;
  for (index_type i = first; i < last; ++i) {
    const auto p = engine::probabilities_of(exact.run(images.read(i), memory));
    const auto answer =
        changed.run(images.read(i), other, [&](index_type at, std::span<float> output) {
          if (at != g[node].inputs[0]) return;
          for (float& v : output) v = inputs_4{}.decode(inputs_4{}.encode(v, x), x);
        });
    const auto t = engine::probabilities_of(answer);
    for (std::size_t k = 0; k < p.size(); ++k) {
      sum += p[k] * std::log(p[k] / t[k]) / static_cast<double>(last - first);
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("guided search: from the gradients of a vision transformer to the grids of a layer",
          "[engine]") {
  const auto model = bundled::model("vit");
  const auto images = bundled::calibration_images(model);
  const engine::graph& g = model.network;
  const index_type node = g.find(layer), from = g[node].inputs[0];
  const auto& op = std::get<engine::linear>(g[node].op);
  const index_type outputs = op.weight.extent(0), inputs = op.weight.extent(1);
  const index_type count = bundled::image_count >= 64 ? 8 : 1;

  const engine::gradient_executor network(g);
  auto memory = network.workspace();
  std::mt19937 random(1);
  vq::range seen = vq::empty_range;
  const auto play = [&](auto hook) {
    random.seed(1);
    for (index_type i = 0; i < count; ++i) {
      network.run(
          images.read(i), memory,
          [&](std::span<const float> logits, std::span<float> gradient) {
            engine::fisher_gradient(logits, random, gradient);
          },
          [&](index_type at, std::span<const float>, std::span<const float> gradient) {
            if (at == node) hook(network.output(from, memory), gradient);
          });
    }
  };
  play([&](std::span<const float> x, std::span<const float>) {
    for (const float v : x) seen = vq::hull(seen, {v, v});
  });
  std::vector<vq::range> rows;
  for (index_type o = 0; o < outputs; ++o) {
    vq::range r = vq::empty_range;
    for (index_type i = 0; i < inputs; ++i) {
      const float v = op.weight.values[engine::at(o * inputs + i)];
      r = vq::hull(r, {v, v});
    }
    rows.push_back(r);
  }
  const vq::search_space space{.lowest = 0.3, .highest = 1, .steps = 10};
  search_type search(*vq::searched(inputs_4{}, std::span(&seen, 1), space),
                     *vq::searched(weights_4{}, rows, space), vq::output_metric::hessian);
  // On images that the search has not seen.
  const auto error = [&] {
    return divergence(g, images, 64, 64 + 3 * count, search.left()[0], search.right());
  };
  const double before = error();
  for (const auto moving : {vq::operand::right, vq::operand::left}) {
    search.begin(moving);
    play([&](std::span<const float> x, std::span<const float> gradient) {
      const index_type tokens = static_cast<index_type>(x.size()) / inputs;
      REQUIRE(search.add({.left = {x.data(), {tokens, inputs}},
                          .right = engine::view<2>(op.weight),
                          .bias = op.bias,
                          .gradient = gradient,
                          .rows_per_group = 1}) == vq::status::ok);
    });
    REQUIRE(search.choose() == vq::status::ok);
    CHECK(search.metric_used() == vq::output_metric::hessian);
  }
  const double after = error();
  CAPTURE(before, after);
  if (count > 1) CHECK(after < 0.5 * before);
}
