#include <algorithm>
#include <vector>

#include <vq/nn/conv2d.hpp>

#include "catch.hpp"
#include "direct.hpp"
#include "run.hpp"

using vq::index_type;

TEMPLATE_TEST_CASE("conv2d: equals the definition for random shapes, orders and zero points",
                   "[nn]", std::int8_t, std::uint8_t) {
  direct::random r(7);
  for (int i = 0; i < random_cases(400); ++i) {
    std::int32_t status = 0;
    CAPTURE(i, status);
    REQUIRE(direct::agrees<TestType, std::int8_t>(vq::scalar, r, status));
    REQUIRE(direct::agrees<TestType, std::uint8_t>(vq::scalar, r, status));
  }
}

TEST_CASE("conv2d: padding is the code of zero, so it adds nothing", "[nn]") {
  // Every code is the zero point: whatever the weights, only the bias is left.
  const std::vector<std::uint8_t> x(2 * 5 * 5, 200);
  const std::vector<std::int8_t> w(3 * 2 * 3 * 3, 127);
  const auto y =
      run::conv2d(vq::tensor_view<const std::uint8_t, 4>{x.data(), {1, 2, 5, 5}}, 200,
                  vq::tensor_view<const std::int8_t, 4>{w.data(), {3, 2, 3, 3}}, 1, {}, {7, -8, 9},
                  vq::window2d{.padding = vq::pad_evenly(2)}, vq::to_accumulators{});
  REQUIRE(y.size() == 3 * 7 * 7);
  CHECK(std::all_of(y.begin(), y.begin() + 49, [](std::int32_t a) { return a == 7; }));
  CHECK(std::all_of(y.begin() + 49, y.begin() + 98, [](std::int32_t a) { return a == -8; }));
  CHECK(std::all_of(y.begin() + 98, y.end(), [](std::int32_t a) { return a == 9; }));
}

TEST_CASE("conv2d: extreme codes do not saturate", "[nn]") {
  // Two products of 255 * 127 are 64770, which 16 bits do not hold.
  const std::vector<std::uint8_t> x(2, 255);
  const std::vector<std::int8_t> w(2, 127);
  const auto sum = [&](std::int32_t x_zero) {
    return run::conv2d(vq::tensor_view<const std::uint8_t, 4>{x.data(), {1, 2, 1, 1}}, x_zero,
                       vq::tensor_view<const std::int8_t, 4>{w.data(), {1, 2, 1, 1}}, 1, {}, {},
                       vq::window2d{}, vq::to_accumulators{});
  };
  CHECK(sum(0)[0] == 64770);
  CHECK(sum(255)[0] == 0);

  SECTION("the deepest sum of the largest products just fits") {
    constexpr index_type depth = 65793;
    const std::vector<std::int8_t> lowest(depth, -128);
    const std::vector<std::uint8_t> highest(depth, 255);
    const auto y = run::linear(vq::tensor_view<const std::uint8_t, 2>{highest.data(), {1, depth}},
                               0, vq::tensor_view<const std::int8_t, 2>{lowest.data(), {1, depth}},
                               {}, {}, vq::to_accumulators{});
    CHECK(y[0] == -128 * 255 * 65793);
  }
}

TEST_CASE("conv2d: parts of the batch and of the rows give what the whole gives", "[nn]") {
  direct::random r(23);
  direct::tensor<std::int8_t> x(direct::order::channels_last, {2, 6, 9, 8});
  r.fill(x.data);
  const direct::tensor<std::int8_t>& in = x;
  std::vector<std::int8_t> w(10 * 6 * 3 * 3);
  r.fill(w);
  const vq::tensor_view<const std::int8_t, 4> weight{w.data(), {10, 6, 3, 3}};
  const auto part = [&](index_type image, index_type rows, index_type from, vq::padding2d padding) {
    const auto all = in.view();
    const vq::tensor_view<const std::int8_t, 4> view{
        all.data_handle() + image * all.stride(0) + from * all.stride(2),
        {1, 6, rows, 8},
        all.strides()};
    return run::conv2d(view, 5, weight, 1, {}, {}, vq::window2d{.padding = padding},
                       vq::to_accumulators{});
  };
  const auto whole = run::conv2d(in.view(), 5, weight, 1, {}, {},
                                 vq::window2d{.padding = vq::pad_evenly(1)}, vq::to_accumulators{});
  const vq::tensor_view<const std::int32_t, 4> want{whole.data(), {2, 10, 9, 8}};
  // Output rows 0..3 of image 1 see the input rows 0..4, rows 4..8 the input rows 3..8.
  const auto upper = part(1, 5, 0, {1, 0, 1, 1}), lower = part(1, 6, 3, {0, 1, 1, 1});
  const vq::tensor_view<const std::int32_t, 4> top{upper.data(), {1, 10, 4, 8}};
  const vq::tensor_view<const std::int32_t, 4> bottom{lower.data(), {1, 10, 5, 8}};
  for (index_type o = 0; o < 10; ++o) {
    for (index_type y = 0; y < 9; ++y) {
      for (index_type c = 0; c < 8; ++c) {
        REQUIRE(want(1, o, y, c) == (y < 4 ? top(0, o, y, c) : bottom(0, o, y - 4, c)));
      }
    }
  }
}

