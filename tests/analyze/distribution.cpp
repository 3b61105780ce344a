#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <vq/analyze/distribution.hpp>
#include <vq/policy/log_scale.hpp>
#include <vq/policy/twin_uniform.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

template <int Bits>
using affine = vq::quantizer<vq::uniform<Bits, vq::asymmetric, vq::full, vq::unsigned_codes>>;

struct tensor {
  index_type rows, columns;
  std::vector<float> values;
  vq::tensor_view<const float, 2> view() const { return {values.data(), {rows, columns}}; }
};

tensor normal(index_type rows, index_type columns, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  tensor t{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns))};
  for (float& x : t.values) x = draw(random);
  return t;
}

// Softmax of rows of `sharpness` * N(0, 1).
tensor attention(index_type rows, index_type tokens, float sharpness) {
  tensor t = normal(rows, tokens, 5);
  for (index_type r = 0; r < rows; ++r) {
    float* row = t.values.data() + r * tokens;
    float sum = 0;
    for (index_type i = 0; i < tokens; ++i) sum += row[i] = std::exp(sharpness * row[i]);
    for (index_type i = 0; i < tokens; ++i) row[i] /= sum;
  }
  return t;
}

tensor after_gelu(float mean, float deviation) {
  tensor t = normal(400, 100, 6);
  for (float& x : t.values) {
    x = mean + deviation * x;
    x = 0.5f * x * (1 + std::erf(x / std::sqrt(2.f)));
  }
  return t;
}

template <class Menu>
std::string best(Menu formats, const tensor& t) {
  const auto scores = vq::compare_formats(formats, t.view());
  REQUIRE(scores);
  return (*scores)[vq::best_of(*scores)].name;
}

}  // namespace

TEST_CASE("distribution: moments of known distributions", "[analyze]") {
  const auto bell = vq::describe_distribution(normal(500, 200, 1).view());
  REQUIRE(bell);
  CHECK(bell->mean == Approx(0).margin(0.01));
  CHECK(bell->deviation == Approx(1).epsilon(0.01));
  CHECK(bell->excess_kurtosis == Approx(0).margin(0.1));
  CHECK(bell->bimodality == Approx(1. / 3).epsilon(0.05));
  CHECK_FALSE(bell->two_peaked());
  CHECK_FALSE(bell->one_sided());
  CHECK_FALSE(bell->channel_skewed());

  tensor ramp{1, 10'001, {}};
  for (int i = 0; i <= 10'000; ++i) ramp.values.push_back(static_cast<float>(i) - 5000.f);
  const auto flat = vq::describe_distribution(ramp.view());
  REQUIRE(flat);
  CHECK(flat->skewness == Approx(0).margin(1e-9));
  CHECK(flat->excess_kurtosis == Approx(-1.2).epsilon(1e-3));
  CHECK(flat->bimodality == Approx(5. / 9).epsilon(1e-3));
}

TEST_CASE("distribution: what it is called", "[analyze]") {
  CHECK(vq::describe_distribution(after_gelu(0, 1).view())->one_sided());
  CHECK(vq::describe_distribution(attention(200, 197, 6).view())->two_peaked());
  CHECK(vq::describe_distribution(attention(200, 197, 6).view())->one_sided());
  tensor norm = normal(100, 64, 2);
  for (std::size_t i = 3; i < norm.values.size(); i += 64) norm.values[i] *= 30;
  const auto skewed = vq::describe_distribution(norm.view());
  CHECK(skewed->channel_skewed());
  CHECK(skewed->peaked());
  CHECK(skewed->channel_ratio > 20);
}

TEST_CASE("distribution: counting values near one is blind, mass is not", "[analyze]") {
  const tensor sharp = attention(300, 197, 8);
  index_type near_one = 0;
  for (const float p : sharp.values) near_one += p >= 0.9f ? 1 : 0;
  const double share = static_cast<double>(near_one) / static_cast<double>(sharp.values.size());
  CHECK(share < 0.05);        // at most 1 of 197 values in each row
  CHECK(near_one > 300 / 4);  // although a quarter of the rows have one
  const auto peaks = vq::describe_attention(sharp.view());
  REQUIRE(peaks);
  CHECK(peaks->mean_max > 0.6);
  CHECK(peaks->mass_above_half > 0.5);
  CHECK(peaks->effective_tokens < 3);
  CHECK(vq::describe_attention(attention(300, 197, 1).view())->effective_tokens > 50);
}

TEST_CASE("distribution: the format is chosen by outcome", "[analyze]") {
  using at_4 = vq::menu<affine<4>, vq::quantizer<vq::twin_uniform<4>>,
                        vq::quantizer<vq::log_sqrt2_scale<4>>>;
  using at_8 = vq::menu<affine<8>, vq::quantizer<vq::twin_uniform<8>>,
                        vq::quantizer<vq::log_sqrt2_scale<8>>>;
  CHECK(best(at_4{}, attention(400, 197, 2)) == "log_sqrt2_scale");
  CHECK(best(at_8{}, attention(400, 197, 2)) == "twin_uniform");

  using gelu_6 = vq::menu<affine<6>, vq::quantizer<vq::twin_uniform<6, vq::two_sided>>>;
  CHECK(best(gelu_6{}, after_gelu(0, 2)) == "uniform_asymmetric");
  CHECK(best(gelu_6{}, after_gelu(-1, 1)) == "twin_uniform_two_sided");
}

TEST_CASE("distribution: twin codes scaled to the maximum beat a uniform grid by 3 dB",
          "[analyze]") {
  const tensor t = attention(1000, 197, 2);
  const auto gain = [&](auto formats) {
    const auto scores = vq::compare_formats(formats, t.view());
    REQUIRE(scores);
    return (*scores)[1].sqnr_db - (*scores)[0].sqnr_db;
  };
  CHECK(gain(vq::menu<affine<8>, vq::quantizer<vq::twin_uniform<8>>>{}) > 3);
  CHECK(gain(vq::menu<affine<6>, vq::quantizer<vq::twin_uniform<6>>>{}) > 3);
  CHECK(gain(vq::menu<affine<4>, vq::quantizer<vq::twin_uniform<4>>>{}) > 3);
}

TEST_CASE("distribution: nothing, constants and NaN", "[analyze]") {
  const tensor none{0, 4, {}}, constant{2, 2, {3, 3, 3, 3}}, one{1, 1, {-2}};
  CHECK(vq::describe_distribution(none.view()).error() == vq::status::no_data);
  CHECK(vq::describe_attention(none.view()).error() == vq::status::no_data);
  CHECK(vq::compare_formats(vq::menu<affine<8>>{}, none.view()).error() == vq::status::no_data);
  const auto flat = vq::describe_distribution(constant.view());
  REQUIRE(flat);
  CHECK(flat->deviation == 0);
  CHECK(flat->bimodality == 0);
  CHECK(vq::describe_distribution(one.view())->seen == vq::range{-2, -2});
  const tensor bad{1, 2, {1, std::nanf("")}};
  CHECK(vq::describe_distribution(bad.view()).error() == vq::status::not_finite);
  CHECK(vq::compare_formats(vq::menu<affine<8>>{}, bad.view()).error() == vq::status::not_finite);
}
