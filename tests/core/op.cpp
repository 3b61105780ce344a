#include <cmath>
#include <limits>

#include <vq/core/op.hpp>
#include <vq/core/range.hpp>

#include "catch.hpp"

namespace op = vq::op;

TEST_CASE("op: halves round to the even integer", "[core]") {
  STATIC_REQUIRE(op::round_even(0.5f) == 0.f);
  STATIC_REQUIRE(op::round_even(1.5f) == 2.f);
  STATIC_REQUIRE(op::round_even(2.5f) == 2.f);
  STATIC_REQUIRE(op::round_even(-0.5f) == 0.f);
  STATIC_REQUIRE(op::round_even(-1.5f) == -2.f);
  STATIC_REQUIRE(op::round_even(-2.5f) == -2.f);
}

TEST_CASE("op: round_even is the C library's nearbyint", "[core]") {
  for (int i = -40'000'000; i < 40'000'000; i += 37) {
    const float x = static_cast<float>(i) * 0.25f;
    REQUIRE(op::round_even(x) == std::nearbyint(x));
    REQUIRE(std::signbit(op::round_even(x)) == std::signbit(std::nearbyint(x)));
  }
}

TEST_CASE("op: halves round away from zero when that is asked", "[core]") {
  STATIC_REQUIRE(op::round_away(0.5f) == 1.f);
  STATIC_REQUIRE(op::round_away(2.5f) == 3.f);
  STATIC_REQUIRE(op::round_away(-0.5f) == -1.f);
  STATIC_REQUIRE(op::round_away(-2.5f) == -3.f);
  // the float before one half: adding 0.5 to it would give 1
  STATIC_REQUIRE(op::round_away(0.49999997f) == 0.f);
  for (int i = -4'000'000; i < 4'000'000; i += 37) {
    const float x = static_cast<float>(i) * 0.25f;
    REQUIRE(op::round_away(x) == std::round(x));
  }
}

TEST_CASE("op: a NaN loses every comparison", "[core]") {
  // GCC 11 compares no NaN in constant expressions
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(op::max(nan, 1.f) == 1.f);
  CHECK(op::min(nan, 1.f) == 1.f);
  CHECK(op::clamp(nan, -2.f, 3.f) == -2.f);
}

TEST_CASE("op: clamp keeps the bounds and brings infinities to them", "[core]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  STATIC_REQUIRE(op::clamp(infinity, -2.f, 3.f) == 3.f);
  STATIC_REQUIRE(op::clamp(-infinity, -2.f, 3.f) == -2.f);
  STATIC_REQUIRE(op::clamp(3.f, -2.f, 3.f) == 3.f);
}

TEST_CASE("op: exp2i is exact over all normal exponents", "[core]") {
  for (int e = -126; e <= 127; ++e) {
    REQUIRE(op::exp2i(static_cast<float>(e)) == std::ldexp(1.f, e));
  }
}

TEST_CASE("op: count_below gives the nearest entry, the smaller one on a midpoint", "[core]") {
  constexpr float midpoints[3] = {-0.5f, 0.5f, 2.f};
  STATIC_REQUIRE(op::count_below(midpoints, -3.f) == 0.f);
  STATIC_REQUIRE(op::count_below(midpoints, -0.5f) == 0.f);
  STATIC_REQUIRE(op::count_below(midpoints, 0.6f) == 2.f);
  STATIC_REQUIRE(op::count_below(midpoints, 9.f) == 3.f);
}

TEST_CASE("range: the empty range is the identity of hull", "[core]") {
  constexpr vq::range r{-1, 2};
  STATIC_REQUIRE(vq::hull(vq::empty_range, r) == r);
  STATIC_REQUIRE(vq::hull(r, vq::empty_range) == r);
  STATIC_REQUIRE(vq::empty_range.empty());
  STATIC_REQUIRE(!r.empty());
  STATIC_REQUIRE(r.absmax() == 2.f);
}
