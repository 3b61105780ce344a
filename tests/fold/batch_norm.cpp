#include <limits>

#include <vq/fold/batch_norm.hpp>

#include "catch.hpp"
#include "layers.hpp"

namespace {

using vq::index_type;
using vq::status;
using weight_view = vq::tensor_view<float, 4>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinite = std::numeric_limits<float>::infinity();

constexpr bool near(double got, double want, double tolerance) {
  return vq::math::abs(got - want) <= tolerance;
}

// W = [[1, 2], [-1, .5]], k = [2 / sqrt(.25001), .5 / sqrt(4.00001)].
constexpr bool worked_example_holds() {
  float w[] = {1, 2, -1, 0.5f}, b[] = {0.5f, 0};
  const float gamma[] = {2, 0.5f}, beta[] = {0.1f, -0.2f}, mean[] = {0.3f, -0.4f};
  const float variance[] = {0.25f, 4};
  const status s = vq::fold_batch_norm(
      vq::tensor_view<float, 2>{w, {2, 2}}, b,
      {.gamma = gamma, .beta = beta, .mean = mean, .variance = variance, .epsilon = 1e-5f});
  return s == status::ok && near(w[0], 3.99992, 1e-6) && near(w[1], 7.99984, 1e-6) &&
         near(w[2], -0.24999969, 3e-8) && near(w[3], 0.12499984, 2e-8) &&
         near(b[0], 0.899984, 1e-7) && near(b[1], -0.10000012, 1e-8);
}
static_assert(worked_example_holds());

}  // namespace

TEST_CASE("a convolution with its batch norm folded computes the same", "[fold]") {
  const index_type groups = GENERATE(1, 2, 6);
  const bool affine = GENERATE(true, false), has_bias = GENERATE(true, false);
  CAPTURE(groups, affine, has_bias);
  const layers::options how{
      .stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = groups};
  auto w = layers::random_values(6 * (6 / groups) * 9, 1);
  auto b = has_bias ? layers::random_values(6, 2) : std::vector<float>(6, 0.f);
  const layers::trained_batch_norm trained(6, 3);
  vq::batch_norm bn = trained;
  if (!affine) bn.gamma = bn.beta = {};
  const weight_view weight{w.data(), {6, 6 / groups, 3, 3}};
  const auto x = layers::random_map({2, 6, 7, 8}, 4);

  const auto want = layers::batch_norm(layers::convolution(x, weight, b, how), bn);
  REQUIRE(vq::fold_batch_norm(weight, b, bn) == status::ok);
  CHECK(layers::distance(layers::convolution(x, weight, b, how), want) <
        1e-6 * layers::largest(want));
}

TEST_CASE("a transposed convolution with its batch norm folded computes the same", "[fold]") {
  const index_type groups = GENERATE(1, 2, 4);
  CAPTURE(groups);
  const layers::options how{
      .stride = {2, 2}, .padding = {1, 0}, .output_padding = {1, 0}, .groups = groups};
  const index_type outputs = groups == 4 ? 4 : 6;
  auto w = layers::random_values(4 * (outputs / groups) * 9, 11);
  auto b = layers::random_values(outputs, 12);
  const layers::trained_batch_norm bn(outputs, 13);
  const weight_view weight{w.data(), {4, outputs / groups, 3, 3}};
  const auto x = layers::random_map({1, 4, 5, 4}, 14);

  const auto want = layers::batch_norm(layers::transposed_convolution(x, weight, b, how), bn);
  REQUIRE(vq::fold_batch_norm_transposed(weight, b, bn, groups) == status::ok);
  CHECK(layers::distance(layers::transposed_convolution(x, weight, b, how), want) <
        1e-6 * layers::largest(want));
}

TEST_CASE("a batch norm folds forward into a convolution without padding", "[fold]") {
  const index_type groups = GENERATE(1, 2, 4);
  CAPTURE(groups);
  const layers::options how{.groups = groups};
  auto w = layers::random_values(4 * (4 / groups) * 6, 21);
  auto b = layers::random_values(4, 22);
  const layers::trained_batch_norm bn(4, 23);
  const weight_view weight{w.data(), {4, 4 / groups, 3, 2}};
  const auto x = layers::random_map({2, 4, 6, 5}, 24);

  const auto want = layers::convolution(layers::batch_norm(x, bn), weight, b, how);
  REQUIRE(vq::fold_batch_norm_forward(bn, weight, b, {.groups = groups}) == status::ok);
  CHECK(layers::distance(layers::convolution(x, weight, b, how), want) <
        1e-6 * layers::largest(want));
}

