// Expected numbers: bitsandbytes' map, from its documentation and its portable backend.
#include <vq/policy/dynamic.hpp>

#include "catch.hpp"

using vq::dynamic8;
constexpr auto& levels = vq::dynamic_table::levels;

TEST_CASE("dynamic8: some levels of the map", "[policy]") {
  STATIC_REQUIRE(levels[0] == -0.992968738f);
  STATIC_REQUIRE(levels[1] == -0.978906274f);
  STATIC_REQUIRE(levels[63] == -0.107031256f);
  STATIC_REQUIRE(levels[64] == -0.0985937491f);
  STATIC_REQUIRE(levels[126] == -5.50000038e-07f);
  STATIC_REQUIRE(levels[128] == 5.50000038e-07f);
  STATIC_REQUIRE(levels[129] == 3.25000019e-06f);
  STATIC_REQUIRE(levels[191] == 0.107031256f);
  STATIC_REQUIRE(levels[254] == 0.992968738f);
}

TEST_CASE("dynamic8: every level has its code, and a sum of one", "[policy]") {
  double sum = 0;
  for (int code = 0; code < 256; ++code) {
    CHECK(dynamic8{}.encode(levels[code], {1.f}) == static_cast<float>(code));
    sum += static_cast<double>(levels[code]);
  }
  CHECK(sum == Approx(1).margin(1e-6));
}
