#include <limits>

#include <vq/fold.hpp>
#include <vq/fold/bias_correction.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "layers.hpp"

namespace {

using vq::index_type;
using vq::status;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

// A convolution with 4-bit weights beside the float one.
struct quantized_layer {
  using quantizer = vq::quantizer<vq::uniform<4>, vq::per_tensor>;
  vq::shape_type<4> shape;
  index_type groups;
  std::vector<float> weight, bias;
  std::vector<quantizer::stored_type> codes;
  std::vector<quantizer::param_type> params;

  explicit quantized_layer(index_type g, std::vector<float> values = {})
      : shape{6, 6 / g, 3, 3}, groups(g), weight(std::move(values)) {
    if (weight.empty()) weight = layers::random_values(vq::volume(shape), 31);
    bias = layers::random_values(6, 32);
    const quantizer q;
    const auto sizes = q.required(shape);
    codes.resize(std::size_t(sizes.codes));
    params.resize(std::size_t(sizes.params));
    const vq::tensor_view<const float, 4> view{weight.data(), shape};
    REQUIRE(vq::fit(q, view, params) == status::ok);
    REQUIRE(vq::quantize(q, view, params, codes) == status::ok);
  }
  vq::tensor_view<const float, 4> before() const { return {weight.data(), shape}; }
  vq::quantized_view<quantizer, 4> after() const {
    return vq::view_quantized<4>(quantizer{}, codes, params, shape);
  }
};

std::vector<float> channel_means(const layers::map& x) {
  std::vector<float> values(x.data.begin(), x.data.end()), means(std::size_t(x.shape[1]));
  std::vector<double> sums(means.size());
  vq::channel_sums all(sums);
  REQUIRE(all.add(vq::tensor_view<const float, 4>{values.data(), x.shape}) == status::ok);
  REQUIRE(all.means(means) == status::ok);
  return means;
}

double largest_mean_error(const layers::map& a, const layers::map& b) {
  const index_type area = a.shape[2] * a.shape[3];
  double worst = 0;
  for (index_type c = 0; c < a.shape[1]; ++c) {
    double sum = 0;
    for (index_type n = 0; n < a.shape[0]; ++n)
      for (index_type i = 0; i < area; ++i) {
        const auto at = std::size_t((n * a.shape[1] + c) * area + i);
        sum += a.data[at] - b.data[at];
      }
    worst = std::max(worst, std::abs(sum) / double(a.shape[0] * area));
  }
  return worst;
}

}  // namespace

TEST_CASE("correcting by the mean input removes the shift of the mean output", "[fold]") {
  const index_type groups = GENERATE(1, 2, 6);
  CAPTURE(groups);
  quantized_layer layer(groups);
  // A map that is constant at the mean input shows the mean output.
  const auto x = layers::random_map({8, 6, 3, 3}, 33, 0, 2);
  layers::map constant({1, 6, 3, 3});
  const auto expected = channel_means(x);
  for (std::size_t at = 0; at < constant.data.size(); ++at) {
    constant.data[at] = double(expected[at / 9]);
  }
  const auto want = layers::convolution(constant, layer.before(), layer.bias, {.groups = groups});
  const auto shifted = layers::convolution(constant, layer.after(), layer.bias, {.groups = groups});
  REQUIRE(largest_mean_error(shifted, want) > 0.01);
  REQUIRE(vq::correct_bias(layer.bias, layer.before(), layer.after(), expected, groups) ==
          status::ok);
  const auto got = layers::convolution(constant, layer.after(), layer.bias, {.groups = groups});
  CHECK(largest_mean_error(got, want) < 1e-6);
}

TEST_CASE("correcting by outputs removes the shift on the data it saw", "[fold]") {
  const index_type groups = GENERATE(1, 2, 6);
  quantized_layer layer(groups);
  const layers::options how{.stride = {2, 2}, .padding = {1, 1}, .groups = groups};
  const auto x = layers::random_map({4, 6, 7, 7}, 34, 0, 2);
  const auto want = layers::convolution(x, layer.before(), layer.bias, how);
  const auto shifted = layers::convolution(x, layer.after(), layer.bias, how);
  REQUIRE(largest_mean_error(shifted, want) > 0.01);
  REQUIRE(vq::correct_bias_by_outputs(layer.bias, channel_means(want), channel_means(shifted)) ==
          status::ok);
  CHECK(largest_mean_error(layers::convolution(x, layer.after(), layer.bias, how), want) < 1e-6);
}