TEST_CASE("forward folding is refused with zero padding unless nothing is shifted", "[fold]") {
  auto w = layers::random_values(4 * 4 * 9, 31);
  auto b = layers::random_values(4, 32);
  const layers::trained_batch_norm trained(4, 33);
  const weight_view weight{w.data(), {4, 4, 3, 3}};
  const auto w_before = w, b_before = b;
  CHECK(vq::fold_batch_norm_forward(trained, weight, b, {.zero_padding = 1}) ==
        status::not_foldable);
  CHECK(w == w_before);
  CHECK(b == b_before);

  const std::vector<float> zeros(4, 0.f);
  vq::batch_norm bn = trained;
  bn.beta = bn.mean = zeros;
  const auto x = layers::random_map({1, 4, 5, 5}, 34);
  const layers::options how{.padding = {1, 1}};
  const auto want = layers::convolution(layers::batch_norm(x, bn), weight, b, how);
  REQUIRE(vq::fold_batch_norm_forward(bn, weight, b, {.zero_padding = 1}) == status::ok);
  CHECK(layers::distance(layers::convolution(x, weight, b, how), want) <
        1e-6 * layers::largest(want));
}

TEST_CASE("forward folding through a flattened map takes the weight by channels", "[fold]") {
  auto w = layers::random_values(3 * 2 * 4, 41);
  std::vector<float> b(3, 0.f);
  const layers::trained_batch_norm bn(2, 42);
  const weight_view weight{w.data(), {3, 2, 2, 2}};
  const auto x = layers::random_map({1, 2, 2, 2}, 43);
  const auto normal = layers::batch_norm(x, bn);
  std::vector<double> want(3, 0.0);
  for (std::size_t o = 0; o < 3; ++o) {
    for (std::size_t i = 0; i < 8; ++i) want[o] += double(w[o * 8 + i]) * normal.data[i];
  }
  REQUIRE(vq::fold_batch_norm_forward(bn, weight, b) == status::ok);
  for (std::size_t o = 0; o < 3; ++o) {
    double got = double(b[o]);
    for (std::size_t i = 0; i < 8; ++i) got += double(w[o * 8 + i]) * x.data[i];
    CHECK(got == Approx(want[o]).epsilon(1e-6));
  }
}

TEST_CASE("strides of the weight do not matter", "[fold]") {
  const vq::shape_type<4> shape{4, 2, 3, 3};
  // (O, KH, KW, I) in memory, with a gap of one value behind every pixel
  const vq::shape_type<4> strides{27, 1, 9, 3};
  auto plain = layers::random_values(4 * 2 * 9, 51);
  std::vector<float> padded(4 * 27, 99.f);
  const weight_view row_major{plain.data(), shape}, channels_last{padded.data(), shape, strides};
  for (index_type o = 0; o < 4; ++o)
    for (index_type i = 0; i < 2; ++i)
      for (index_type y = 0; y < 3; ++y)
        for (index_type x = 0; x < 3; ++x) channels_last(o, i, y, x) = row_major(o, i, y, x);

  const auto same = [&] {
    bool equal = true;
    for (index_type o = 0; o < 4; ++o)
      for (index_type i = 0; i < 2; ++i)
        for (index_type y = 0; y < 3; ++y)
          for (index_type x = 0; x < 3; ++x)
            equal = equal && channels_last(o, i, y, x) == row_major(o, i, y, x);
    return equal;
  };
  std::vector<float> b1(4, 0.5f), b2 = b1;
  const layers::trained_batch_norm four(4, 52), two(2, 53);
  REQUIRE(vq::fold_batch_norm(row_major, b1, four) == status::ok);
  REQUIRE(vq::fold_batch_norm(channels_last, b2, four) == status::ok);
  CHECK(same());
  REQUIRE(vq::fold_batch_norm_forward(two, row_major, b1) == status::ok);
  REQUIRE(vq::fold_batch_norm_forward(two, channels_last, b2) == status::ok);
  CHECK(same());
  std::vector<float> t1(4, 0.f), t2 = t1;
  REQUIRE(vq::fold_batch_norm_transposed(row_major, t1, four, 2) == status::ok);
  REQUIRE(vq::fold_batch_norm_transposed(channels_last, t2, four, 2) == status::ok);
  CHECK(same());
  CHECK(b1 == b2);
  CHECK(t1 == t2);
  for (std::size_t gap = 2; gap < padded.size(); gap += 3) CHECK(padded[gap] == 99.f);
}

TEST_CASE("three-dimensional convolutions fold", "[fold]") {
  std::vector<float> w(2 * 1 * 2 * 2 * 2, 1.f), b(2, 1.f);
  const std::vector<float> gamma{3, -2}, mean{1, 0}, variance{1, 4};
  REQUIRE(vq::fold_batch_norm(vq::tensor_view<float, 5>{w.data(), {2, 1, 2, 2, 2}}, b,
                              {.gamma = gamma, .mean = mean, .variance = variance, .epsilon = 0}) ==
          status::ok);
  for (std::size_t i = 0; i < 8; ++i) CHECK(w[i] == 3.f);
  for (std::size_t i = 8; i < 16; ++i) CHECK(w[i] == -1.f);
  CHECK(b == std::vector<float>{0.f, -1.f});
}

