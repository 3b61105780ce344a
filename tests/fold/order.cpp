// The whole order of folding on two layers whose statistics are known exactly: normal input, so the
// values before the ReLU are N(beta, gamma^2) by construction.
#include <vq/fold.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "layers.hpp"

namespace {

using vq::across;
using vq::index_type;
using vq::status;

constexpr index_type inputs = 4, middle = 8, outputs = 5, samples = 20000;

struct two_layers {
  std::vector<float> w1 = layers::random_values(middle * inputs, 1);
  std::vector<float> w2 = layers::random_values(outputs * middle, 2);
  std::vector<float> b1 = std::vector<float>(std::size_t(middle), 0.f);
  std::vector<float> b2 = layers::random_values(outputs, 3);
  std::vector<float> gamma = layers::random_values(middle, 4, -1, 1);
  std::vector<float> beta = layers::random_values(middle, 5, -1, 2);
  std::vector<float> mean = std::vector<float>(std::size_t(middle), 0.f), variance = mean;

  two_layers() {
    for (index_type i = 0; i < middle; ++i) {
      // rows of the folded weight two decades apart, which the next layer takes back
      const float skew = std::pow(10.f, float(i % 3) - 1.f);
      gamma[std::size_t(i)] *= skew;
      beta[std::size_t(i)] *= skew;
      for (index_type o = 0; o < outputs; ++o) w2[std::size_t(o * middle + i)] /= skew;
      for (index_type j = 0; j < inputs; ++j) {
        const float w = w1[std::size_t(i * inputs + j)];
        variance[std::size_t(i)] += w * w;
      }
    }
    beta[6] = 0.9f;  // one channel far above zero
    gamma[6] = 0.05f;
  }
  vq::batch_norm norm() const {
    return {.gamma = gamma, .beta = beta, .mean = mean, .variance = variance, .epsilon = 0};
  }
  vq::tensor_view<float, 4> first() { return {w1.data(), {middle, inputs, 1, 1}}; }
  vq::tensor_view<float, 4> second() { return {w2.data(), {outputs, middle, 1, 1}}; }

  layers::map run(const layers::map& x) {
    return layers::convolution(layers::apply(layers::convolution(x, first(), b1), layers::relu),
                               second(), b2);
  }
};

layers::map normal_input() {
  layers::map x({1, inputs, samples, 1});
  std::mt19937 source(6);
  const auto uniform = [&] { return (double(source()) + 0.5) * 0x1p-32; };
  for (double& v : x.data) {
    v = std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform());
  }
  return x;
}

// The largest shift of the mean of an output channel.
double mean_error(const layers::map& a, const layers::map& b) {
  double worst = 0;
  for (index_type o = 0; o < outputs; ++o) {
    double sum = 0;
    for (index_type i = 0; i < samples; ++i) sum += a(0, o, i, 0) - b(0, o, i, 0);
    worst = std::max(worst, std::abs(sum) / samples);
  }
  return worst;
}

double squared_error(const layers::map& a, const layers::map& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    sum += (a.data[i] - b.data[i]) * (a.data[i] - b.data[i]);
  }
  return sum / double(a.data.size());
}

std::vector<float> rounded(const std::vector<float>& weight) {
  std::vector<float> result(weight.size());
  const index_type size = index_type(weight.size());
  const vq::quantizer<vq::uniform<4>, vq::per_tensor> q;
  std::vector<vq::affine_param> param(1);
  const vq::tensor_view<const float, 1> view{weight.data(), {size}};
  REQUIRE(vq::fit(q, view, param) == status::ok);
  REQUIRE(vq::fake_quantize(q, view, param, vq::tensor_view<float, 1>{result.data(), {size}}) ==
          status::ok);
  return result;
}

}  // namespace

TEST_CASE("fold, equalize, absorb, quantize, correct: each step does what it is for", "[fold]") {
  const auto x = normal_input();
  two_layers n;
  auto want = layers::convolution(x, n.first(), n.b1);
  want = layers::apply(layers::batch_norm(std::move(want), n.norm()), layers::relu);
  want = layers::convolution(want, n.second(), n.b2);
  const double scale = layers::largest(want);

  REQUIRE(vq::fold_batch_norm(n.first(), n.b1, n.norm()) == status::ok);
  CHECK(layers::distance(n.run(x), want) < 1e-6 * scale);
  two_layers plain = n;
  plain.w1 = rounded(plain.w1);
  plain.w2 = rounded(plain.w2);

  std::vector<float> scales(middle, 1.f);
  REQUIRE(vq::equalize(n.first(), n.b1, n.second(), scales, across::relu));
  CHECK(layers::distance(n.run(x), want) < 1e-6 * scale);

  std::vector<float> mean(middle), deviation(middle), expected(middle);
  REQUIRE(vq::batch_norm_moments(n.norm(), scales, mean, deviation) == status::ok);
  const float high = mean[6];
  REQUIRE(vq::absorb_high_bias(n.b1, mean, deviation, n.second(), n.b2, across::relu) ==
          status::ok);
  CHECK(mean[6] == Approx(3 * deviation[6]));
  CHECK(mean[6] < high / 2);
  const auto absorbed = n.run(x);
  // beyond three deviations the ReLU now clips: 0.135 % of the values of some channels
  CHECK(layers::distance(absorbed, want) > 0);
  CHECK(squared_error(absorbed, want) < 1e-6 * scale * scale);

  const std::vector<float> w1 = n.w1, w2 = n.w2;
  n.w1 = rounded(w1);
  n.w2 = rounded(w2);
  const auto quantized = n.run(x);
  CHECK(squared_error(quantized, want) < 0.5 * squared_error(plain.run(x), want));

  // The input has mean 0, so the second layer alone shifts its output.
  n.w1 = w1;
  const double shift = mean_error(n.run(x), want);
  const auto correct = [&](std::vector<float>& bias) {
    REQUIRE(vq::expected_values(mean, deviation, vq::clips_as_relu, expected) == status::ok);
    return vq::correct_bias(bias, vq::tensor_view<const float, 2>{w2.data(), {outputs, middle}},
                            vq::tensor_view<const float, 2>{n.w2.data(), {outputs, middle}},
                            expected);
  };
  two_layers right = n;
  REQUIRE(correct(right.b2) == status::ok);
  CAPTURE(shift);
  CHECK(mean_error(right.run(x), want) < 0.1 * shift);

  // The moments of before equalization and absorption belong to other values.
  REQUIRE(vq::batch_norm_moments(n.norm(), {}, mean, deviation) == status::ok);
  two_layers wrong = n;
  REQUIRE(correct(wrong.b2) == status::ok);
  CHECK(mean_error(wrong.run(x), want) > 5 * mean_error(right.run(x), want));
}

TEST_CASE("an unfolded batch norm after equalization is another function", "[fold]") {
  // Equalizing before folding divides weights and bias, but not the running statistics.
  const auto x = normal_input();
  two_layers n;
  const auto through = [&] {
    auto z = layers::batch_norm(layers::convolution(x, n.first(), n.b1), n.norm());
    return layers::convolution(layers::apply(std::move(z), layers::relu), n.second(), n.b2);
  };
  const auto want = through();
  std::vector<float> scales(middle, 1.f);
  REQUIRE(vq::equalize(n.first(), n.b1, n.second(), scales, across::relu));
  CHECK(layers::distance(through(), want) > 0.01 * layers::largest(want));
}
