// torch_quantize: every case of PyTorch's quantize, dequantize and fake_quantize.
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/quantized_view.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using vq::index_type;

// Calls f with the policy that has these codes; the type must be in the list.
template <class F>
void with_codes(int lowest, int highest, F f) {
  using vq::asymmetric;
  using vq::full;
  using vq::signed_codes;
  using vq::unsigned_codes;
  bool found = false;
  const auto offer = [&](auto policy) {
    if (policy.limits.lowest != lowest || policy.limits.highest != highest || found) return;
    found = true;
    f(policy);
  };
  offer(vq::uniform<8, asymmetric>{});
  offer(vq::uniform<8, asymmetric, vq::narrow>{});
  offer(vq::uniform<8, asymmetric, full, unsigned_codes>{});
  offer(vq::uniform<7, asymmetric>{});
  offer(vq::uniform<7, asymmetric, full, unsigned_codes>{});
  offer(vq::uniform<4, asymmetric>{});
  offer(vq::uniform<4, asymmetric, full, unsigned_codes>{});
  offer(vq::uniform<3, asymmetric>{});
  offer(vq::uniform<2, asymmetric>{});
  offer(vq::uniform<16, asymmetric>{});
  offer(vq::uniform<16, asymmetric, full, unsigned_codes>{});
  if (!found) FAIL("no policy for codes " << lowest << " to " << highest);
}

vq::affine_param per_tensor_param(const nlohmann::json& p) {
  return {static_cast<float>(p.at("scale").get<double>()), p.at("zero_point").get<int>()};
}

std::vector<vq::affine_param> per_channel_params(const golden::test_case& c) {
  const auto scale = c.input<float>("scale").data;
  const auto zero_point = c.input<std::int32_t>("zero_point").data;
  std::vector<vq::affine_param> params(scale.size());
  for (std::size_t i = 0; i < params.size(); ++i) params[i] = {scale[i], zero_point[i]};
  return params;
}

// Any shape as three dimensions around an axis, so that the axis becomes a template argument.
template <class T>
vq::tensor_view<T, 3> around_axis(T* data, const std::vector<index_type>& shape, int axis) {
  vq::shape_type<3> extents{1, shape[static_cast<std::size_t>(axis)], 1};
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (i != axis) extents[i < axis ? 0 : 2] *= shape[static_cast<std::size_t>(i)];
  }
  return {data, extents};
}

template <class Policy, class Granularity, class V>
void check_codes(const golden::test_case& c, const V& view,
                 const std::vector<vq::affine_param>& params) {
  const vq::quantizer<Policy, Granularity, vq::stored_as<vq::bytes>> q{};
  std::vector<typename Policy::code_type> codes(static_cast<std::size_t>(view.size()));
  REQUIRE(vq::quantize(q, view, params, codes) == vq::status::ok);
  golden::check(c, "q", codes);
  std::vector<float> values(codes.size());
  const vq::tensor_view<float, V::rank()> out{values.data(), view.extents()};
  REQUIRE(vq::dequantize(q, codes, params, out) == vq::status::ok);
  if (c.has_output("dequantized")) golden::check(c, "dequantized", values);
}

// Clamps nothing and does not say where it would.
struct rounding {
  static constexpr int bits = 8;
  using code_type = std::int8_t;
  struct param_type {};
  constexpr param_type fit(vq::range) const noexcept { return {}; }
  constexpr float encode(float x, param_type) const noexcept { return vq::op::round_even(x); }
  constexpr float decode(float code, param_type) const noexcept { return code; }
};

}  // namespace

TEST_CASE("quantize: per tensor, as PyTorch", "[quantizer][golden]") {
  for (const auto& c : golden::cases("torch_quantize", "quantize_per_tensor")) {
    CAPTURE(c.name());
    const auto x = c.input<float>("x");
    const vq::affine_param param = per_tensor_param(c.params());
    if (c.params().at("dtype") == "qint32") {  // a bias: the arithmetic, without the limits
      std::vector<std::int32_t> codes;
      std::vector<float> values;
      for (const float value : x.data) {
        const auto steps = vq::reciprocal_product::divide(value, param.scale);
        codes.push_back(static_cast<std::int32_t>(vq::reciprocal_product::round(steps)));
        values.push_back(static_cast<float>(codes.back()) * param.scale);
      }
      golden::check(c, "q", codes);
      golden::check(c, "dequantized", values);
      continue;
    }
    const vq::tensor_view<const float, 1> view{x.data.data(),
                                               {static_cast<index_type>(x.data.size())}};
    with_codes(c.params().at("qmin"), c.params().at("qmax"), [&](auto policy) {
      check_codes<decltype(policy), vq::per_tensor>(c, view, {param});
    });
  }
}

TEST_CASE("quantize: per channel, as PyTorch", "[quantizer][golden]") {
  for (const auto& c : golden::cases("torch_quantize", "quantize_per_channel")) {
    CAPTURE(c.name());
    const auto x = c.input<float>("x");
    const auto view = around_axis(x.data.data(), x.shape, c.params().at("axis"));
    with_codes(c.params().at("qmin"), c.params().at("qmax"), [&](auto policy) {
      check_codes<decltype(policy), vq::per_channel<1>>(c, view, per_channel_params(c));
    });
  }
}

TEST_CASE("dequantize: as PyTorch", "[quantizer][golden]") {
  for (const auto& c : golden::cases("torch_quantize", "dequantize_per_tensor")) {
    CAPTURE(c.name());
    const auto q = c.input<std::int32_t>("q").data;
    const vq::uniform<16, vq::asymmetric> policy;  // its decode has no limits
    std::vector<float> x;
    for (const std::int32_t code : q) {
      x.push_back(policy.decode(static_cast<float>(code), per_tensor_param(c.params())));
    }
    golden::check(c, "x", x);
  }
}