TEST_CASE("scale_and_shift is the batch norm of one channel", "[fold]") {
  const float gamma[] = {2, 0.5f}, beta[] = {0.1f, -0.2f}, mean[] = {0.3f, -0.4f};
  const float variance[] = {0.25f, 4};
  const vq::batch_norm bn{.gamma = gamma, .beta = beta, .mean = mean, .variance = variance};
  CHECK(vq::scale_and_shift(bn, 0).k == Approx(2 / std::sqrt(0.25 + double(1e-5f))).epsilon(1e-14));
  CHECK(vq::scale_and_shift(bn, 1).k == Approx(0.24999969).epsilon(1e-7));
  for (index_type c = 0; c < 2; ++c) {
    const auto [k, shift] = vq::scale_and_shift(bn, c);
    const layers::map x({1, 2, 1, 1}, std::vector<float>{1.5f, 1.5f});
    CHECK(k * 1.5 + shift == Approx(layers::batch_norm(x, bn).data[std::size_t(c)]).epsilon(1e-14));
  }
}

TEST_CASE("the affine part of a layer norm is exactly gamma and beta", "[fold]") {
  const float gamma[] = {0.7f, -1.3f}, beta[] = {0.25f, 3}, zeros[] = {0, 0}, ones[] = {1, 1};
  const vq::batch_norm affine{
      .gamma = gamma, .beta = beta, .mean = zeros, .variance = ones, .epsilon = 0};
  CHECK(vq::scale_and_shift(affine, 1).k == double(-1.3f));
  CHECK(vq::scale_and_shift(affine, 1).c == 3.0);
}

TEST_CASE("a batch norm behind a concatenation splits by channels", "[fold]") {
  const layers::trained_batch_norm all(5, 61);
  const auto part = vq::channels_of(all, 2, 3);
  CHECK(part.channels() == 3);
  CHECK(vq::check_batch_norm(part, 3) == status::ok);
  CHECK(vq::scale_and_shift(part, 0).k == vq::scale_and_shift(all, 2).k);
  vq::batch_norm plain = all;
  plain.gamma = plain.beta = {};
  CHECK(vq::channels_of(plain, 2, 3).gamma.empty());
  CHECK(vq::scale_and_shift(vq::channels_of(plain, 2, 3), 2).c == vq::scale_and_shift(plain, 4).c);
}

TEST_CASE("dead channels are told apart, and fold exactly", "[fold]") {
  const std::vector<float> mean{0, 2}, variance{1, 1e-12f}, beta{0, 0.75f};
  const vq::batch_norm bn{.beta = beta, .mean = mean, .variance = variance, .epsilon = 0};
  CHECK_FALSE(vq::is_dead_channel(bn, 0));
  CHECK(vq::is_dead_channel(bn, 1));
  std::vector<float> w{1, 1e-8f}, b{0, 2};
  REQUIRE(vq::fold_batch_norm(vq::tensor_view<float, 2>{w.data(), {2, 1}}, b, bn) == status::ok);
  CHECK(w[1] == Approx(0.01).epsilon(1e-6));  // 1e-8 * 1e6
  CHECK(b[1] == Approx(0.75).epsilon(1e-6));
}

