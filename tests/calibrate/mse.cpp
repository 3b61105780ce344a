#include <algorithm>
#include <cmath>
#include <limits>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

vq::histogram of(const std::vector<float>& x) {
  vq::histogram_observer o;
  REQUIRE(o.observe(view_of(x)) == vq::status::ok);
  return o.snapshot().value();
}

// Mean squared error of codes [lowest, highest] with a scale and a zero point, in double.
double error_of(const std::vector<float>& x, double scale, int zero_point, int lowest,
                int highest) {
  double sum = 0;
  for (const float value : x) {
    const double code = std::nearbyint(value / scale) + zero_point;
    const double clamped = std::min(std::max(code, double(lowest)), double(highest));
    const double error = value - scale * (clamped - zero_point);
    sum += error * error;
  }
  return sum / static_cast<double>(x.size());
}
template <class Policy>
double error_of(const std::vector<float>& x, vq::affine_param p, const Policy&) {
  return error_of(x, p.scale, p.zero_point, Policy::limits.lowest, Policy::limits.highest);
}

// The best symmetric grid among 3000 scales.
double least_symmetric_error(const std::vector<float>& x, int highest) {
  float absmax = 0;
  for (const float value : x) absmax = std::max(absmax, std::abs(value));
  double least = std::numeric_limits<double>::infinity();
  for (int k = 1; k <= 3000; ++k) {
    least = std::min(least, error_of(x, absmax / double(highest) * k / 3000, 0, -highest, highest));
  }
  return least;
}

// Powers of two, as a policy that offers its own candidates.
struct shift {
  static constexpr int bits = 4;
  using code_type = std::int8_t;
  struct param_type {
    int exponent = 0;
  };
  constexpr param_type fit(vq::range) const noexcept { return {0}; }
  constexpr std::array<param_type, 9> candidates(vq::range) const noexcept {
    return {{{-4}, {-3}, {-2}, {-1}, {0}, {1}, {2}, {3}, {4}}};
  }
  template <class V>
  constexpr V encode(V x, param_type p) const noexcept {
    return vq::op::clamp(vq::op::round_even(x * V(vq::op::exp2i(static_cast<float>(-p.exponent)))),
                         V(-7.f), V(7.f));
  }
  template <class V>
  constexpr V decode(V code, param_type p) const noexcept {
    return code * V(vq::op::exp2i(static_cast<float>(p.exponent)));
  }
};
static_assert(vq::quantizer_policy<shift> && vq::offers_candidates<shift>);

}  // namespace

TEST_CASE("mse: as good as the best of 3000 symmetric scales", "[calibrate]") {
  std::vector<float> outlier = normal_values(3000, 2);
  outlier[5] = 40;
  for (const auto& x : {normal_values(3000), uniform_values(2000, -1, 1), outlier}) {
    {
      const auto found = vq::estimate_params(vq::uniform<4>{}, of(x), vq::mse{});
      CHECK(error_of(x, *found, vq::uniform<4>{}) < 1.01 * least_symmetric_error(x, 7));
    }
    const auto found = vq::estimate_params(vq::uniform<8>{}, of(x), vq::mse{});
    CHECK(error_of(x, *found, vq::uniform<8>{}) < 1.02 * least_symmetric_error(x, 127));
  }
}

TEST_CASE("mse: the step of a normal distribution", "[calibrate]") {
  // J. Max, "Quantizing for minimum distortion" (1960), table II: 0.3352 for 16 levels and 0.1881
  // for 32, there placed symmetrically about zero; with a level at zero it differs little.
  const vq::histogram h = of(normal_values(2000000));
  CHECK(vq::estimate_params(vq::uniform<4, vq::asymmetric>{}, h, vq::mse{})->scale ==
        Approx(0.3352).epsilon(0.02));
  CHECK(vq::estimate_params(vq::uniform<5, vq::asymmetric>{}, h, vq::mse{})->scale ==
        Approx(0.1881).epsilon(0.02));
}

