// A convolution that runs in integers: INT8 weights and activations, int32 accumulators, ReLU for
// free, 8-bit codes out. Images lie channels last, the fast order.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>
#include <vq/tensor.hpp>

namespace {

using activation = vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>;

float wave(int i) { return std::sin(static_cast<float>(i) * 0.7f) + 0.2f; }

}  // namespace

int main() {
  constexpr vq::index_type channels = 8, filters = 16, side = 12;
  vq::tensor<float, 4> image({1, side, side, channels});  // N, H, W, C in memory
  vq::tensor<float, 4> weight({filters, channels, 3, 3});
  for (int i = 0; i < image.size(); ++i) image.values()[std::size_t(i)] = wave(i);
  for (int i = 0; i < weight.size(); ++i) weight.values()[std::size_t(i)] = 0.1f * wave(3 * i);

  // [prepare]  once per model; the ranges come from calibration (0.2 +- 1 and 0 ... 9 here)
  const activation policy;
  const vq::affine_param in = policy.fit({-0.8f, 1.2f}), out = policy.fit({0.f, 9.f});
  const auto w = vq::quantize(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, weight.view());
  if (!w) return 1;
  const vq::tensor_view<const std::int8_t, 4> codes{w->codes().data(), w->extents()};
  const vq::packed_sizes need = vq::packed_size(w->extents());
  std::vector<std::int8_t> panels(std::size_t(need.codes));
  std::vector<std::int32_t> sums(std::size_t(need.sums));
  const auto packed = vq::pack_weights<std::int8_t>(codes, 1, panels, sums);
  std::vector<vq::float_multiplier> multipliers(filters);
  if (!packed ||
      vq::find_multipliers(in, w->params(), out, std::span(multipliers)) != vq::status::ok) {
    return 1;
  }
  const vq::to_codes<std::uint8_t> stage{.multipliers = multipliers,
                                         .zero_point = out.zero_point,
                                         .codes = vq::relu(activation::limits, out)};
  // [/prepare]

  // [run]  x and y are views of logical shape (N, C, H, W), here with the strides of NHWC
  const vq::shape_type<4> nchw{1, channels, side, side}, nhwc{0, 1, side * channels, channels};
  std::vector<std::uint8_t> x(std::size_t(image.size())), y(side * side * filters);
  const vq::window2d window{.padding = vq::pad_evenly(1)};
  const vq::quantizer<activation> q;
  if (vq::quantize(vq::simd::native, q, image.view(), {&in, 1}, x) != vq::status::ok) return 1;
  const vq::tensor_view<const std::uint8_t, 4> input{x.data(), nchw, nhwc};
  const vq::tensor_view<std::uint8_t, 4> output{
      y.data(), {1, filters, side, side}, {0, 1, side * filters, filters}};
  std::vector<std::int32_t> workspace(
      std::size_t(vq::conv2d_workspace(vq::simd::native, input, *packed, window)));
  const vq::status s = vq::conv2d(vq::simd::native, input, in.zero_point, *packed, {}, window,
                                  stage, output, workspace);
  // [/run]
  if (s != vq::status::ok) return 1;

  // filter 5 at the centre, in floats
  double sum = 0;
  for (int c = 0; c < channels; ++c) {
    for (int i = 0; i < 9; ++i) {
      sum += double(image.view()(0, 5 + i / 3, 5 + i % 3, c)) * weight.view()(5, c, i / 3, i % 3);
    }
  }
  const double got = policy.decode(float(output(0, 5, 6, 6)), out);
  std::printf("filter 5 at (6, 6): float %.4f, INT8 %.4f\n", std::max(sum, 0.0), got);
  return std::abs(std::max(sum, 0.0) - got) < 0.1 ? 0 : 1;
}