TEST_CASE("what cannot be folded is refused and left as it was", "[fold]") {
  const std::vector<float> weights = layers::random_values(24, 71);
  const std::vector<float> biases = layers::random_values(4, 72);
  const layers::trained_batch_norm trained(4, 73);
  auto w = weights;
  auto b = biases;
  vq::batch_norm bn = trained;
  const weight_view weight{w.data(), {4, 2, 3, 1}};
  const auto backward = [&] { return vq::fold_batch_norm(weight, b, bn); };
  const std::vector<float> short_of_one(3, 1.f);

  SECTION("no running statistics") {
    bn.mean = {};
    CHECK(backward() == status::not_foldable);
    bn.mean = trained.mean;
    bn.variance = {};
    CHECK(backward() == status::not_foldable);
    CHECK(vq::fold_batch_norm_transposed(weight, b, bn, 2) == status::not_foldable);
    CHECK(vq::fold_batch_norm_forward(bn, weight, b, {.groups = 2}) == status::not_foldable);
  }
  SECTION("spans of another length") {
    bn.gamma = short_of_one;
    CHECK(backward() == status::size_mismatch);
    bn.gamma = trained.gamma;
    bn.beta = short_of_one;
    CHECK(backward() == status::size_mismatch);
    bn.beta = {};
    bn.mean = short_of_one;
    CHECK(backward() == status::size_mismatch);
    bn.mean = trained.mean;
    bn.variance = short_of_one;
    CHECK(backward() == status::size_mismatch);
    bn.variance = trained.variance;
    CHECK(vq::fold_batch_norm(weight, std::span(b).first(3), bn) == status::size_mismatch);
    CHECK(vq::fold_batch_norm_transposed(weight, std::span(b).first(3), bn, 2) ==
          status::size_mismatch);
    CHECK(vq::fold_batch_norm_transposed(weight, b, bn, 1) == status::size_mismatch);
    CHECK(vq::fold_batch_norm_forward(bn, weight, b) == status::size_mismatch);
    CHECK(vq::fold_batch_norm_forward(bn, weight, std::span(b).first(3), {.groups = 2}) ==
          status::size_mismatch);
  }
  SECTION("groups that do not divide the rows") {
    const std::vector<float> six(6, 1.f);
    std::vector<float> bias6(6, 0.f);
    const vq::batch_norm of_six{.mean = six, .variance = six};
    CHECK(vq::fold_batch_norm_transposed(weight, bias6, of_six, 3) == status::size_mismatch);
    CHECK(vq::fold_batch_norm_forward(of_six, weight, b, {.groups = 3}) == status::size_mismatch);
  }
  SECTION("options outside their range") {
    CHECK(vq::fold_batch_norm_transposed(weight, b, bn, 0) == status::bad_argument);
    CHECK(vq::fold_batch_norm_forward(bn, weight, b, {.groups = 0}) == status::bad_argument);
    CHECK(vq::fold_batch_norm_forward(bn, weight, b, {.groups = 2, .zero_padding = -1}) ==
          status::bad_argument);
    bn.epsilon = -1e-5f;
    CHECK(backward() == status::bad_argument);
    bn.epsilon = not_a_number;
    CHECK(backward() == status::bad_argument);
    bn.epsilon = infinite;
    CHECK(backward() == status::bad_argument);
  }
  SECTION("values that are not finite") {
    auto poisoned = trained;
    poisoned.variance[3] = -1;  // the root of a negative number
    CHECK(vq::fold_batch_norm(weight, b, poisoned) == status::not_finite);
    poisoned = trained;
    poisoned.variance[1] = infinite;  // k would be 0
    CHECK(vq::fold_batch_norm(weight, b, poisoned) == status::not_finite);
    poisoned = trained;
    poisoned.variance[2] = 0;
    poisoned.epsilon = 0;  // k is infinite
    CHECK(vq::fold_batch_norm(weight, b, poisoned) == status::not_finite);
    for (auto member : {&layers::trained_batch_norm::gamma, &layers::trained_batch_norm::beta,
                        &layers::trained_batch_norm::mean}) {
      poisoned = trained;
      (poisoned.*member)[3] = not_a_number;
      CHECK(vq::fold_batch_norm(weight, b, poisoned) == status::not_finite);
      (poisoned.*member)[3] = infinite;
      CHECK(vq::fold_batch_norm(weight, b, poisoned) == status::not_finite);
    }
  }
  SECTION("products beyond float") {
    const std::vector<float> huge(4, 1e30f);
    bn.gamma = huge;
    w[23] = 1e30f;
    CHECK(backward() == status::not_finite);
    CHECK(vq::fold_batch_norm_transposed(weight, b, bn, 2) == status::not_finite);
    CHECK(vq::fold_batch_norm_forward(bn, weight, b, {.groups = 2}) == status::not_finite);
    CHECK(w[23] == 1e30f);
    w[23] = weights[23];
  }
  CHECK(w == weights);
  CHECK(b == biases);
}

TEST_CASE("a weight or bias that is not finite is refused and nothing is changed", "[fold]") {
  const layers::trained_batch_norm bn(4, 83);
  for (const float poison : {not_a_number, infinite, -infinite}) {
    for (const bool in_weight : {true, false}) {
      CAPTURE(poison, in_weight);
      auto w = layers::random_values(24, 81);
      auto b = layers::random_values(4, 82);
      const weight_view weight{w.data(), {4, 2, 3, 1}};
      (in_weight ? w[23] : b[3]) = poison;
      const auto first_weight = w[0], first_bias = b[0];
      CHECK(vq::fold_batch_norm(weight, b, bn) == status::not_finite);
      CHECK(vq::fold_batch_norm_transposed(weight, b, bn, 2) == status::not_finite);
      CHECK(vq::fold_batch_norm_forward(bn, weight, b, {.groups = 2}) == status::not_finite);
      CHECK(w[0] == first_weight);
      CHECK(b[0] == first_bias);
    }
  }
}
