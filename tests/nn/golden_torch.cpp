#include "golden/golden.hpp"
#include "run.hpp"

namespace {

using X = std::uint8_t;
using W = std::int8_t;

// oneDNN adds the zero point to the float before it rounds, so a tie goes the other way where the
// zero point is odd. The library does not do so; a stage of one's own does.
struct round_after_zero_point {
  using output_type = X;
  float factor = 1;
  std::int32_t zero_point = 0;

  vq::status check(vq::index_type) const noexcept { return vq::status::ok; }
  X operator()(std::int32_t acc, vq::index_type) const noexcept {
    const float code = static_cast<float>(acc) * factor + static_cast<float>(zero_point);
    return static_cast<X>(vq::op::round_even(vq::op::clamp(code, 0.f, 255.f)));
  }
};
static_assert(vq::output_stage<round_after_zero_point>);

vq::affine_param param(const golden::test_case& c, const std::string& of) {
  return {c.params().at(of + "_scale").get<float>(),
          c.params().at(of + "_zero_point").get<std::int32_t>()};
}

// Checks accumulators and codes of a layer that layer(stage) runs.
template <class Layer>
void check_layer(const golden::test_case& c, Layer layer) {
  const vq::affine_param x = param(c, "x"), y = param(c, "y");
  const auto m = run::multipliers(x, c.input<float>("w_scale").data, y);
  golden::check(c, "accumulator_i32", layer(vq::to_accumulators{}));
  vq::to_codes<X> stage{.multipliers = m, .zero_point = y.zero_point};
  if (c.params().at("relu").get<bool>()) stage.codes = vq::relu(stage.codes, y);
  const bool ties = c.params().at("max_difference_to_rint_formula").get<int>() != 0;
  if (ties) {
    REQUIRE(m.size() == 1);
    golden::check(c, "Y", layer(round_after_zero_point{m[0].factor, y.zero_point}));
  } else {
    golden::check(c, "Y", layer(stage));
  }
}

run::bias_type bias_of(const golden::test_case& c) {
  if (!c.has_input("bias_i32")) return {};
  // The integers are those of the float bias.
  const auto real = c.input<float>("bias_f32").data;
  run::bias_type codes(real.size());
  REQUIRE(vq::quantize_bias(real, param(c, "x"), run::params(c.input<float>("w_scale").data),
                            codes) == vq::status::ok);
  const auto stored = c.input<std::int32_t>("bias_i32").data;
  CHECK(codes == stored);
  return stored;
}

vq::tensor_view<const X, 4> images(const golden::array<X>& a) {
  return {a.data.data(), {a.shape[0], a.shape[1], a.shape[2], a.shape[3]}};
}

}  // namespace

TEST_CASE("golden: torch's quantized convolutions and linear layers", "[golden][nn]") {
  for (const auto& c : golden::cases("torch_int_ops", "quantized_conv2d")) {
    const auto& facts = c.params();
    const auto x = c.input<X>("X");
    const auto w = c.input<W>("W");
    const auto pair = [&](const char* name) {
      return vq::size2d{facts.at(name).at(0), facts.at(name).at(1)};
    };
    const vq::size2d padding = pair("padding");
    const vq::window2d window{
        .stride = pair("stride"),
        .padding = {padding.height, padding.height, padding.width, padding.width},
        .dilation = pair("dilation")};
    const auto bias = bias_of(c);
    check_layer(c, [&](const auto& stage) {
      return run::conv2d(images(x), facts.at("x_zero_point"),
                         vq::tensor_view<const W, 4>{
                             w.data.data(), {w.shape[0], w.shape[1], w.shape[2], w.shape[3]}},
                         facts.at("groups"), {}, bias, window, stage);
    });
  }
  for (const auto& c : golden::cases("torch_int_ops", "quantized_linear")) {
    const auto x = c.input<X>("X");
    const auto w = c.input<W>("W");
    const auto bias = bias_of(c);
    check_layer(c, [&](const auto& stage) {
      return run::linear(vq::tensor_view<const X, 2>{x.data.data(), {x.shape[0], x.shape[1]}},
                         c.params().at("x_zero_point"),
                         vq::tensor_view<const W, 2>{w.data.data(), {w.shape[0], w.shape[1]}}, {},
                         bias, stage);
    });
  }
}

