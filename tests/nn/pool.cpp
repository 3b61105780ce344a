#include <algorithm>
#include <cmath>
#include <vector>

#include <vq/nn/pool.hpp>

#include "catch.hpp"
#include "direct.hpp"

using vq::index_type;

TEST_CASE("pooling: equals the definition for all orders, strides, paddings and dilations",
          "[nn]") {
  direct::random r(41);
  for (int i = 0; i < 150; ++i) {
    const vq::shape_type<4> shape{r.between(1, 2), r.between(1, 70), r.between(3, 9),
                                  r.between(3, 9)};
    const vq::size2d size{r.between(1, 3), r.between(1, 3)};
    vq::window2d w{.stride = {r.between(1, 3), r.between(1, 3)}};
    w.padding = {size.height / 2, size.height / 2, size.width / 2, 0};
    if (r.between(0, 1) == 0) w.dilation = {1, 1 + (size.width < 3 ? 1 : 0)};
    const vq::size2d out = vq::output_size({shape[2], shape[3]}, size, w);
    const vq::shape_type<4> to{shape[0], shape[1], out.height, out.width};
    const auto any_order = [&] { return static_cast<direct::order>(r.between(0, 2)); };
    direct::tensor<std::uint8_t> x(any_order(), shape), most(any_order(), to);
    direct::tensor<std::int32_t> sum(any_order(), to);
    r.fill(x.data);
    const auto& in = x;
    REQUIRE(vq::max_pool2d(in.view(), size, w, most.view()) == vq::status::ok);
    REQUIRE(vq::average_pool2d(in.view(), 9, size, w, vq::to_accumulators{}, sum.view()) ==
            vq::status::ok);
    for (index_type n = 0; n < to[0]; ++n) {
      for (index_type c = 0; c < to[1]; ++c) {
        for (index_type oy = 0; oy < to[2]; ++oy) {
          for (index_type ox = 0; ox < to[3]; ++ox) {
            int want_most = 0, want_sum = 0;
            for (index_type a = 0; a < size.height; ++a) {
              for (index_type b = 0; b < size.width; ++b) {
                const index_type y = oy * w.stride.height - w.padding.top + a * w.dilation.height;
                const index_type z = ox * w.stride.width - w.padding.left + b * w.dilation.width;
                if (y < 0 || z < 0 || y >= shape[2] || z >= shape[3]) continue;
                want_most = std::max(want_most, int{in.view()(n, c, y, z)});
                want_sum += in.view()(n, c, y, z) - 9;
              }
            }
            REQUIRE(most.view()(n, c, oy, ox) == want_most);
            REQUIRE(sum.view()(n, c, oy, ox) == want_sum);
          }
        }
      }
    }
  }
}

TEST_CASE("max_pool2d: padding never wins, not even against the lowest codes", "[nn]") {
  const std::vector<std::int8_t> x{-128, -127, -100, -128};
  std::vector<std::int8_t> y(4);
  const vq::tensor_view<const std::int8_t, 4> in{x.data(), {1, 1, 2, 2}};
  REQUIRE(vq::max_pool2d(in, {2, 2}, {.stride = {2, 2}, .padding = vq::pad_evenly(1)},
                         {y.data(), {1, 1, 2, 2}}) == vq::status::ok);
  CHECK(y == x);
}

TEST_CASE("global_average_pool: the mean, rescaled", "[nn]") {
  const std::vector<std::uint8_t> x{10, 20, 30, 41, 0, 0, 0, 255};
  const vq::tensor_view<const std::uint8_t, 4> in{x.data(), {1, 2, 2, 2}};
  const vq::affine_param px{0.1f, 10}, py{0.05f, 3}, each = vq::average_scale(4);
  std::vector<vq::float_multiplier> m(1);
  REQUIRE(vq::find_multipliers<vq::float_multiplier>(px, std::span(&each, 1), py, m) ==
          vq::status::ok);
  CHECK(m[0].factor == Approx(0.5));
  std::vector<std::uint8_t> y(2);
  REQUIRE(vq::global_average_pool(in, 10,
                                  vq::to_codes<std::uint8_t>{.multipliers = m, .zero_point = 3},
                                  {y.data(), {1, 2, 1, 1}}) == vq::status::ok);
  CHECK(y[0] == 33);   // (101 - 40) / 2 = 30.5 is a tie: 30, and 3
  CHECK(y[1] == 111);  // (255 - 40) / 2 = 107.5 is a tie: 108, and 3
}

TEST_CASE("pooling: wrong shapes and padding beyond half a window are refused", "[nn]") {
  std::vector<std::int8_t> x(16), y(16);
  const vq::tensor_view<const std::int8_t, 4> in{x.data(), {1, 1, 4, 4}};
  const auto pool = [&](vq::size2d size, const vq::window2d& w, vq::shape_type<4> to) {
    return vq::max_pool2d(in, size, w, {y.data(), to});
  };
  CHECK(pool({2, 2}, {}, {1, 1, 3, 3}) == vq::status::ok);
  CHECK(pool({2, 2}, {}, {1, 1, 3, 2}) == vq::status::size_mismatch);
  CHECK(pool({2, 2}, {.padding = vq::pad_evenly(2)}, {1, 1, 7, 7}) == vq::status::bad_argument);
  CHECK(pool({0, 2}, {}, {1, 1, 3, 3}) == vq::status::bad_argument);
  CHECK(pool({2, 2}, {.stride = {0, 1}}, {1, 1, 3, 3}) == vq::status::bad_argument);
  CHECK(vq::average_pool2d(in, 0, {2, 2}, {}, vq::to_codes<std::int8_t>{},
                           {y.data(), {1, 1, 3, 3}}) == vq::status::too_few_params);
}