TEST_CASE("mse: both ends of an asymmetric range are found", "[calibrate]") {
  std::vector<float> x = uniform_values(3000, -1, 3);
  x[0] = -30;
  x[1] = 12;
  using policy = vq::uniform<6, vq::asymmetric, vq::full, vq::unsigned_codes>;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 1; i <= 100; ++i) {
    for (int k = 1; k <= 100; ++k) {
      const vq::range r{-30 * float(i) / 100, 12 * float(k) / 100};
      least = std::min(least, error_of(x, vq::fit_affine(r, policy::limits), policy{}));
    }
  }
  const auto found = vq::estimate_params(policy{}, of(x), vq::mse{});
  CHECK(error_of(x, *found, policy{}) < 1.03 * least);
}

TEST_CASE("mse: never worse than min-max on what it scores", "[calibrate]") {
  for (unsigned seed = 1; seed < 30; ++seed) {
    std::vector<float> x = seed % 3 == 0 ? wild_values(50, seed) : normal_values(50, seed);
    if (seed % 2 == 0) {
      for (float& value : x) value = std::abs(value);
    }
    vq::affine_param least[1], widest[1];
    const vq::quantizer<vq::uniform<5, vq::asymmetric>> q;
    REQUIRE(vq::fit(q, view_of(x), least, vq::mse{}) == vq::status::ok);
    REQUIRE(vq::fit(q, view_of(x), widest) == vq::status::ok);
    CHECK(error_of(x, least[0], q.policy) <= error_of(x, widest[0], q.policy) * (1 + 1e-6));
  }
}

TEST_CASE("mse: a histogram gives nearly what the data give", "[calibrate]") {
  for (const auto& x : {normal_values(50000), uniform_values(50000, -0.2f, 4)}) {
    vq::affine_param p[1];
    const vq::quantizer<vq::uniform<8, vq::asymmetric>> q;
    REQUIRE(vq::fit(q, view_of(x), p, vq::mse{}) == vq::status::ok);
    const auto from_bins = vq::estimate_params(q.policy, of(x), vq::mse{});
    CHECK(error_of(x, *from_bins, q.policy) < 1.02 * error_of(x, p[0], q.policy));
  }
}

TEST_CASE("mse: a policy's own candidates are all that is tried", "[calibrate]") {
  // Steps of 2^e, seven to each side: 28 values up to 28 need e = 2.
  std::vector<float> x;
  for (int i = -28; i <= 28; i += 4) x.push_back(static_cast<float>(i));
  CHECK(vq::estimate_params(shift{}, of(x), vq::mse{})->exponent == 2);
  vq::quantizer<shift>::param_type p[1];
  REQUIRE(vq::fit(vq::quantizer<shift>{}, view_of(x), p, vq::mse{}) == vq::status::ok);
  CHECK(p[0].exponent == 2);
}

TEST_CASE("mse: the convention's grid is the one scored", "[calibrate]") {
  const vq::histogram h = of(normal_values(20000));
  const auto p = vq::estimate_params(vq::uniform<8, vq::symmetric, vq::full>{}, h, vq::mse{},
                                     vq::conventions::torch);
  const auto q = vq::estimate_params(vq::uniform<8, vq::symmetric, vq::full>{}, h, vq::mse{});
  CHECK(p->scale == Approx(q->scale).epsilon(0.02));
  CHECK(
      vq::estimate_params(vq::uniform<8>{}, of({0, 0}), vq::mse{}, vq::conventions::torch)->scale ==
      0x1p-23f);
}

TEST_CASE("mse: constant, empty and badly asked", "[calibrate]") {
  CHECK(vq::estimate_params(vq::uniform<8>{}, of({0, 0}), vq::mse{}).value() ==
        vq::affine_param{1, 0});
  const auto constant = vq::estimate_params(vq::uniform<8>{}, of({2, 2}), vq::mse{});
  CHECK(std::abs(127 * constant->scale - 2) < 1e-6f);
  CHECK(vq::estimate_params(vq::uniform<8>{}, vq::histogram{}, vq::mse{}).error() ==
        vq::status::no_data);
  for (const vq::mse wrong : {vq::mse{.steps = 0}, vq::mse{.smallest = 0}, vq::mse{.smallest = 1},
                              vq::mse{.rounds = -1}}) {
    CHECK(vq::estimate_params(vq::uniform<8>{}, of({1}), wrong).error() ==
          vq::status::bad_argument);
  }
}