TEST_CASE("conv2d: codes and floats leave through the stage of their channel", "[nn]") {
  const std::vector<std::int8_t> x{10, 20, 30, 40};
  const std::vector<std::int8_t> w{1, -1, 2};
  const vq::tensor_view<const std::int8_t, 4> image{x.data(), {1, 1, 2, 2}};
  const vq::tensor_view<const std::int8_t, 4> weight{w.data(), {3, 1, 1, 1}};
  const std::vector<vq::float_multiplier> m{{0.25f}, {0.5f}, {1.f}};
  const vq::affine_param out{0.1f, -10};
  const vq::to_codes<std::int8_t> codes{
      .multipliers = m, .zero_point = -10, .codes = vq::relu6(vq::all_codes<std::int8_t>, out)};
  // acc: 0 10 20 30, then 0 -10 -20 -30, then 0 20 40 60 (Zx = 10); 6.0 is code 50.
  CHECK(run::conv2d(image, 10, weight, 1, {}, {}, vq::window2d{}, codes) ==
        std::vector<std::int8_t>{-10, -8, -5, -2, -10, -10, -10, -10, -10, 10, 30, 50});
  const std::vector<float> scales{0.5f}, bias{0.f, 1.f, -1.f};
  CHECK(run::conv2d(image, 10, weight, 1, {}, {1, 1, 1}, vq::window2d{},
                    vq::to_float{.scales = scales, .bias = bias}) ==
        std::vector<float>{0.5f, 5.5f, 10.5f, 15.5f, 1.5f, -3.5f, -8.5f, -13.5f, -0.5f, 9.5f, 19.5f,
                           29.5f});
}

TEST_CASE("conv2d: what does not fit is refused, with a status that says what", "[nn]") {
  std::vector<std::int8_t> x(2 * 5 * 5), w(3 * 2 * 3 * 3), codes(16 * 9 * 4), y(3 * 3 * 3);
  std::vector<std::int32_t> sums(3), bias(2);
  const auto packed = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 4>{w.data(), {3, 2, 3, 3}}, 1, codes, sums);
  REQUIRE(packed);
  const vq::tensor_view<const std::int8_t, 4> in{x.data(), {1, 2, 5, 5}};
  const vq::tensor_view<std::int8_t, 4> out{y.data(), {1, 3, 3, 3}};
  std::vector<vq::float_multiplier> m(3);
  const vq::to_codes<std::int8_t> stage{.multipliers = m};
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::conv2d_workspace(in, *packed, {})));
  const auto convolve = [&](const auto& from, std::int32_t zero, const auto& b,
                            const vq::window2d& window, const auto& s, const auto& to,
                            std::span<std::int32_t> space) {
    return vq::conv2d(from, zero, *packed, b, window, s, to, space);
  };
  const std::vector<std::int32_t> none;
  CHECK(convolve(in, 0, none, {}, stage, out, workspace) == vq::status::ok);

  const vq::tensor_view<const std::int8_t, 4> three_channels{x.data(), {1, 3, 4, 4}};
  CHECK(convolve(three_channels, 0, none, {}, stage, out, workspace) == vq::status::size_mismatch);
  const vq::tensor_view<std::int8_t, 4> too_wide{y.data(), {1, 3, 3, 2}};
  CHECK(convolve(in, 0, none, {}, stage, too_wide, workspace) == vq::status::size_mismatch);
  CHECK(convolve(in, 0, none, {.dilation = {3, 3}}, stage, out, workspace) ==
        vq::status::size_mismatch);
  CHECK(convolve(in, 128, none, {}, stage, out, workspace) == vq::status::bad_argument);
  CHECK(convolve(in, 0, none, {.stride = {0, 1}}, stage, out, workspace) ==
        vq::status::bad_argument);
  CHECK(convolve(in, 0, bias, {}, stage, out, workspace) == vq::status::too_few_params);
  m.resize(2);
  const vq::to_codes<std::int8_t> two{.multipliers = m};
  CHECK(convolve(in, 0, none, {}, two, out, workspace) == vq::status::too_few_params);
  CHECK(convolve(in, 0, none, {}, stage, out, std::span(workspace).first(workspace.size() - 1)) ==
        vq::status::too_little_workspace);
  const vq::tensor_view<const std::int8_t, 4> no_images{x.data(), {0, 2, 5, 5}};
  const vq::tensor_view<std::int8_t, 4> nothing{y.data(), {0, 3, 3, 3}};
  CHECK(convolve(no_images, 0, none, {}, stage, nothing, workspace) == vq::status::ok);
}
