// Expected numbers: bitsandbytes' table, and its portable backend's midpoints of it.
#include <cmath>

#include <vq/policy/fp4.hpp>

#include "catch.hpp"

namespace {

using vq::fp4;
constexpr fp4 q;
constexpr vq::scale_param unit{};

}  // namespace

TEST_CASE("fp4: magnitudes are those of the code bits, divided by 12", "[policy]") {
  constexpr double twelfths[8] = {0, 0.0625, 8, 12, 4, 6, 2, 3};
  for (int code = 0; code < 8; ++code) {
    const auto value = static_cast<float>(twelfths[code] / 12);
    CHECK(q.decode(static_cast<float>(code), unit) == value);
    CHECK(q.decode(static_cast<float>(code + 8), unit) == -value);
  }
}

TEST_CASE("fp4: between the magnitudes the nearer one wins, on a midpoint the lower value",
          "[policy]") {
  constexpr float ascending[8] = {0, 1, 6, 7, 4, 5, 2, 3};
  for (int i = 1; i < 8; ++i) {
    const float below = q.decode(ascending[i - 1], unit), above = q.decode(ascending[i], unit);
    const float middle = (below + above) / 2;
    CAPTURE(i, middle);
    const float lower = i == 1 ? 8.f : ascending[i - 1];  // the zero above zero is code 8
    CHECK(q.encode(middle, unit) == lower);
    CHECK(q.encode(std::nextafter(middle, 0.f), unit) == lower);
    CHECK(q.encode(std::nextafter(middle, 2.f), unit) == ascending[i]);
    const float upper = i == 1 ? 0.f : ascending[i - 1] + 8;
    CHECK(q.encode(-middle, unit) == ascending[i] + 8);
    CHECK(q.encode(std::nextafter(-middle, 0.f), unit) == upper);
    CHECK(q.encode(std::nextafter(-middle, -2.f), unit) == ascending[i] + 8);
  }
}

TEST_CASE("fp4: zero is code 0, and both zeros are +0", "[policy]") {
  STATIC_REQUIRE(q.encode(0.f, unit) == 0.f);
  STATIC_REQUIRE(q.encode(-0.f, unit) == 0.f);
  STATIC_REQUIRE(q.encode(1e-5f, unit) == 8.f);
  STATIC_REQUIRE(q.encode(-1e-5f, unit) == 0.f);
  CHECK_FALSE(std::signbit(q.decode(0.f, unit)));
  CHECK_FALSE(std::signbit(q.decode(8.f, unit)));
}

TEST_CASE("fp4: every value round-trips, and every code but the second zero", "[policy]") {
  for (const float absmax : {1.f, 0.3f, 1e-20f, 3e38f}) {
    for (int code = 0; code < 16; ++code) {
      const float value = q.decode(static_cast<float>(code), {absmax});
      CHECK(q.encode(value, {absmax}) == (code == 8 ? 0.f : static_cast<float>(code)));
    }
  }
}
