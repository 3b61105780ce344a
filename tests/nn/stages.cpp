#include "stages.hpp"

TEST_CASE("output stages: what they say, wherever the output lies, with a residual or without",
          "[nn]") {
  stages::all(vq::scalar, 67, 60);
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