TEST_CASE("golden: torch's quantized addition, product and pooling", "[golden][nn]") {
  for (const char* op : {"quantized_add", "quantized_add_relu"}) {
    for (const auto& c : golden::cases("torch_int_ops", op)) {
      const auto a = c.input<X>("A"), b = c.input<X>("B");
      const vq::affine_param y = param(c, "y");
      auto codes = vq::all_codes<X>;
      if (c.op() == "quantized_add_relu") codes = vq::relu(codes, y);
      const auto p = vq::fit_add(param(c, "a"), param(c, "b"), y, codes);
      REQUIRE(p);
      std::vector<X> sum(a.data.size());
      REQUIRE(vq::add(*p, images(a), images(b),
                      vq::tensor_view<X, 4>{sum.data(), images(a).extents()}) == vq::status::ok);
      golden::check(c, "Y", sum);
    }
  }
  for (const auto& c : golden::cases("torch_int_ops", "quantized_mul")) {
    const auto a = c.input<X>("A").data, b = c.input<X>("B").data;
    const vq::affine_param pa = param(c, "a"), pb = param(c, "b"), y = param(c, "y");
    std::vector<std::int32_t> products;
    for (std::size_t i = 0; i < a.size(); ++i) {
      products.push_back((a[i] - pa.zero_point) * (b[i] - pb.zero_point));
    }
    const auto m = run::multipliers(pa, {pb.scale}, y);
    const vq::to_codes<X> stage{.multipliers = m, .zero_point = y.zero_point};
    std::vector<X> codes(a.size());
    const vq::shape_type<2> row{1, static_cast<vq::index_type>(a.size())};
    REQUIRE(vq::requantize(vq::tensor_view<const std::int32_t, 2>{products.data(), row}, stage,
                           vq::tensor_view<X, 2>{codes.data(), row}) == vq::status::ok);
    golden::check(c, "Y", codes);
  }
  for (const auto& c : golden::cases("torch_int_ops", "quantized_max_pool")) {
    const auto a = c.input<X>("A");
    const vq::index_type kernel = c.params().at("kernel"), stride = c.params().at("stride");
    const vq::window2d window{.stride = {stride, stride},
                              .padding = vq::pad_evenly(c.params().at("padding"))};
    const vq::size2d size = vq::output_size({a.shape[2], a.shape[3]}, {kernel, kernel}, window);
    std::vector<X> y(static_cast<std::size_t>(a.shape[0] * a.shape[1] * size.height * size.width));
    REQUIRE(vq::max_pool2d(images(a), {kernel, kernel}, window,
                           {y.data(), {a.shape[0], a.shape[1], size.height, size.width}}) ==
            vq::status::ok);
    golden::check(c, "Y", y);
  }
  for (const auto& c : golden::cases("torch_int_ops", "quantized_avg_pool")) {
    const auto a = c.input<X>("A");
    const vq::affine_param p{c.params().at("scale"), c.params().at("zero_point")};
    const auto m = run::multipliers(p, {vq::average_scale(a.shape[2] * a.shape[3]).scale}, p);
    const vq::to_codes<X> stage{.multipliers = m, .zero_point = p.zero_point};
    std::vector<X> y(static_cast<std::size_t>(a.shape[0] * a.shape[1]));
    REQUIRE(vq::global_average_pool(images(a), p.zero_point, stage,
                                    {y.data(), {a.shape[0], a.shape[1], 1, 1}}) == vq::status::ok);
    golden::check(c, "Y", y);
  }
}
