#include <cmath>
#include <limits>
#include <vector>

#include <vq/tensor.hpp>

#include "catch.hpp"

namespace {

vq::tensor<float, 4> waves() {
  vq::tensor<float, 4> t({8, 3, 3, 3});
  for (std::size_t i = 0; i < t.values().size(); ++i) {
    t.values()[i] = std::sin(static_cast<float>(i)) * static_cast<float>(1 + i / 27);
  }
  return t;
}

}  // namespace

TEST_CASE("quantized_tensor: one call quantizes, one gives the floats back", "[tensor]") {
  const auto conv = waves();
  const auto packed =
      vq::quantize(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, conv.view());
  REQUIRE(packed);
  CHECK(packed->params().size() == 8);
  CHECK(packed->bytes() == 8 * 27 + 8 * 8);
  const auto back = vq::dequantize(*packed);
  for (vq::index_type o = 0; o < 8; ++o) {
    const float step = packed->params()[static_cast<std::size_t>(o)].scale;
    for (vq::index_type i = 0; i < 27; ++i) {
      const auto at = static_cast<std::size_t>(o * 27 + i);
      REQUIRE(std::abs(back.values()[at] - conv.values()[at]) <= 0.5f * step * 1.0001f);
    }
  }
}

TEST_CASE("quantized_tensor: its view decodes to what dequantize gives", "[tensor]") {
  const auto conv = waves();
  const auto packed = vq::quantize(vq::quantizer<vq::uniform<4>, vq::per_group<2>>{}, conv.view());
  REQUIRE(packed);
  const auto back = vq::dequantize(*packed);
  std::vector<float> read(static_cast<std::size_t>(packed->size()));
  packed->view().read(0, read);
  CHECK(std::equal(read.begin(), read.end(), back.values().begin()));
}

TEST_CASE("quantized_tensor: a convention may be named, bad data are refused", "[tensor]") {
  auto conv = waves();
  const vq::quantizer<vq::uniform<8, vq::symmetric, vq::full>> q{};
  const auto torch = vq::quantize(q, conv.view(), vq::conventions::torch);
  REQUIRE(torch);
  float absmax = 0;
  for (const float x : conv.values()) absmax = std::max(absmax, std::abs(x));
  CHECK(torch->params()[0].scale == absmax / 127.5f);

  conv.values()[5] = std::numeric_limits<float>::quiet_NaN();
  const auto refused = vq::quantize(q, conv.view());
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == vq::status::not_finite);
}
