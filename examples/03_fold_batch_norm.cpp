// Batch norm disappears before quantization: it is folded into the convolution in front of it.
#include <cmath>
#include <cstdio>
#include <vector>

#include <vq/fold.hpp>

int main() {
  // two filters of 1 x 1 x 2 and what batch norm learned about their outputs
  std::vector<float> weights{1, 2, -1, 0.5f}, bias{0.5f, 0};
  const std::vector<float> original = weights, original_bias = bias;
  const std::vector<float> g{2, 0.5f}, b{0.1f, -0.2f}, m{0.3f, -0.4f}, v{0.25f, 4};

  // [fold]
  vq::tensor_view<float, 4> weight{weights.data(), {2, 2, 1, 1}};
  vq::status s = vq::fold_batch_norm(
      weight, bias, {.gamma = g, .beta = b, .mean = m, .variance = v, .epsilon = 1e-5f});
  // [/fold]
  if (s != vq::status::ok) {
    std::fprintf(stderr, "fold: %s\n", vq::describe(s));
    return 1;
  }

  // the same outputs, for an input of (3, -1)
  double worst = 0;
  for (std::size_t o = 0; o < 2; ++o) {
    const double before = 3.0 * original[2 * o] - original[2 * o + 1] + original_bias[o];
    const double normalized = g[o] * (before - m[o]) / std::sqrt(v[o] + 1e-5) + b[o];
    const double folded = 3.0 * weights[2 * o] - weights[2 * o + 1] + bias[o];
    std::printf("output %zu: conv and batch norm %.6f, folded %.6f\n", o, normalized, folded);
    worst = std::max(worst, std::abs(normalized - folded));
  }
  return worst < 1e-5 ? 0 : 1;
}
