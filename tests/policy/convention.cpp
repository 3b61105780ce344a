// Expected numbers: the formulas of each framework's own source, computed by hand. The golden
// vectors of torch observers and ONNX Runtime calibrators (tests/calibrate) check them in bulk.
#include <vq/policy/convention.hpp>

#include "catch.hpp"

namespace {

constexpr vq::code_limits int8_narrow{-127, 127, 0, true};
constexpr vq::code_limits int8_full{-128, 127, 0, true};
constexpr vq::code_limits uint8_affine{0, 255, 128, false};
constexpr vq::code_limits int8_affine{-128, 127, 0, false};

}  // namespace

TEST_CASE("convention: the divisor of a symmetric scale", "[policy]") {
  constexpr vq::range r{-2.54f, 1.f};
  STATIC_REQUIRE(vq::fit_affine(r, int8_narrow).scale == 2.54f / 127);
  STATIC_REQUIRE(vq::fit_affine(r, int8_full, vq::conventions::torch).scale == 2.54f / 127.5f);
  STATIC_REQUIRE(vq::fit_affine(r, int8_narrow, vq::conventions::onnx).scale ==
                 static_cast<float>(static_cast<double>(2.54f) / 127));
}

TEST_CASE("convention: what a range of zeros becomes", "[policy]") {
  STATIC_REQUIRE(vq::fit_affine({0, 0}, int8_narrow) == vq::affine_param{1, 0});
  STATIC_REQUIRE(vq::fit_affine({0, 0}, int8_narrow, vq::conventions::torch).scale == 0x1p-23f);
  STATIC_REQUIRE(vq::fit_affine({0, 0}, uint8_affine, vq::conventions::onnx) ==
                 vq::affine_param{1, 0});
  STATIC_REQUIRE(vq::fit_affine({0, 0}, int8_affine, vq::conventions::onnx) ==
                 vq::affine_param{1, 0});
}

TEST_CASE("convention: zero is inside the grid although not inside the range", "[policy]") {
  STATIC_REQUIRE(vq::fit_affine({2, 5}, uint8_affine).zero_point == 0);
  STATIC_REQUIRE(vq::fit_affine({-5, -2}, uint8_affine).zero_point == 255);
  STATIC_REQUIRE(vq::fit_affine({2, 5}, int8_affine).zero_point == -128);
}

TEST_CASE("convention: the largest finite range has a finite scale", "[policy]") {
  constexpr auto p = vq::fit_affine({-3.4e38f, 3.4e38f}, uint8_affine);
  STATIC_REQUIRE(p.scale > 2.6e36f);
  STATIC_REQUIRE(p.scale < 2.7e36f);
  STATIC_REQUIRE((p.zero_point == 127 || p.zero_point == 128));
}

TEST_CASE("convention: TFLite takes the zero point from the end with the smaller error",
          "[policy]") {
  // TFLite's own example of nudging: [-1, 3] on uint8 puts zero at 63.75 -> 64
  STATIC_REQUIRE(vq::fit_affine({-1, 3}, uint8_affine, vq::conventions::tflite).zero_point == 64);
  // 0.5 lies half way: away from zero
  STATIC_REQUIRE(vq::fit_affine({-1, 509}, uint8_affine, vq::conventions::tflite).zero_point == 1);
}

TEST_CASE("convention: a NaN in the range counts as zero", "[policy]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(vq::fit_affine({nan, 2.55f}, uint8_affine) == vq::fit_affine({0, 2.55f}, uint8_affine));
}
