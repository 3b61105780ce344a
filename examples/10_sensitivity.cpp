// Which layers hurt, in which formats, and the best formats for a number of bytes; one is one's own.
#include <cmath>
#include <cstdio>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <vq/plan.hpp>
#include <vq/quant.hpp>
#include <vq/sensitivity.hpp>

namespace {

constexpr std::size_t size = 32, inputs = 64;
// [menu]
struct powers {  // of two, and zero
  static constexpr const char* name = "powers";
  static constexpr float levels[8] = {-4, -2, -1, 0, 0.5f, 1, 2, 4};
};
using formats = vq::menu<vq::quantizer<vq::codebook<powers>, vq::per_channel<0>>,
                         vq::quantizer<vq::uniform<3>, vq::per_channel<0>>,
                         vq::quantizer<vq::uniform<8>, vq::per_channel<0>>>;
// [/menu]

std::vector<float> network(const std::vector<std::vector<float>>& layers, std::vector<float> x) {
  for (const auto& w : layers) {
    std::vector<float> y(size);
    for (std::size_t i = 0; i < size * size; ++i) y[i / size] += w[i] * x[i % size];
    for (std::size_t i = 0; i < size; ++i) x[i] = std::tanh(y[i]);
  }
  return x;
}

}  // namespace

int main() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.25f);
  std::vector<std::vector<float>> layers(4, std::vector<float>(size * size));
  std::vector<std::vector<float>> data(inputs, std::vector<float>(size));
  for (auto* rows : {&layers, &data}) {
    for (auto& row : *rows) {
      for (float& value : row) value = normal(random);
    }
  }

  // Squared error of the outputs, on each of eight subsets of the data.
  const auto hurt = [&](std::span<const vq::index_type> choice, vq::index_type) {
    auto changed = layers;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      if (choice[l] == vq::untouched) continue;
      const vq::tensor_view<float, 2> w{changed[l].data(), {size, size}};
      formats::visit(choice[l], [&](const auto& q) {
        std::vector<typename std::decay_t<decltype(q)>::param_type> params(size);
        if (vq::fit(q, w, params) != vq::status::ok) return;
        static_cast<void>(vq::fake_quantize(q, w, params, w));
      });
    }
    std::vector<double> error(8);
    for (std::size_t i = 0; i < data.size(); ++i) {
      const auto exact = network(layers, data[i]), y = network(changed, data[i]);
      for (std::size_t k = 0; k < y.size(); ++k) error[i % 8] += std::pow(y[k] - exact[k], 2);
    }
    return error;
  };
  // [run]
  const std::vector<vq::sensitivity_layer> names{{"a"}, {"b"}, {"c"}, {"d"}};
  const auto table = vq::analyze_sensitivity(names, formats{}, hurt);
  if (!table) return 1;
  std::vector<vq::tensor_info> tensors;
  for (const auto& n : names) tensors.push_back({n.name + ".weight", vq::dtype::f32, {size, size}});
  const auto plan =
      vq::plan_formats(*table, tensors, vq::formats_of<formats>(), {.limits = {.bytes = 3'100}});
  // [/run]
  if (!plan) return std::puts(vq::describe(plan.error()).c_str()), 1;
  for (const auto& l : plan->layers) std::printf("%s: %s\n", l.module.c_str(), l.format.c_str());
  return plan->optimal && plan->bytes <= 3'100 ? 0 : 1;
}