TEST_CASE("a correction by hand", "[fold]") {
  // Wq - W = [[.5, -.25], [0, 1]] over a window of two: E[x] = [2, 4]
  const std::vector<float> w{1, 1, 1, 1, 1, 1, 1, 1};
  const std::vector<float> q{1.25f, 1.25f, 0.75f, 1, 1, 1, 1.5f, 1.5f};
  const std::vector<float> expected{2, 4};
  std::vector<float> bias{10, 20};
  const vq::tensor_view<const float, 3> before{w.data(), {2, 2, 2}}, after{q.data(), {2, 2, 2}};
  REQUIRE(vq::correct_bias(bias, before, after, expected) == status::ok);
  CHECK(bias == std::vector<float>{10, 16});  // .5 * 2 - .25 * 4 = 0;  1 * 4 = 4
}

TEST_CASE("E[x] behind an activation of a normal distribution", "[fold]") {
  // Values of the closed form, checked against 4e6 samples by others.
  CHECK(vq::expected_value(0.5, 1.5, vq::clips_as_relu) == Approx(0.8813542).epsilon(1e-7));
  CHECK(vq::expected_value(0.5, 1.5, vq::clips_as_relu6) == Approx(0.8813095).epsilon(1e-7));
  CHECK(vq::expected_value(5, 2, vq::clips_as_relu6) == Approx(4.6084152).epsilon(1e-7));
  CHECK(vq::expected_value(-1.25, 3, vq::clips_nothing) == -1.25);
  STATIC_REQUIRE(vq::expected_value(-2, 0, vq::clips_as_relu) == 0);
  STATIC_REQUIRE(vq::expected_value(7, 0, vq::clips_as_relu6) == 6);
  STATIC_REQUIRE(vq::expected_value(3, 0, vq::clips_as_relu6) == 3);
  // standard normal: E[max(0, z)] = 1 / sqrt(2 pi)
  CHECK(vq::expected_value(0, 1, vq::clips_as_relu) ==
        Approx(1 / std::sqrt(2 * 3.14159265358979323846)).epsilon(1e-13));
  // by symmetry around the middle of the clip
  CHECK(vq::expected_value(3, 5, vq::clips_as_relu6) == Approx(3).epsilon(1e-13));
}

TEST_CASE("E[x] agrees with numerical integration, far tails included", "[fold]") {
  for (const double mean : {-30.0, -4.0, -0.5, 0.0, 2.0, 5.9, 40.0}) {
    for (const double deviation : {0.1, 1.0, 6.0}) {
      for (const vq::range clip : {vq::clips_as_relu, vq::clips_as_relu6, vq::range{-1, 2}}) {
        double sum = 0;
        const int steps = 200000;
        for (int i = 0; i < steps; ++i) {
          const double z = -12 + 24 * (i + 0.5) / steps;
          const double x =
              std::clamp(mean + deviation * z, double(clip.lowest), double(clip.highest));
          sum += x * std::exp(-0.5 * z * z) * (24.0 / steps) / 2.50662827463100050;
        }
        CAPTURE(mean, deviation, clip.lowest, clip.highest);
        CHECK(vq::expected_value(mean, deviation, clip) == Approx(sum).epsilon(1e-8).margin(1e-9));
      }
    }
  }
}

TEST_CASE("moments of a batch norm are beta and |gamma| over the scales", "[fold]") {
  const std::vector<float> gamma{-2, 3}, beta{1, -4}, scales{2, 0.5f}, none(2, 9.f);
  std::vector<float> mean(2), deviation(2), expected(2);
  vq::batch_norm bn{.gamma = gamma, .beta = beta};
  REQUIRE(vq::batch_norm_moments(bn, scales, mean, deviation) == status::ok);
  CHECK(mean == std::vector<float>{0.5f, -8});
  CHECK(deviation == std::vector<float>{1, 6});
  REQUIRE(vq::batch_norm_moments({}, {}, mean, deviation) == status::ok);
  CHECK(mean == std::vector<float>{0, 0});
  CHECK(deviation == std::vector<float>{1, 1});
  REQUIRE(vq::expected_values(mean, deviation, vq::clips_as_relu, expected) == status::ok);
  CHECK(expected[0] == Approx(0.39894228));

  const auto moments = [&] { return vq::batch_norm_moments(bn, scales, mean, deviation); };
  const std::vector<float> three(3, 1.f), zero{1, 0}, broken{1, not_a_number};
  bn.gamma = three;
  CHECK(moments() == status::size_mismatch);
  bn.gamma = broken;
  CHECK(moments() == status::not_finite);
  bn.gamma = {};
  bn.beta = three;
  CHECK(moments() == status::size_mismatch);
  bn.beta = broken;
  CHECK(moments() == status::not_finite);
  bn.beta = {};
  CHECK(vq::batch_norm_moments(bn, three, mean, deviation) == status::size_mismatch);
  CHECK(vq::batch_norm_moments(bn, zero, mean, deviation) == status::bad_argument);
  CHECK(vq::batch_norm_moments(bn, broken, mean, deviation) == status::bad_argument);
  CHECK(vq::batch_norm_moments(bn, {}, mean, std::span(deviation).first(1)) ==
        status::size_mismatch);

  CHECK(vq::expected_values(mean, deviation, {1, 0}, expected) == status::bad_argument);
  CHECK(vq::expected_values(three, deviation, vq::clips_as_relu, expected) ==
        status::size_mismatch);
  CHECK(vq::expected_values(mean, three, vq::clips_as_relu, expected) == status::size_mismatch);
  CHECK(vq::expected_values(broken, deviation, vq::clips_as_relu, expected) == status::not_finite);
  deviation[1] = -1;
  CHECK(vq::expected_values(mean, deviation, vq::clips_as_relu, expected) == status::bad_argument);
}

