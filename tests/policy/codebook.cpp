#include <cmath>
#include <limits>

#include <vq/policy/codebook.hpp>

#include "catch.hpp"

namespace {

// Four levels that neither rise nor reach 1.
struct mixed_table {
  static constexpr const char* name = "mixed";
  static constexpr float levels[4] = {0.f, 2.f, -4.f, 1.f};
};
using mixed = vq::codebook<mixed_table>;
constexpr mixed q;
constexpr vq::scale_param unit{};

}  // namespace

static_assert(vq::quantizer_policy<mixed> && mixed::bits == 2 && !mixed::rising.rise);
static_assert(mixed::name[0] == 'm');

TEST_CASE("codebook: the nearest level wins, on a midpoint the lower one", "[policy]") {
  STATIC_REQUIRE(q.encode(-9.f, unit) == 2.f);
  STATIC_REQUIRE(q.encode(-2.001f, unit) == 2.f);
  STATIC_REQUIRE(q.encode(-2.f, unit) == 2.f);  // between -4 and 0
  STATIC_REQUIRE(q.encode(-1.999f, unit) == 0.f);
  STATIC_REQUIRE(q.encode(.5f, unit) == 0.f);
  STATIC_REQUIRE(q.encode(.501f, unit) == 3.f);
  STATIC_REQUIRE(q.encode(1.5f, unit) == 3.f);
  STATIC_REQUIRE(q.encode(1.501f, unit) == 1.f);
  STATIC_REQUIRE(q.encode(9.f, unit) == 1.f);
}

TEST_CASE("codebook: every code round-trips", "[policy]") {
  for (const float scale : {1.f, 0.37f, 1e-30f, 3e37f}) {
    for (float code = 0; code < 4; ++code) {
      CHECK(q.encode(q.decode(code, {scale}), {scale}) == code);
    }
  }
}

TEST_CASE("codebook: fit maps the largest magnitude to the largest level", "[policy]") {
  STATIC_REQUIRE(q.fit({-2.f, 8.f}).scale == 2.f);
  STATIC_REQUIRE(q.fit({-12.f, 8.f}).scale == 3.f);
  STATIC_REQUIRE(q.fit(vq::empty_range).scale == 0.f);
}

TEST_CASE("codebook: zeros have scale 0, in a short run 1e-38, and stay zeros", "[policy]") {
  STATIC_REQUIRE(q.fit({0.f, 0.f}).scale == 0.f);
  STATIC_REQUIRE(q.fit_short({-0.f, 0.f}).scale == 1e-38f);
  STATIC_REQUIRE(q.encode(0.f, {0.f}) == 0.f);
  STATIC_REQUIRE(q.encode(-0.f, {0.f}) == 0.f);
  STATIC_REQUIRE(q.decode(0.f, {0.f}) == 0.f);
}

TEST_CASE("codebook: infinities get the ends, NaN the lowest level", "[policy]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(q.encode(infinity, unit) == 1.f);
  CHECK(q.encode(-infinity, unit) == 2.f);
  CHECK(q.encode(std::numeric_limits<float>::quiet_NaN(), unit) == 2.f);
  CHECK(q.encode_short(std::numeric_limits<float>::quiet_NaN(), unit) == 2.f);
}

TEST_CASE("codebook: a short run divides, others multiply by the reciprocal", "[policy]") {
  // 1 / 7 rounds up, so 10.5 * (1 / 7) is above the midpoint 1.5, but 10.5 / 7 is on it.
  STATIC_REQUIRE(10.5f * (1 / 7.f) > 1.5f);
  STATIC_REQUIRE(q.encode(10.5f, {7.f}) == 1.f);
  STATIC_REQUIRE(q.encode_short(10.5f, {7.f}) == 3.f);
}

TEST_CASE("codebook: in_range is false beyond the ends", "[policy]") {
  STATIC_REQUIRE(q.in_range(8.f, {2.f}));
  STATIC_REQUIRE(!q.in_range(8.001f, {2.f}));
  STATIC_REQUIRE(!q.in_range(-8.001f, {2.f}));
}
