// Expected codes: by hand, and from the definition in extended precision.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/calibrate/fit.hpp>
#include <vq/policy/adaptive_log.hpp>
#include <vq/policy/log_scale.hpp>
#include <vq/policy/twin_uniform.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"

namespace {

constexpr vq::adaptive_log<4> log_4;
constexpr vq::adaptive_log<8> log_8;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class Policy>
void codes_by_definition(std::int32_t step) {
  constexpr Policy policy;
  for (float x = 1.5f; x > 1e-7f; x *= 0.99973f) {
    const long double position = -std::log2(static_cast<long double>(x)) * 37 / step;
    const double expected = static_cast<double>(std::ceil(position - 0.5L));
    CAPTURE(x, step, expected);
    CHECK(policy.encode(x, {1, step, 0}) ==
          static_cast<float>(std::clamp<double>(expected, 0, policy.zero_code)));
  }
}

template <class Policy>
void all_codes_round_trip(vq::adaptive_log_param p) {
  constexpr Policy policy;
  float last = infinity;
  for (int code = 0; code <= Policy::zero_code; ++code) {
    const float value = policy.decode(static_cast<float>(code), p);
    CAPTURE(code, p.scale, p.step, value);
    CHECK(policy.encode(value, p) == static_cast<float>(code));
    CHECK(value < last);
    last = value;
  }
  CHECK(last == 0);
}

// Rows of a softmax of spread * N(0, 1).
std::vector<float> attention(int rows, int tokens, float spread) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> all;
  for (int r = 0; r < rows; ++r) {
    std::vector<float> row;
    float sum = 0;
    for (int t = 0; t < tokens; ++t) sum += row.emplace_back(std::exp(normal(random)));
    for (const float e : row) all.push_back(e / sum);
  }
  return all;
}

template <class Policy>
double fitted_error(const std::vector<float>& x) {
  const vq::quantizer<Policy> q;
  const vq::tensor_view<const float, 1> view{x.data(), {static_cast<vq::index_type>(x.size())}};
  typename Policy::param_type p[1];
  REQUIRE(vq::fit(q, view, p, vq::mse{}) == vq::status::ok);
  double error = 0;
  for (const float v : x) {
    const double e = v - q.policy.decode(q.policy.encode(v, p[0]), p[0]);
    error += e * e;
  }
  return error;
}

}  // namespace

TEST_CASE("adaptive_log: by hand", "[policy]") {
  STATIC_REQUIRE(log_4.encode(1.f, {}) == 0);
  STATIC_REQUIRE(log_4.encode(0.5f, {1, 37, 0}) == 1);
  STATIC_REQUIRE(log_4.decode(3.f, {2, 37, 0}) == 0.25f);
  // step 10: codes are 2^(-10/37) = 0.829162 apart; -log2(0.3) * 3.7 = 6.43
  CHECK(log_4.encode(0.3f, {1, 10, 0}) == 6);
  CHECK(log_4.decode(6.f, {1, 10, 0}) == Approx(std::exp2(-60. / 37)));
  // 14 codes of 10/37 octaves end at 2^-3.92: values below are 0 codes.
  CHECK(log_4.encode(0.07f, {1, 10, 0}) == 14);
  CHECK(log_4.encode(0.05f, {1, 10, 0}) == 15);
  // 2^-1 lies half-way between codes 18 and 19 of step 2: the lower code, the larger value.
  CHECK(log_8.encode(0.5f, {1, 2, 0}) == 18);
}

TEST_CASE("adaptive_log: codes as the definition has them, for every step", "[policy]") {
  for (const std::int32_t step : {5, 10, 20, 37, 61, 74})
    codes_by_definition<decltype(log_4)>(step);
  for (const std::int32_t step : {1, 2, 3, 18}) codes_by_definition<decltype(log_8)>(step);
  codes_by_definition<vq::adaptive_log<3>>(40);
}

TEST_CASE("adaptive_log: the thresholds are the floats below 2^(k / 74)", "[policy]") {
  constexpr vq::octave_in_74 table;
  for (int k = 1; k < 74; ++k) {
    const long double exact = std::exp2(static_cast<long double>(k) / 74);
    float below = static_cast<float>(exact);
    if (static_cast<long double>(below) >= exact) below = std::nextafter(below, 0.f);
    CHECK(std::count(std::begin(table.threshold), std::end(table.threshold), below) == 1);
  }
  // Step 37 is log2_scale, whose border is 2^(-1/2).
  for (float x = 0x1.6a09d0p-1f; x < 0x1.6a0a00p-1f; x = std::nextafter(x, 1.f)) {
    CHECK(log_4.encode(x, {1, 37, 0}) == vq::log2_scale<4>{}.encode(x, {1}));
  }
}

