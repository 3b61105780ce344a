#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/optimize/reparameterize.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using vq::index_type;

struct layer {
  std::vector<float> gamma, beta, weight, bias;

  vq::linear_reader reader() {
    const auto outputs = static_cast<index_type>(bias.size());
    const auto inputs = static_cast<index_type>(gamma.size());
    return {{weight.data(), {outputs, inputs}}, bias};
  }
};

// y = W (gamma * n + beta) + b in double, for a normalized token n.
std::vector<double> output(const layer& l, const std::vector<float>& normalized) {
  std::vector<double> y;
  for (std::size_t o = 0; o < l.bias.size(); ++o) {
    double sum = l.bias[o];
    for (std::size_t c = 0; c < l.gamma.size(); ++c) {
      const double x = double{l.gamma[c]} * double{normalized[c]} + double{l.beta[c]};
      sum += double{l.weight[o * l.gamma.size() + c]} * x;
    }
    y.push_back(sum);
  }
  return y;
}

layer random_layer(std::mt19937& random, std::size_t channels, std::size_t outputs) {
  std::normal_distribution<float> normal;
  const auto draw = [&](std::size_t n) {
    std::vector<float> v(n);
    for (float& x : v) x = normal(random);
    return v;
  };
  layer l{draw(channels), draw(channels), draw(channels * outputs), draw(outputs)};
  for (std::size_t c = 0; c < channels; ++c) l.gamma[c] *= std::exp2(static_cast<float>(c % 6));
  return l;
}

}  // namespace

TEST_CASE("reparameterize: the same function, and on one grid the codes of the channels' grids",
          "[optimize]") {
  constexpr std::size_t channels = 24, outputs = 10, tokens = 50;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const layer before = random_layer(random, channels, outputs);
  layer after = before;
  constexpr vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes> policy;
  std::vector<vq::affine_param> params;
  for (std::size_t c = 0; c < channels; ++c) {
    const float reach = 3 * std::fabs(before.gamma[c]);
    params.push_back(policy.fit({before.beta[c] - reach, before.beta[c] + reach}));
  }
  const vq::layer_grid grid = vq::grid_of_all(params);
  CHECK(grid.zero_point == std::nearbyint(grid.zero_point));
  const vq::linear_reader readers[] = {after.reader()};
  REQUIRE(vq::reparameterize(params, grid, after.gamma, after.beta, readers) == vq::status::ok);

  index_type different = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    std::vector<float> n(channels);
    for (float& x : n) x = normal(random);
    const auto y = output(before, n), y_after = output(after, n);
    for (std::size_t o = 0; o < outputs; ++o) CHECK(y_after[o] == Approx(y[o]).margin(1e-3));
    for (std::size_t c = 0; c < channels; ++c) {
      // On the layer's grid codes may lie outside of [0, 255] by the difference of zero points:
      // what is compared is the position, before it is clamped.
      const double x = double{before.gamma[c]} * double{n[c]} + double{before.beta[c]};
      const double moved = double{after.gamma[c]} * double{n[c]} + double{after.beta[c]};
      const double code = std::nearbyint(x / double{params[c].scale}) + params[c].zero_point;
      const double one_grid = std::nearbyint(moved / grid.scale) + grid.zero_point;
      different += code != one_grid ? 1 : 0;
    }
  }
  CHECK(different <= 1);  // a value within float rounding of the border of two codes
}

TEST_CASE("reparameterize: refuses what does not fit, and changes nothing", "[optimize]") {
  std::mt19937 random(4);
  layer l = random_layer(random, 4, 3);
  const layer copy = l;
  std::vector<vq::affine_param> params(4, {0.5f, 3});
  const auto run = [&](const vq::layer_grid& grid) {
    const vq::linear_reader readers[] = {l.reader()};
    return vq::reparameterize(params, grid, l.gamma, l.beta, readers);
  };
  const auto unchanged = [&] {
    return l.gamma == copy.gamma && l.beta == copy.beta && l.weight == copy.weight;
  };
  CHECK(run({0, 0}) == vq::status::bad_argument);
  CHECK(run({std::numeric_limits<double>::quiet_NaN(), 0}) == vq::status::bad_argument);
  params[2].scale = 0;
  CHECK(run({1, 0}) == vq::status::bad_argument);
  params.resize(3);
  CHECK(run({1, 0}) == vq::status::size_mismatch);
  params.assign(4, {});
  const vq::linear_reader without_bias[] = {{l.reader().weight, {}}};
  CHECK(vq::reparameterize(params, {}, l.gamma, l.beta, without_bias) == vq::status::size_mismatch);
  CHECK(unchanged());
}

TEST_CASE("reparameterize: as RepQ-ViT, whose zero point keeps its fraction",
          "[optimize][golden]") {
  for (const golden::test_case& c : golden::cases("repq_vit", "repq_reparam")) {
    for (const std::string norm : {"norm1/", "norm2/"}) {
      layer l{c.input<float>(norm + "ln_weight").data,
              c.input<float>(norm + "ln_bias").data,
              c.input<float>(norm + "weight").data,
              {}};
      if (c.has_input(norm + "bias")) l.bias = c.input<float>(norm + "bias").data;
      l.bias.resize(l.weight.size() / l.gamma.size());
      const auto scales = c.input<float>(norm + "delta").data;
      const auto zero_points = c.input<double>(norm + "zero_point").data;
      std::vector<vq::affine_param> params;
      double mean = 0;
      for (std::size_t i = 0; i < scales.size(); ++i) {
        params.push_back({scales[i], static_cast<std::int32_t>(zero_points[i])});
        mean += zero_points[i] / static_cast<double>(scales.size());
      }
      const vq::layer_grid grid{vq::grid_of_all(params).scale, mean};
      const vq::linear_reader readers[] = {l.reader()};
      REQUIRE(vq::reparameterize(params, grid, l.gamma, l.beta, readers) == vq::status::ok);
      golden::check(c, norm + "new_ln_weight", l.gamma);
      golden::check(c, norm + "new_ln_bias", l.beta);
      golden::check(c, norm + "new_weight", l.weight);
      golden::check(c, norm + "new_bias", l.bias);
      golden::check(c, norm + "new_delta", std::vector{grid.scale});
      golden::check(c, norm + "new_zero_point", std::vector{grid.zero_point});
    }
  }
}
