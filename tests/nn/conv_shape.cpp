#include <vq/nn/conv_shape.hpp>

#include "catch.hpp"

TEST_CASE("output_size: as many windows as fit", "[nn]") {
  STATIC_REQUIRE(vq::output_size({32, 32}, {3, 3}, {.padding = vq::pad_evenly(1)}) ==
                 vq::size2d{32, 32});
  STATIC_REQUIRE(vq::output_size({32, 31}, {3, 3}, {.stride = {2, 2}}) == vq::size2d{15, 15});
  STATIC_REQUIRE(vq::output_size({7, 7}, {3, 3}, {.dilation = {3, 2}}) == vq::size2d{1, 3});
  STATIC_REQUIRE(vq::output_size({2, 9}, {3, 3}, {}) == vq::size2d{0, 7});
  STATIC_REQUIRE(vq::window_span(3, 2) == 5);
}

TEST_CASE("same_padding: ceil(in / stride) positions, the odd element at the end", "[nn]") {
  constexpr auto even = vq::same_padding({8, 7}, {3, 3}, {2, 2});
  STATIC_REQUIRE(even.top == 0);
  STATIC_REQUIRE(even.bottom == 1);
  STATIC_REQUIRE(even.left == 1);
  STATIC_REQUIRE(even.right == 1);
  for (vq::index_type size = 1; size < 20; ++size) {
    for (vq::index_type kernel = 1; kernel < 6; ++kernel) {
      for (vq::index_type stride = 1; stride < 5; ++stride) {
        for (vq::index_type dilation = 1; dilation < 4; ++dilation) {
          const vq::size2d d{dilation, dilation}, s{stride, stride}, in{size, size};
          const auto p = vq::same_padding(in, {kernel, kernel}, s, d);
          const auto out =
              vq::output_size(in, {kernel, kernel}, {.stride = s, .padding = p, .dilation = d});
          REQUIRE(out.height == (size + stride - 1) / stride);
        }
      }
    }
  }
}

TEST_CASE("window2d: strides and dilations are positive, padding is not negative", "[nn]") {
  STATIC_REQUIRE(vq::window2d{}.valid());
  STATIC_REQUIRE_FALSE(vq::window2d{.stride = {0, 1}}.valid());
  STATIC_REQUIRE_FALSE(vq::window2d{.dilation = {1, 0}}.valid());
  STATIC_REQUIRE_FALSE(vq::window2d{.padding = {0, 0, -1, 0}}.valid());
}
