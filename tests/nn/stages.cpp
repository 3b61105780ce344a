#include "stages.hpp"

#include <cstdlib>

#include "run.hpp"

TEST_CASE("output stages: what they say, wherever the output lies, with a residual or without",
          "[nn]") {
  stages::all(vq::scalar, 67, random_cases(60));
}

TEST_CASE("residual: a convolution and an addition in one rounding", "[nn]") {
  // 0.5 * 4 + 1.25 * (3 - 1) = 4.5, a tie: 4, and with the zero point 10
  const vq::float_multiplier half[1] = {{0.5f}};
  const std::int8_t r[2] = {3, -128};
  std::int8_t y[2] = {};
  vq::to_codes<std::int8_t> product{.multipliers = half, .zero_point = 6};
  const auto stage = vq::adding(product, r, {0.625f, 1}, {0.5f, 6}, y);
  CHECK(stage(4, 0, y) == 10);
  CHECK(stage(5, 0, y) == 11);
  CHECK(stage(4, 0, y + 1) == -128);
  product.codes = vq::relu(product.codes, {0.5f, 6});
  CHECK(vq::adding(product, r, {0.625f, 1}, {0.5f, 6}, y)(4, 0, y + 1) == 6);
}

TEST_CASE("residual: at most half a step of the codes between them away from add()", "[nn]") {
  direct::random r(73);
  const vq::affine_param x{0.02f, 3}, sum{0.05f, -7}, other{0.04f, 12}, out{0.06f, -20};
  constexpr float w_scale = 0.003f;
  const vq::float_multiplier to_sum[1] = {vq::float_multiplier::of(x.scale, w_scale, sum.scale)};
  const vq::float_multiplier to_out[1] = {vq::float_multiplier::of(x.scale, w_scale, out.scale)};
  const auto relu = vq::relu(vq::all_codes<std::int8_t>, out);
  const auto param = vq::fit_add(sum, other, out, relu);
  REQUIRE(param);
  constexpr vq::index_type rows = 40, inputs = 30, outputs = 20;
  std::vector<std::int8_t> in(rows * inputs), w(outputs * inputs), shortcut(rows * outputs);
  r.fill(in);
  r.fill(w);
  r.fill(shortcut);
  const vq::tensor_view<const std::int8_t, 2> from{in.data(), {rows, inputs}};
  const vq::tensor_view<const std::int8_t, 2> weight{w.data(), {outputs, inputs}};
  const vq::to_codes<std::int8_t> first{.multipliers = to_sum, .zero_point = sum.zero_point};
  const auto between = run::linear(from, x.zero_point, weight, {}, {}, first);
  const auto codes = [&](const auto& all) {
    return vq::tensor_view<const std::int8_t, 1>{all.data(), {rows * outputs}};
  };
  std::vector<std::int8_t> y(between.size()), fused(between.size());
  REQUIRE(vq::add(vq::scalar, *param, codes(between), codes(shortcut),
                  vq::tensor_view<std::int8_t, 1>{y.data(), {rows * outputs}}) == vq::status::ok);

  const vq::to_codes<std::int8_t> last{
      .multipliers = to_out, .zero_point = out.zero_point, .codes = relu};
  const auto acc = run::linear(from, x.zero_point, weight, {}, {}, vq::to_accumulators{});
  const auto stage = vq::adding(last, shortcut.data(), other, out, fused.data());
  REQUIRE(vq::requantize(vq::tensor_view<const std::int32_t, 2>{acc.data(), {rows, outputs}}, stage,
                         vq::tensor_view<std::int8_t, 2>{fused.data(), {rows, outputs}}) ==
          vq::status::ok);
  int differ = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (between[i] == -128 || between[i] == 127) continue;  // cut on the way: farther away
    // Half a step of 0.05 is 0.42 of 0.06: the codes differ by one at most.
    REQUIRE(std::abs(y[i] - fused[i]) <= 1);
    differ += y[i] != fused[i];
  }
  CHECK(differ > 0);
}

TEST_CASE("residual: refuses what it cannot add", "[nn]") {
  const vq::float_multiplier m[1];
  const std::int8_t r[1] = {};
  std::int8_t y[1] = {};
  const vq::to_codes<std::int8_t> product{.multipliers = m};
  const auto check = [&](vq::affine_param in, const std::int8_t* from) {
    return vq::adding(product, from, in, {1, 0}, y).check(1);
  };
  CHECK(check({1, 0}, r) == vq::status::ok);
  CHECK(check({1, 200}, r) == vq::status::bad_argument);
  CHECK(check({-1, 0}, r) == vq::status::bad_argument);
  CHECK(check({2000, 0}, r) == vq::status::bad_argument);
  CHECK(check({1, 0}, nullptr) == vq::status::bad_argument);
  CHECK(vq::adding(vq::to_codes<std::int8_t>{}, r, {1, 0}, {1, 0}, y).check(1) ==
        vq::status::too_few_params);
}