TEST_CASE("the mean of a channel is over all batches, whatever the strides", "[fold]") {
  std::vector<double> sums(2, 77.0);
  vq::channel_sums all(sums);
  std::vector<float> means(2);
  CHECK(all.means(means) == status::no_data);
  // (N, H, W, C) in memory
  const std::vector<float> first{1, 10, 2, 20, 3, 30, 4, 40}, second{5, 50, 6, 60};
  REQUIRE(all.add(vq::tensor_view<const float, 4>{first.data(), {1, 2, 2, 2}, {8, 1, 4, 2}}) ==
          status::ok);
  REQUIRE(all.add(vq::tensor_view<const float, 3>{second.data(), {1, 2, 2}, {4, 1, 2}}) ==
          status::ok);
  REQUIRE(all.means(means) == status::ok);
  CHECK(means == std::vector<float>{3.5f, 35});

  const std::vector<float> broken{1, infinite};
  CHECK(all.add(vq::tensor_view<const float, 2>{broken.data(), {1, 2}}) == status::not_finite);
  CHECK(all.add(vq::tensor_view<const float, 2>{first.data(), {2, 1}}) == status::size_mismatch);
  CHECK(all.means(std::span(means).first(1)) == status::size_mismatch);
  REQUIRE(all.means(means) == status::ok);
  CHECK(means == std::vector<float>{3.5f, 35});
}

TEST_CASE("bias correction refuses and changes nothing", "[fold]") {
  const std::vector<float> w(8, 1.f), q(8, 1.5f), expected{1, 2}, three(3, 0.f);
  std::vector<float> bias{1, 2}, broken = w;
  const vq::tensor_view<const float, 3> before{w.data(), {2, 2, 2}}, after{q.data(), {2, 2, 2}},
      other{q.data(), {2, 1, 4}};
  CHECK(vq::correct_bias(bias, before, after, expected, 0) == status::bad_argument);
  CHECK(vq::correct_bias(bias, before, after, expected, 2) == status::size_mismatch);
  CHECK(vq::correct_bias(bias, before, other, expected) == status::size_mismatch);
  CHECK(vq::correct_bias(bias, before, after, three) == status::size_mismatch);
  CHECK(vq::correct_bias(std::span(bias).first(1), before, after, expected) ==
        status::size_mismatch);
  const vq::tensor_view<const float, 3> odd{q.data(), {3, 1, 2}};
  std::vector<float> bias3(3, 0.f);
  CHECK(vq::correct_bias(bias3, odd, odd, expected, 2) == status::size_mismatch);
  broken.back() = not_a_number;
  const vq::tensor_view<const float, 3> poisoned{broken.data(), {2, 2, 2}};
  CHECK(vq::correct_bias(bias, poisoned, after, expected) == status::not_finite);
  CHECK(vq::correct_bias(bias, before, poisoned, expected) == status::not_finite);
  const std::vector<float> unknown{1, infinite};
  CHECK(vq::correct_bias(bias, before, after, unknown) == status::not_finite);

  CHECK(vq::correct_bias_by_outputs(bias, three, expected) == status::size_mismatch);
  CHECK(vq::correct_bias_by_outputs(bias, expected, three) == status::size_mismatch);
  CHECK(vq::correct_bias_by_outputs(bias, unknown, expected) == status::not_finite);
  CHECK(vq::correct_bias_by_outputs(bias, expected, unknown) == status::not_finite);
  CHECK(bias == std::vector<float>{1, 2});
}
