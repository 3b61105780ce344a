// An INT8 linear layer for activations that nobody has calibrated: each row of them is quantized in
// the call, from its own minimum and maximum.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

namespace {

std::vector<float> normal(std::size_t size, float mean, float deviation) {
  std::mt19937 random(1);
  std::normal_distribution<float> draw(mean, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = draw(random);
  return values;
}

}  // namespace

int main() {
  constexpr std::ptrdiff_t outputs = 512, inputs = 768, tokens = 16;
  const auto weights = normal(outputs * inputs, 0, 0.02f);
  const auto activations = normal(tokens * inputs, 0.5f, 1);
  const std::vector<float> bias(outputs, 0.1f);
  std::vector<float> y(tokens * outputs);

  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  const vq::tensor_view<const float, 2> matrix{weights.data(), {outputs, inputs}};
  std::vector<vq::affine_param> params(outputs);
  std::vector<std::int8_t> codes(weights.size());
  if (vq::fit_quantize(vq::simd::native, q, matrix, params, codes) != vq::status::ok) return 1;
  std::vector<float> scales;
  for (const vq::affine_param& p : params) scales.push_back(p.scale);

  // [run]
  // pack once, for the kernels; the sums of the weights take the rows' zero points out again
  const vq::packed_sizes need = vq::packed_size(matrix.extents());
  std::vector<std::int8_t> packed(std::size_t(need.codes));
  std::vector<std::int32_t> sums(std::size_t(need.sums));
  const vq::tensor_view<const std::int8_t, 2> weight{codes.data(), matrix.extents()};
  const auto w = vq::pack_weights<std::int8_t>(weight, packed, sums);
  if (!w) return 1;

  // y = x * W^T + bias, in floats on both sides and in integers between them
  const vq::tensor_view<const float, 2> x{activations.data(), {tokens, inputs}};
  const vq::tensor_view<float, 2> out{y.data(), {tokens, outputs}};
  std::vector<std::byte> workspace(
      std::size_t(vq::linear_workspace(vq::simd::native, vq::dynamic_int8, x, *w)));
  const vq::status s =
      vq::linear(vq::simd::native, vq::dynamic_int8, x, *w, scales, bias, out, workspace);
  // [/run]
  if (s != vq::status::ok) return 1;

  double error = 0, power = 0;
  for (std::ptrdiff_t t = 0; t < tokens; ++t) {
    for (std::ptrdiff_t o = 0; o < outputs; ++o) {
      double exact = 0.1;
      for (std::ptrdiff_t k = 0; k < inputs; ++k) exact += double{x(t, k)} * double{matrix(o, k)};
      error += std::pow(double{out(t, o)} - exact, 2);
      power += exact * exact;
    }
  }
  const double decibels = 10 * std::log10(power / error);
  std::printf("%zu outputs in integers, with %.1f dB\n", y.size(), decibels);
  return decibels > 35 ? 0 : 1;
}
