// Quantize the weights of a convolution to INT8, one scale per output channel, and look at the
// error that this makes.
#include <cmath>
#include <cstdio>
#include <vector>

#include <vq/tensor.hpp>

namespace {

// 16 filters of 3 x 3 x 3 whose ranges differ by a factor of 30, as after batch-norm folding.
std::vector<float> example_weights() {
  std::vector<float> weights(16 * 27);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto channel = static_cast<float>(i / 27);
    weights[i] = std::sin(static_cast<float>(i) * 1.7f) * std::exp(channel * 0.225f) * 0.05f;
  }
  return weights;
}

// Root of the mean squared error, relative to the root mean square of each filter; the worst
// filter.
template <class Packed>
double worst_filter_error(const std::vector<float>& weights, const Packed& packed) {
  const vq::tensor<float, 4> back = vq::dequantize(packed);
  double worst = 0;
  for (std::size_t filter = 0; filter < 16; ++filter) {
    double error = 0, power = 0;
    for (std::size_t i = filter * 27; i < (filter + 1) * 27; ++i) {
      error += std::pow(back.values()[i] - weights[i], 2);
      power += std::pow(weights[i], 2);
    }
    worst = std::max(worst, std::sqrt(error / power));
  }
  return worst;
}

}  // namespace

int main() {
  const std::vector<float> weights = example_weights();

  // [quantize]
  // a Conv2d weight (out, in, kh, kw): INT8, one scale per output channel
  vq::tensor_view<const float, 4> conv{weights.data(), {16, 3, 3, 3}};
  auto packed = vq::quantize(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, conv);
  if (!packed) {
    std::fprintf(stderr, "quantize: %s\n", vq::describe(packed.error()));
    return 1;
  }
  // packed->codes() are int8, packed->params() 16 scales; packed->view() decodes when it is read
  // [/quantize]

  auto per_tensor = vq::quantize(vq::quantizer<vq::uniform<8>>{}, conv);
  if (!per_tensor) return 1;
  const double channel_error = worst_filter_error(weights, *packed);
  const double tensor_error = worst_filter_error(weights, *per_tensor);
  std::printf("%td values in %td bytes (float: %zu)\n", conv.size(), packed->bytes(),
              weights.size() * sizeof(float));
  std::printf("error of the worst filter: %.2f %% per channel, %.2f %% per tensor\n",
              100 * channel_error, 100 * tensor_error);
  return channel_error < 0.01 && tensor_error > 4 * channel_error ? 0 : 1;
}
