// Expected codes: by hand, from the definition in double precision, and from FQ-ViT and RepQ-ViT.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <vq/policy/log_scale.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

constexpr vq::log2_scale<4> log2_4;
constexpr vq::log_sqrt2_scale<4> log_sqrt2_4;
constexpr vq::scale_param unit{};
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

// The definition, in double: the code without limit.
template <int Steps>
double unlimited_code(float x) {
  return std::nearbyint(-Steps * std::log2(static_cast<double>(x)));
}

template <int Bits, int Steps>
void codes_by_definition() {
  constexpr vq::log_scale<Bits, Steps> policy;
  for (float x = 1; x > 1e-6f; x *= 0.9973f) {
    const double expected = unlimited_code<Steps>(x);
    CAPTURE(x, expected);
    CHECK(policy.encode(x, unit) ==
          static_cast<float>(std::min<double>(expected, policy.zero_code)));
  }
}

template <class Policy>
void all_codes_round_trip() {
  constexpr Policy policy;
  for (const float scale : {1.f, 0.37f, 12.f}) {
    float last = infinity;
    for (int code = 0; code <= Policy::zero_code; ++code) {
      const float value = policy.decode(static_cast<float>(code), {scale});
      CAPTURE(code, scale, value);
      CHECK(policy.encode(value, {scale}) == static_cast<float>(code));
      CHECK(value < last);
      last = value;
    }
    CHECK(last == 0);
  }
}

// Codes by the tolerance of the vectors; values where the codes agree and stand for a number.
template <class Policy>
void compare(const golden::test_case& c, vq::scale_param param) {
  constexpr Policy policy;
  const auto x = c.input<float>("x");
  const auto code = c.output<float>("code");
  const auto y = c.output<float>("y");
  std::vector<float> codes;
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const bool subnormal = x.data[i] > 0 && x.data[i] < 0x1p-126f;  // zero here, 2^-126 there
    const float mine = subnormal ? code.data[i] : policy.encode(x.data[i], param);
    codes.push_back(mine < policy.zero_code ? mine : (1 << Policy::bits) - 1);
    if (mine != code.data[i] || mine >= policy.zero_code) continue;
    CHECK(policy.decode(mine, param) == Approx(y.data[i]).epsilon(1e-5));
  }
  golden::check(c, "code", codes);
}

}  // namespace

TEST_CASE("log_scale: the examples of the papers", "[policy]") {
  const float x[] = {1, 0.7f, 0.5f, 0.3f, 0.1f, 0.02f, 0.004f, 1e-5f, 0};
  const float octaves[] = {0, 1, 1, 2, 3, 6, 8, 15, 15};
  const float halves[] = {0, 1, 2, 3, 7, 11, 15, 15, 15};
  for (std::size_t i = 0; i < std::size(x); ++i) {
    CAPTURE(x[i]);
    CHECK(log2_4.encode(x[i], unit) == octaves[i]);
    CHECK(log_sqrt2_4.encode(x[i], unit) == halves[i]);
  }
  CHECK(log2_4.decode(3.f, unit) == 0.125f);
  CHECK(log_sqrt2_4.decode(3.f, unit) == Approx(std::sqrt(0.125)));
  CHECK(log_sqrt2_4.decode(4.f, unit) == 0.25f);
}

TEST_CASE("log_scale: codes as the definition has them in double", "[policy]") {
  codes_by_definition<4, 1>();
  codes_by_definition<6, 1>();
  codes_by_definition<4, 2>();
  codes_by_definition<8, 2>();
}

TEST_CASE("log_scale: the rounding border is the float next to 2^(1/2)", "[policy]") {
  const float below = 0x1.6a09e6p-1f;  // 0.70710677, 2^-0.5 is 0.70710678...
  STATIC_REQUIRE(log2_4.encode(0x1.6a09e6p-1f, unit) == 1);
  CHECK(log2_4.encode(std::nextafter(below, 1.f), unit) == 0);
}

TEST_CASE("log_scale: zeros, negative values and NaN are zero; infinity is the scale", "[policy]") {
  for (const float x : {0.f, -0.f, -1.f, -infinity, not_a_number, 1e-45f, 1e-39f}) {
    CAPTURE(x);
    CHECK(log2_4.encode(x, unit) == log2_4.zero_code);
    CHECK(vq::log2_scale<8>{}.encode(x, unit) == vq::log2_scale<8>::zero_code);
    CHECK(log_sqrt2_4.encode(x, unit) == log_sqrt2_4.zero_code);
  }
  STATIC_REQUIRE(log2_4.decode(15.f, unit) == 0);
  CHECK(log2_4.encode(infinity, unit) == 0);
  CHECK(log_sqrt2_4.encode(3.f, {2.f}) == 0);
}

TEST_CASE("log_scale: fit takes the largest value to code 0", "[policy]") {
  STATIC_REQUIRE(log2_4.fit({0.f, 0.5f}).scale == 0.5f);
  STATIC_REQUIRE(log2_4.fit({-3.f, 0.5f}).scale == 0.5f);
  STATIC_REQUIRE(log2_4.fit({0.f, 0.f}).scale == 1.f);
  STATIC_REQUIRE(log2_4.fit(vq::empty_range).scale == 1.f);
}

TEST_CASE("log_scale: every code round-trips and values fall", "[policy]") {
  all_codes_round_trip<vq::log2_scale<4>>();
  all_codes_round_trip<vq::log2_scale<8>>();
  all_codes_round_trip<vq::log_sqrt2_scale<3>>();
  all_codes_round_trip<vq::log_sqrt2_scale<4>>();
  all_codes_round_trip<vq::log_sqrt2_scale<8>>();
}

TEST_CASE("log_scale: codes of FQ-ViT and RepQ-ViT", "[policy][golden]") {
  for (const golden::test_case& c : golden::cases("fqvit", "fqvit_log2")) {
    const int bits = c.params().at("bits").get<int>();
    if (bits == 4) compare<vq::log2_scale<4>>(c, unit);
    if (bits == 8) compare<vq::log2_scale<8>>(c, unit);
  }
  for (const golden::test_case& c : golden::cases("repq_vit", "repq_logsqrt2")) {
    if (!c.has_output("code")) {
      c.skip(golden::reason::option_not_offered);
      continue;
    }
    const int bits = c.params().at("n_bits").get<int>();
    const vq::scale_param param{c.output_value<float>("delta")};
    if (bits == 4) compare<vq::log_sqrt2_scale<4>>(c, param);
    if (bits == 6) compare<vq::log_sqrt2_scale<6>>(c, param);
    if (bits == 8) compare<vq::log_sqrt2_scale<8>>(c, param);
  }
}
