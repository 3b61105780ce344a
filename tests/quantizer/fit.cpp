#include <limits>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fit.hpp>

#include "catch.hpp"

namespace {

using per_row = vq::quantizer<vq::uniform<8>, vq::per_channel<0>>;

}  // namespace

TEST_CASE("fit: one scale per channel, from the largest magnitude", "[quantizer]") {
  const std::vector<float> w{1, -2, 0.5f, 0, 0, 0, -0.1f, 0.3f, 0.2f};
  std::vector<vq::affine_param> params(3);
  REQUIRE(vq::fit(per_row{}, vq::tensor_view<const float, 2>{w.data(), {3, 3}}, params) ==
          vq::status::ok);
  CHECK(params[0].scale == 2.f / 127);
  CHECK(params[1].scale == 1.f);  // a row of zeros
  CHECK(params[2].scale == 0.3f / 127);
}

TEST_CASE("fit: columns, rows and strides see the same values", "[quantizer]") {
  std::vector<float> w(37 * 150), transposed(37 * 150);
  for (std::size_t i = 0; i < 37; ++i) {
    for (std::size_t j = 0; j < 150; ++j) {
      w[i * 150 + j] = static_cast<float>((i * 31 + j * 17) % 101) - 40.f;
      transposed[j * 37 + i] = w[i * 150 + j];
    }
  }
  const vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<1>> by_column{};
  const vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<0>> by_row{};
  std::vector<vq::affine_param> a(150), b(150), c(150);
  REQUIRE(vq::fit(by_column, vq::tensor_view<const float, 2>{w.data(), {37, 150}}, a) ==
          vq::status::ok);
  REQUIRE(vq::fit(by_row, vq::tensor_view<const float, 2>{transposed.data(), {150, 37}}, b) ==
          vq::status::ok);
  REQUIRE(vq::fit(by_row, vq::tensor_view<const float, 2>{w.data(), {150, 37}, {1, 150}}, c) ==
          vq::status::ok);
  CHECK(a == b);
  CHECK(a == c);
}

TEST_CASE("fit: NaN and infinity are refused, wherever they stand", "[quantizer]") {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (std::size_t at : {std::size_t{0}, std::size_t{5}, std::size_t{11}}) {
      std::vector<float> w(12, 1.f);
      w[at] = bad;
      const vq::tensor_view<const float, 2> view{w.data(), {3, 4}};
      std::vector<vq::affine_param> params(4);
      CHECK(vq::fit(per_row{}, view, params) == vq::status::not_finite);
      CHECK(vq::fit(vq::quantizer<vq::uniform<8, vq::asymmetric>, vq::per_channel<1>>{}, view,
                    params) == vq::status::not_finite);
    }
  }
}

TEST_CASE("fit: a short span of parameters is refused before anything is written", "[quantizer]") {
  const std::vector<float> w(6, 1.f);
  std::vector<vq::affine_param> params(2, {7, 7});
  CHECK(vq::fit(per_row{}, vq::tensor_view<const float, 2>{w.data(), {3, 2}}, params) ==
        vq::status::too_few_params);
  CHECK(params[0] == vq::affine_param{7, 7});
}

TEST_CASE("fit: half floats are data like any", "[quantizer]") {
  const vq::half w[2] = {vq::half(0.5f), vq::half(-2.f)};
  vq::affine_param param;
  REQUIRE(vq::fit(vq::quantizer<vq::uniform<8>>{}, vq::tensor_view<const vq::half, 1>{w, {2}},
                  {&param, 1}) == vq::status::ok);
  CHECK(param.scale == 2.f / 127);
}