TEST_CASE("fake_quantize: values and straight-through mask, as PyTorch", "[quantizer][golden]") {
  for (const auto& c : golden::cases("torch_quantize", "fake_quantize_per_tensor_affine")) {
    CAPTURE(c.name());
    const auto x = c.input<float>("x");
    const index_type size = static_cast<index_type>(x.data.size());
    const vq::tensor_view<const float, 1> view{x.data.data(), {size}};
    const std::vector<vq::affine_param> params{per_tensor_param(c.params())};
    with_codes(c.params().at("qmin"), c.params().at("qmax"), [&](auto policy) {
      const vq::quantizer<decltype(policy)> q{};
      std::vector<float> y(x.data.size()), gradient(x.data.size(), 1.f);
      REQUIRE(vq::fake_quantize(q, view, params, vq::tensor_view<float, 1>{y.data(), {size}}) ==
              vq::status::ok);
      golden::check(c, "y", y);
      REQUIRE(vq::straight_through(q, view, params, gradient) == vq::status::ok);
      golden::check(c, "grad_mask", gradient);
    });
  }
  for (const auto& c : golden::cases("torch_quantize", "fake_quantize_per_channel_affine")) {
    CAPTURE(c.name());
    const auto x = c.input<float>("x");
    const auto view = around_axis(x.data.data(), x.shape, c.params().at("axis"));
    with_codes(c.params().at("qmin"), c.params().at("qmax"), [&](auto policy) {
      const vq::quantizer<decltype(policy), vq::per_channel<1>> q{};
      std::vector<float> y(x.data.size());
      REQUIRE(vq::fake_quantize(q, view, per_channel_params(c),
                                vq::tensor_view<float, 3>{y.data(), view.extents()}) ==
              vq::status::ok);
      golden::check(c, "y", y);
    });
  }
}

TEST_CASE("quantize: short spans are refused by name", "[quantizer]") {
  const std::vector<float> x(10, 1.f);
  const vq::tensor_view<const float, 1> view{x.data(), {10}};
  const vq::quantizer<vq::uniform<4>, vq::per_block<4>> q{};
  std::vector<vq::affine_param> params(3);
  std::vector<std::uint8_t> codes(5);
  CHECK(vq::quantize(q, view, params, codes) == vq::status::ok);
  CHECK(vq::quantize(q, view, {params.data(), 2}, codes) == vq::status::too_few_params);
  CHECK(vq::quantize(q, view, params, {codes.data(), 4}) == vq::status::too_few_codes);
  std::vector<float> y(9);
  CHECK(vq::fake_quantize(q, view, params, vq::tensor_view<float, 1>{y.data(), {9}}) ==
        vq::status::size_mismatch);
}

TEST_CASE("quantize: strided and contiguous views of the same values give the same codes",
          "[quantizer]") {
  std::vector<float> x(30 * 41), transposed(30 * 41);
  for (std::size_t i = 0; i < 30; ++i) {
    for (std::size_t j = 0; j < 41; ++j) {
      x[i * 41 + j] = static_cast<float>((i * 37 + j * 11) % 97) * 0.1f - 4.f;
      transposed[j * 30 + i] = x[i * 41 + j];
    }
  }
  const vq::quantizer<vq::uniform<3>, vq::per_group<16>> q{};
  const vq::tensor_view<const float, 2> a{x.data(), {30, 41}};
  const vq::tensor_view<const float, 2> b{transposed.data(), {30, 41}, {1, 30}};
  const std::vector<vq::affine_param> params(90, {1.3f, 0});
  std::vector<std::uint8_t> codes_a(static_cast<std::size_t>(q.required(a).codes), 0xff);
  std::vector<std::uint8_t> codes_b(codes_a.size(), 0x00);
  REQUIRE(vq::quantize(q, a, params, codes_a) == vq::status::ok);
  REQUIRE(vq::quantize(q, b, params, codes_b) == vq::status::ok);
  CHECK(codes_a == codes_b);

  std::vector<float> back(x.size()), strided(x.size());
  REQUIRE(vq::dequantize(q, codes_a, params, vq::tensor_view<float, 2>{back.data(), {30, 41}}) ==
          vq::status::ok);
  const vq::tensor_view<float, 2> out{strided.data(), {30, 41}, {1, 30}};
  REQUIRE(vq::dequantize(q, codes_a, params, out) == vq::status::ok);
  CHECK(strided[1] == back[41]);

  std::vector<float> read(x.size());
  vq::view_quantized<2>(q, codes_a, params, {30, 41}).read(0, read);
  CHECK(read == back);
  CHECK((vq::view_quantized<2>(q, codes_a, params, {30, 41})(7, 19)) == back[7 * 41 + 19]);
}

TEST_CASE("quantize: empty tensors are fine", "[quantizer]") {
  const vq::tensor_view<const float, 2> none{nullptr, {0, 4}};
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q{};
  CHECK(vq::quantize(q, none, {}, {}) == vq::status::ok);
}

TEST_CASE("straight_through: a policy without in_range passes the gradient", "[quantizer]") {
  const float x[2] = {1e3f, 0.5f};
  float gradient[2] = {3, 4};
  const rounding::param_type param{};
  REQUIRE(vq::straight_through(vq::quantizer<rounding>{}, vq::tensor_view<const float, 1>{x, {2}},
                               {&param, 1}, gradient) == vq::status::ok);
  CHECK(gradient[0] == 3.f);
  CHECK(gradient[1] == 4.f);
}