TEST_CASE("adaptive_log: every code round-trips and values fall", "[policy]") {
  for (const float scale : {1.f, 0.37f, 12.f}) {
    for (const std::int32_t step : {1, 10, 37, log_4.largest_step}) {
      all_codes_round_trip<decltype(log_4)>({scale, step, 0});
    }
    for (const std::int32_t step : {1, 3, log_8.largest_step}) {
      all_codes_round_trip<decltype(log_8)>({scale, step, 0});
    }
    all_codes_round_trip<vq::adaptive_log<6>>({scale, 8, 0});
  }
}

TEST_CASE("adaptive_log: zeros, negative values and NaN are zero; infinity is the scale",
          "[policy]") {
  for (const float x : {0.f, -0.f, -1.f, -infinity, not_a_number, 1e-45f, 1e-39f}) {
    CAPTURE(x);
    CHECK(log_4.encode(x, {}) == log_4.zero_code);
    CHECK(log_8.encode(x, {1, 3, 0}) == log_8.zero_code);
  }
  STATIC_REQUIRE(log_4.decode(15.f, {}) == 0);
  CHECK(log_4.encode(infinity, {}) == 0);
  CHECK(log_4.encode(3.f, {2.f, 10, 0}) == 0);
}

TEST_CASE("adaptive_log: fit takes the largest value to code 0, candidates stay in bounds",
          "[policy]") {
  STATIC_REQUIRE(log_4.fit({0.f, 0.5f}) == vq::adaptive_log_param{0.5f, 37, 0});
  STATIC_REQUIRE(log_4.fit({0.f, 0.f}).scale == 1);
  STATIC_REQUIRE(log_4.fit(vq::empty_range).scale == 1);
  STATIC_REQUIRE(log_8.fit({0.f, 1.f}).step == 3);
  for (const auto& p : log_8.candidates({0, 1})) {
    CHECK((p.step >= 1 && p.step <= log_8.largest_step && p.scale > 0));
  }
  for (const auto& p : log_4.candidates({0, 1})) CHECK((p.step >= 1 && p.step <= 74));
}

TEST_CASE("adaptive_log: a fitted base beats both fixed ones at 4 bits", "[policy]") {
  for (const float spread : {1.f, 2.f, 4.f}) {
    const auto x = attention(100, 65, spread);
    CAPTURE(spread);
    const double fitted = fitted_error<vq::adaptive_log<4>>(x);
    CHECK(fitted < fitted_error<vq::log2_scale<4>>(x));
    CHECK(fitted < fitted_error<vq::log_sqrt2_scale<4>>(x));
  }
}

TEST_CASE("adaptive_log: for diffuse rows at 6 bits too, not for sharp ones", "[policy]") {
  const auto diffuse = attention(60, 197, 1), sharp = attention(60, 197, 8);
  CHECK(fitted_error<vq::adaptive_log<6>>(diffuse) <
        0.6 * fitted_error<vq::twin_uniform<6>>(diffuse));
  CHECK(fitted_error<vq::adaptive_log<6>>(sharp) > 1.5 * fitted_error<vq::twin_uniform<6>>(sharp));
}

TEST_CASE("adaptive_log: negative values shift the codes", "[policy]") {
  constexpr auto p = log_4.fit({-0.25f, 1.75f});
  STATIC_REQUIRE(p == vq::adaptive_log_param{2, 37, 0.25f});
  STATIC_REQUIRE(log_4.encode(1.75f, p) == 0);
  STATIC_REQUIRE(log_4.decode(0.f, p) == 1.75f);
  STATIC_REQUIRE(log_4.encode(0.f, p) == 3);  // 0.25 of 2
  STATIC_REQUIRE(log_4.decode(3.f, p) == 0);
  for (const float x : {-0.25f, -1.f, -infinity, not_a_number}) CHECK(log_4.encode(x, p) == 15);
  STATIC_REQUIRE(log_4.decode(15.f, p) == -0.25f);
  CHECK(log_4.fit({-3.f, -1.f}) == vq::adaptive_log_param{3, 37, 3});
  float last = 3;
  for (int code = 0; code <= log_4.zero_code; ++code) {
    const float value = log_4.decode(static_cast<float>(code), p);
    CHECK(log_4.encode(value, p) == static_cast<float>(code));
    CHECK(value < last);
    last = value;
  }
}

TEST_CASE("adaptive_log: after a GELU of mostly negative values 2 dB better than a uniform grid",
          "[policy]") {
  std::mt19937 random(12);
  std::normal_distribution<float> normal(-1.5f, 1.2f);
  std::vector<float> x;
  for (int i = 0; i < 20000; ++i) {
    const float v = normal(random);
    x.push_back(0.5f * v * (1 + std::erf(v / std::sqrt(2.f))));
  }
  using affine = vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>;
  CHECK(fitted_error<vq::adaptive_log<4>>(x) < 0.63 * fitted_error<affine>(x));
}
