#include <limits>

#include <vq/policy/vectorwise_int8.hpp>

#include "catch.hpp"

TEST_CASE("vectorwise_int8: halves round to even, ends are kept", "[policy]") {
  constexpr vq::vectorwise_int8 p;
  constexpr auto unit = p.fit({-127.f, 3.f});
  STATIC_REQUIRE(unit.scale == 127.f);
  STATIC_REQUIRE(p.encode(2.5f, unit) == 2.f);
  STATIC_REQUIRE(p.encode(3.5f, unit) == 4.f);
  STATIC_REQUIRE(p.encode(-127.f, unit) == -127.f);
  STATIC_REQUIRE(p.encode(1000.f, unit) == 127.f);
  STATIC_REQUIRE(p.encode(-1000.f, unit) == -127.f);
  STATIC_REQUIRE(p.encode(0.f, unit) == 0.f);
  STATIC_REQUIRE(p.decode(0.f, unit) == 0.f);
}

TEST_CASE("vectorwise_int8: codes survive their own values", "[policy]") {
  constexpr vq::vectorwise_int8 p;
  for (const float absmax : {1e-30f, 0.02f, 1.f, 6.f, 1e30f}) {
    const auto param = p.fit({-absmax, absmax});
    for (int code = -127; code <= 127; ++code) {
      const auto c = static_cast<float>(code);
      CHECK(p.encode(p.decode(c, param), param) == c);
    }
    CHECK(p.encode(absmax, param) == 127.f);
  }
}

TEST_CASE("vectorwise_int8: rows of zeros, tiny rows and NaN have codes", "[policy]") {
  constexpr vq::vectorwise_int8 p;
  const auto zero = p.fit({0.f, 0.f});
  CHECK(p.encode(0.f, zero) == 0.f);
  CHECK(p.decode(0.f, zero) == 0.f);
  const auto tiny = p.fit({-1e-44f, 1e-44f});  // 127 / absmax is infinite
  CHECK(p.encode(0.f, tiny) == 0.f);
  CHECK(p.encode(std::numeric_limits<float>::quiet_NaN(), p.fit({-1.f, 1.f})) == -127.f);
}
