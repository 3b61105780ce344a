#include <algorithm>

#include "golden/golden.hpp"
#include "run.hpp"

namespace {

using code = std::int8_t;
using multiplier = vq::fixed_multiplier<vq::double_rounding>;

std::vector<multiplier> stored_multipliers(const golden::test_case& c) {
  const auto m = c.input<std::int32_t>("multiplier").data;
  const auto shift = c.input<int>("shift").data;
  std::vector<multiplier> all;
  for (std::size_t i = 0; i < m.size(); ++i) all.push_back({m[i], shift[i]});
  return all;
}

vq::affine_param param(const golden::test_case& c, const std::string& of) {
  return {static_cast<float>(c.params().value(of + "_scale", 1.0)),
          c.params().at(of + "_zero_point").get<std::int32_t>()};
}

void convolution(const golden::test_case& c) {
  const auto& facts = c.params();
  const auto x = c.input<code>("X_nhwc"), w = c.input<code>("W");
  const auto& e = x.shape;
  const vq::tensor_view<const code, 4> input{
      x.data.data(), {e[0], e[3], e[1], e[2]}, {e[1] * e[2] * e[3], 1, e[2] * e[3], e[3]}};
  // (outputs, h, w, inputs), or (1, h, w, outputs) for depthwise kernels.
  const auto& k = w.shape;
  const bool depthwise = c.op() == "tflite_depthwise";
  const vq::tensor_view<const code, 4> weight =
      depthwise ? vq::tensor_view<const code, 4>{w.data.data(),
                                                 {k[3], 1, k[1], k[2]},
                                                 {1, 1, k[2] * k[3], k[3]}}
                : vq::tensor_view<const code, 4>{w.data.data(),
                                                 {k[0], k[3], k[1], k[2]},
                                                 {k[1] * k[2] * k[3], 1, k[2] * k[3], k[3]}};

  vq::window2d window;
  window.stride = {facts.at("stride").at(0), facts.at("stride").at(1)};
  window.dilation = {facts.at("dilation").at(0), facts.at("dilation").at(1)};
  const vq::size2d size{e[1], e[2]}, kernel{k[1], k[2]};
  if (facts.at("same").get<bool>()) {
    window.padding = vq::same_padding(size, kernel, window.stride, window.dilation);
  }
  CHECK(window.padding.top == facts.at("pad_top_left").at(0).get<vq::index_type>());
  CHECK(window.padding.left == facts.at("pad_top_left").at(1).get<vq::index_type>());

  const vq::affine_param in = param(c, "x"), out = param(c, "y");
  const auto stored = stored_multipliers(c);
  const auto found = run::multipliers<multiplier>(in, c.input<float>("w_scale").data, out);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    CHECK(found[i].multiplier == stored[i].multiplier);
    CHECK(found[i].shift == stored[i].shift);
  }
  vq::to_codes<code, multiplier> stage{.multipliers = stored, .zero_point = out.zero_point};
  if (facts.at("activation") == "relu") stage.codes = vq::relu(stage.codes, out);
  if (facts.at("activation") == "relu6") stage.codes = vq::relu6(stage.codes, out);
  CHECK(stage.codes.lowest == facts.at("act_min").get<int>());
  CHECK(stage.codes.highest == facts.at("act_max").get<int>());

  const auto y = run::conv2d(input, in.zero_point, weight,
                             depthwise ? e[3] : facts.at("groups").get<vq::index_type>(), {},
                             c.input<std::int32_t>("bias_i32").data, window, stage);
  // The stored outputs are channels last.
  const vq::size2d positions = vq::output_size(size, kernel, window);
  const vq::tensor_view<const code, 4> planar{
      y.data(), {e[0], weight.extent(0), positions.height, positions.width}};
  std::vector<code> ordered;
  for (vq::index_type n = 0; n < planar.extent(0); ++n) {
    for (vq::index_type i = 0; i < planar.extent(2); ++i) {
      for (vq::index_type j = 0; j < planar.extent(3); ++j) {
        for (vq::index_type o = 0; o < planar.extent(1); ++o) ordered.push_back(planar(n, o, i, j));
      }
    }
  }
  golden::check(c, "Y_nhwc", ordered);
}

void fully_connected(const golden::test_case& c) {
  const auto x = c.input<code>("X"), w = c.input<code>("W");
  const std::vector<multiplier> m{{c.params().at("multiplier"), c.params().at("shift")}};
  const vq::to_codes<code, multiplier> stage{.multipliers = m,
                                             .zero_point = c.params().at("y_zero_point")};
  const auto y =
      run::linear(vq::tensor_view<const code, 2>{x.data.data(), {x.shape[0], x.shape[1]}},
                  c.params().at("x_zero_point"),
                  vq::tensor_view<const code, 2>{w.data.data(), {w.shape[0], w.shape[1]}}, {},
                  c.input<std::int32_t>("bias_i32").data, stage);
  golden::check(c, "Y", y);
}

}  // namespace

TEST_CASE("golden: TFLite's reference int8 kernels", "[golden][nn]") {
  for (const auto& c : golden::cases("requant", "tflite_conv")) convolution(c);
  for (const auto& c : golden::cases("requant", "tflite_depthwise")) convolution(c);
  for (const auto& c : golden::cases("requant", "tflite_fc")) fully_connected(c);
}
