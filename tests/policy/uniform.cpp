// Expected numbers: reference/uniform worked examples, computed by hand.
#include <cmath>
#include <limits>

#include <vq/policy/uniform.hpp>

#include "catch.hpp"

using vq::asymmetric;
using vq::full;
using vq::narrow;
using vq::signed_codes;
using vq::symmetric;
using vq::uniform;
using vq::unsigned_codes;

using int8 = uniform<8>;
using int8_full = uniform<8, symmetric, full>;
using uint8 = uniform<8, asymmetric, full, unsigned_codes>;
using onnx_uint8 = uniform<8, asymmetric, full, unsigned_codes, vq::exact_division>;
using tflite_int8 = uniform<8, asymmetric, full, signed_codes, vq::exact_division_half_away>;

TEST_CASE("uniform: bits, sign and width decide the codes", "[policy]") {
  STATIC_REQUIRE(int8::limits.lowest == -127);
  STATIC_REQUIRE(int8::limits.highest == 127);
  STATIC_REQUIRE(int8_full::limits.lowest == -128);
  STATIC_REQUIRE(uint8::limits.highest == 255);
  STATIC_REQUIRE(uniform<4>::limits.lowest == -7);
  STATIC_REQUIRE(uniform<2>::limits.highest == 1);
  STATIC_REQUIRE(uniform<16, asymmetric>::limits.lowest == -32768);
  STATIC_REQUIRE(uniform<8, symmetric, narrow, unsigned_codes>::limits.highest == 254);
  STATIC_REQUIRE(uniform<8, symmetric, narrow, unsigned_codes>::limits.zero == 127);
  STATIC_REQUIRE(uniform<8, symmetric, full, unsigned_codes>::limits.zero == 128);
  STATIC_REQUIRE(uniform<8, asymmetric, vq::codes_between<-64, 63>>::limits.lowest == -64);
  STATIC_REQUIRE(std::is_same_v<uint8::code_type, std::uint8_t>);
  STATIC_REQUIRE(std::is_same_v<uniform<16>::code_type, std::int16_t>);
}

TEST_CASE("uniform: the worked example of an asymmetric range", "[policy]") {
  constexpr uint8 p;
  constexpr auto param = p.fit({-1.f, 3.f});
  STATIC_REQUIRE(param.scale == 4.f / 255);
  STATIC_REQUIRE(param.zero_point == 64);
  STATIC_REQUIRE(p.encode(-1.f, param) == 0.f);
  STATIC_REQUIRE(p.encode(0.f, param) == 64.f);
  STATIC_REQUIRE(p.encode(.5f, param) == 96.f);
  STATIC_REQUIRE(p.encode(3.f, param) == 255.f);
  STATIC_REQUIRE(p.encode(4.f, param) == 255.f);
  CHECK(p.decode(0.f, param) == Approx(-1.0039).margin(1e-4));
  CHECK(p.decode(255.f, param) == Approx(2.9961).margin(1e-4));
}

TEST_CASE("uniform: halves round to even, or away from zero where TFLite does", "[policy]") {
  constexpr vq::affine_param unit{};
  constexpr float inputs[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f};
  constexpr float even[] = {0, 2, 2, 0, -2, -2};
  constexpr float away[] = {1, 2, 3, -1, -2, -3};
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(int8{}.encode(inputs[i], unit) == even[i]);
    CHECK(tflite_int8{}.encode(inputs[i], unit) == away[i]);
  }
}

TEST_CASE("uniform: reciprocal and division differ where FBGEMM's documentation says", "[policy]") {
  constexpr vq::affine_param p{0.00214854861f, 0};
  constexpr float x = 0.273939937f;
  CHECK(uint8{}.encode(x, p) == 128.f);
  CHECK(onnx_uint8{}.encode(x, p) == 127.f);
}

TEMPLATE_TEST_CASE("uniform: laws of every grid", "[policy]", uniform<2>, uniform<3>, uniform<4>,
                   uniform<5>, uniform<6>, uniform<7>, uniform<8>, uniform<16>, int8_full, uint8,
                   onnx_uint8, tflite_int8, (uniform<4, asymmetric>),
                   (uniform<8, symmetric, full, unsigned_codes>)) {
  constexpr TestType p;
  constexpr auto& codes = TestType::limits;
  for (const vq::range r : {vq::range{-1.f, 3.f}, vq::range{-0.01f, 0.02f}, vq::range{0.f, 6.f},
                            vq::range{-3e38f, 3e38f}, vq::range{-1e-42f, 1e-42f},
                            vq::range{0.f, 0.f}, vq::range{2.f, 5.f}, vq::range{-5.f, -2.f}}) {
    const auto param = p.fit(r);
    REQUIRE(param.scale > 0);
    REQUIRE(std::isfinite(1 / param.scale));
    REQUIRE(p.decode(p.encode(0.f, param), param) == 0.f);

    for (int code = codes.lowest; code <= codes.highest; ++code) {
      const auto c = static_cast<float>(code);
      REQUIRE(p.encode(p.decode(c, param), param) == c);
    }
    float last = -std::numeric_limits<float>::infinity();
    const float step = param.scale;
    for (int i = -300; i <= 300; ++i) {
      const float x = static_cast<float>(i) * 0.01f * r.absmax();
      const float code = p.encode(x, param);
      REQUIRE(code >= last);
      REQUIRE(code >= static_cast<float>(codes.lowest));
      REQUIRE(code <= static_cast<float>(codes.highest));
      if (p.in_range(x, param)) {
        REQUIRE(std::abs(p.decode(code, param) - x) <= 0.5f * step + 3e-7f * std::abs(x));
      }
      last = code;
    }
  }
}

TEST_CASE("uniform: NaN becomes the lowest code, infinities the ends", "[policy]") {
  constexpr vq::affine_param p{0.1f, 3};
  CHECK(uint8{}.encode(std::numeric_limits<float>::quiet_NaN(), p) == 0.f);
  CHECK(uint8{}.encode(std::numeric_limits<float>::infinity(), p) == 255.f);
  CHECK(int8{}.encode(-std::numeric_limits<float>::infinity(), {}) == -127.f);
  CHECK_FALSE(int8{}.in_range(std::numeric_limits<float>::quiet_NaN(), {}));
}
