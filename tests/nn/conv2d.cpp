#include <vq/nn/conv2d.hpp>

#include "catch.hpp"
#include "direct.hpp"

TEMPLATE_TEST_CASE("conv2d: equals the definition for random shapes, orders and zero points",
                   "[nn]", std::int8_t, std::uint8_t) {
  direct::random r(7);
  for (int i = 0; i < 400; ++i) {
    std::int32_t status = 0;
    CAPTURE(i, status);
    REQUIRE(direct::agrees<TestType, std::int8_t>(vq::scalar, r, status));
    REQUIRE(direct::agrees<TestType, std::uint8_t>(vq::scalar, r, status));
  }
}
