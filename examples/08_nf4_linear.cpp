// A linear layer whose weights stay in 4 bits: NF4 in blocks of 64, as QLoRA and bitsandbytes have
// them, multiplied with float activations without ever unpacking the matrix.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include <vq/nn.hpp>
#include <vq/simd.hpp>

namespace {

std::vector<float> normal(std::size_t size, float deviation) {
  std::mt19937 random(1);
  std::normal_distribution<float> draw(0, deviation);
  std::vector<float> values(size);
  for (float& value : values) value = draw(random);
  return values;
}

}  // namespace

int main() {
  constexpr std::ptrdiff_t outputs = 512, inputs = 768, tokens = 4;
  const auto weights = normal(outputs * inputs, 0.02f), activations = normal(tokens * inputs, 1);
  std::vector<float> y(tokens * outputs), bias(outputs, 0.1f);

  // [pack]
  // quantize, in one pass; codes, scales and packed bytes are your memory
  const vq::quantizer<vq::nf4, vq::per_block<64>> q;
  const vq::tensor_view<const float, 2> matrix{weights.data(), {outputs, inputs}};
  const vq::sizes need = q.required(matrix);
  std::vector<vq::scale_param> scales(std::size_t(need.params));
  std::vector<std::uint8_t> codes(std::size_t(need.codes));
  if (vq::fit_quantize(vq::simd::native, q, matrix, scales, codes) != vq::status::ok) return 1;

  // pack once, for the kernels
  std::vector<std::uint8_t> packed(std::size_t(vq::weight_only_size(q, {outputs, inputs})));
  const auto w = vq::pack_weight_only(q, {outputs, inputs}, codes, scales, packed);
  if (!w) return 1;

  // y = x * W^T + bias; vq::dynamic_int8 before x rounds the activations to 8 bits, for speed
  const vq::tensor_view<const float, 2> x{activations.data(), {tokens, inputs}};
  std::vector<std::byte> workspace(std::size_t(vq::weight_only_workspace(x, *w)));
  const vq::tensor_view<float, 2> out{y.data(), {tokens, outputs}};
  const vq::status s = vq::linear(vq::simd::native, x, *w, bias, out, workspace);
  // [/pack]
  if (s != vq::status::ok) return 1;

  double error = 0, power = 0;
  for (std::ptrdiff_t t = 0; t < tokens; ++t) {
    for (std::ptrdiff_t o = 0; o < outputs; ++o) {
      double exact = 0.1;
      for (std::ptrdiff_t k = 0; k < inputs; ++k) exact += double{x(t, k)} * double{matrix(o, k)};
      error += std::pow(double{y[std::size_t(t * outputs + o)]} - exact, 2);
      power += exact * exact;
    }
  }
  const double decibels = 10 * std::log10(power / error);
  std::printf("%zu weights in %zu bytes (float: %zu), outputs with %.1f dB\n", weights.size(),
              packed.size(), weights.size() * sizeof(float), decibels);
  return decibels > 20 ? 0 : 1;
}
