#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/optimize/bias_correction.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;
constexpr index_type inputs = 6, outputs = 3, tokens = 50;

vq::tensor_view<const float, 2> view(const std::vector<float>& w) {
  return {w.data(), {outputs, inputs}};
}

}  // namespace

TEST_CASE("bias correction: mean outputs are those of the float layer", "[optimize]") {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  std::vector<float> x, q, w, wq, bias{1, 2, 3}, before = bias;
  for (index_type i = 0; i < tokens * inputs; ++i) {
    x.push_back(normal(random) + 0.3f);
    q.push_back(std::floor(x.back() * 2) / 2);  // shifts the mean
  }
  for (index_type i = 0; i < outputs * inputs; ++i) {
    w.push_back(normal(random));
    wq.push_back(std::floor(w.back() * 4) / 4);
  }
  vq::input_moments moments(inputs);
  moments.add(q.data(), x.data(), 20);
  moments.add(q.data() + 20 * inputs, x.data() + 20 * inputs, 30);
  REQUIRE(vq::correct_bias(bias, view(w), view(wq), moments) == vq::status::ok);
  for (std::size_t o = 0; o < outputs; ++o) {
    double exact = 0, quantized = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      exact += double{before[o]};
      quantized += double{bias[o]};
      for (std::size_t i = 0; i < inputs; ++i) {
        exact += double{w[o * inputs + i]} * double{x[t * inputs + i]};
        quantized += double{wq[o * inputs + i]} * double{q[t * inputs + i]};
      }
    }
    CHECK(quantized / tokens == Approx(exact / tokens).epsilon(1e-6));
    CHECK(bias[o] != before[o]);
  }
}

TEST_CASE("bias correction: one token, nothing to correct, and what does not fit", "[optimize]") {
  const std::vector<float> w(outputs * inputs, 0.5f), x(inputs, 2.f);
  std::vector<float> bias{1, 2, 3};
  const std::vector<float> copy = bias;
  vq::input_moments none(inputs), one(inputs), other(inputs + 1), bad(inputs);
  one.add(x.data(), x.data(), 1);
  CHECK(vq::correct_bias(bias, view(w), view(w), one) == vq::status::ok);
  CHECK(bias == copy);
  CHECK(vq::correct_bias(bias, view(w), view(w), none) == vq::status::no_data);
  CHECK(vq::correct_bias(bias, view(w), view(w), other) == vq::status::size_mismatch);
  CHECK(vq::correct_bias(std::span(bias).first(2), view(w), view(w), one) ==
        vq::status::size_mismatch);
  const std::vector<float> not_finite(inputs, std::numeric_limits<float>::quiet_NaN());
  bad.add(not_finite.data(), x.data(), 1);
  CHECK(vq::correct_bias(bias, view(w), view(w), bad) == vq::status::not_finite);
  CHECK(bias == copy);
}
