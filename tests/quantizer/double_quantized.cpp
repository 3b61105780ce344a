// Expected numbers: the worked example of the format, by hand.
#include <vector>

#include <vq/policy/nf4.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fit_quantize.hpp>

#include "catch.hpp"

namespace {

using nf4_weights = vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>;

}  // namespace

TEST_CASE("double_quantized: the worked example of four scales", "[quantizer]") {
  const vq::scale_param scales[4] = {{1.5f}, {1.f}, {2.f}, {1.25f}};
  std::uint8_t codes[4];
  vq::scale_param absmax[1];
  vq::nested_scales nested{codes, absmax};
  REQUIRE(vq::quantize_scales(nf4_weights{}, scales, nested) == vq::status::ok);
  CHECK(nested.offset == 1.4375f);
  // All four are in a short group, so its largest residual is divided by.
  CHECK(absmax[0].scale == 0.5625f);
  CHECK(std::vector<int>(codes, codes + 4) == std::vector<int>{191, 15, 255, 47});
  vq::scale_param back[4];
  REQUIRE(vq::dequantize_scales(vq::scalar, nf4_weights{}, nested, back) == vq::status::ok);
  constexpr float want[4] = {1.4977051f, 0.99760747f, 2.f, 1.2507324f};
  for (int i = 0; i < 4; ++i) CHECK(back[i].scale == Approx(want[i]).epsilon(1e-7));
}

TEST_CASE("double_quantized: sizes", "[quantizer]") {
  const nf4_weights q;
  const float none = 0;
  const vq::tensor_view<const float, 2> view{&none, {4096, 4096}};
  CHECK(q.required(view).codes == 8388608);
  CHECK(vq::required_scales(q, view).codes == 262144);
  CHECK(vq::required_scales(q, view).params == 1024);
  CHECK(vq::stored_bytes(q, view.extents()) == 8388608 + 262144 + 4096 + 4);
}

TEST_CASE("double_quantized: what is too small is refused", "[quantizer]") {
  const nf4_weights q;
  std::vector<float> x(64 * 300, 1.f);
  const vq::tensor_view<float, 1> out{x.data(), {64 * 300}};
  std::vector<vq::scale_param> scales(300), absmax(2);
  std::vector<std::uint8_t> codes(32 * 300), scale_codes(300);
  vq::nested_scales good{scale_codes, absmax}, few_codes = good, few_absmax = good;
  few_codes.codes = few_codes.codes.first(299);
  few_absmax.absmax = few_absmax.absmax.first(1);
  REQUIRE(vq::fit_quantize(q, out, scales, codes) == vq::status::ok);
  CHECK(vq::quantize_scales(q, scales, few_codes) == vq::status::too_few_params);
  CHECK(vq::quantize_scales(q, scales, few_absmax) == vq::status::too_few_params);
  REQUIRE(vq::quantize_scales(q, scales, good) == vq::status::ok);
  CHECK(vq::dequantize(q, codes, few_codes, out) == vq::status::too_few_params);
  CHECK(vq::dequantize(q, codes, few_absmax, out) == vq::status::too_few_params);
  const std::span<const std::uint8_t> fewer = std::span(codes).first(32 * 300 - 1);
  CHECK(vq::dequantize(q, fewer, good, out) == vq::status::too_few_codes);
  CHECK(vq::dequantize(q, codes, good, out) == vq::status::ok);
  for (const float value : x) CHECK(value == 1.f);
}
