#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/optimize/migrate.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

std::mt19937 source(5);

std::vector<float> draw(std::size_t count, float deviation = 1) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> v(count);
  for (float& x : v) x = normal(source);
  return v;
}

constexpr index_type channels = 12, outputs = 7;
constexpr std::size_t wide = channels;

struct layers {
  std::vector<float> gamma = draw(wide), beta = draw(wide);
  std::vector<float> first = draw(wide * outputs, 0.2f), second = draw(wide * outputs, 3);
  std::vector<float> bias = draw(outputs);

  layers() {
    for (std::size_t c = 0; c < wide; ++c) gamma[c] *= std::exp2(static_cast<float>(c % 6));
  }
  std::vector<vq::linear_reader> readers() {
    return {{{first.data(), {outputs, channels}}, bias},
            {{second.data(), {outputs, channels}}, {}}};
  }
};

// W x + b in double, for x = gamma * n + beta; W is `first` or `second`.
std::vector<double> output(const layers& l, const std::vector<float>& w,
                           const std::vector<float>& normalized) {
  std::vector<double> y;
  for (std::size_t o = 0; o < outputs; ++o) {
    double sum = 0;
    for (std::size_t c = 0; c < wide; ++c) {
      sum += double{w[o * wide + c]} *
             (double{l.gamma[c]} * double{normalized[c]} + double{l.beta[c]});
    }
    y.push_back(sum);
  }
  return y;
}

std::vector<float> ranges(const layers& l) {
  std::vector<float> all;
  for (std::size_t c = 0; c < wide; ++c) {
    all.push_back(3 * std::fabs(l.gamma[c]) + std::fabs(l.beta[c]));
  }
  return all;
}

}  // namespace

TEST_CASE("migrate: the factors of SmoothQuant's equation", "[optimize]") {
  std::vector<float> weight{1, -4, 0, 0.25f, 2, 0}, factors(3);
  const vq::linear_reader readers[] = {{{weight.data(), {2, 3}}, {}}};
  const std::vector<float> seen{16, 9, 5};
  REQUIRE(vq::migration_factors(seen, readers, 0.5, factors) == vq::status::ok);
  CHECK(factors == std::vector<float>{4, 1.5f, 1});  // 4/1, 3/2, and a column of zeros
  REQUIRE(vq::migration_factors(seen, readers, 1, factors) == vq::status::ok);
  CHECK(factors == std::vector<float>{16, 9, 1});
  REQUIRE(vq::migration_factors(seen, readers, 0, factors) == vq::status::ok);
  CHECK(factors == std::vector<float>{1, 0.25f, 1});
}

TEST_CASE("migrate: the network computes the same function", "[optimize]") {
  for (const double strength : {0., 0.3, 0.5, 1.}) {
    const layers before;
    layers after = before;
    std::vector<float> factors(wide);
    REQUIRE(vq::migration_factors(ranges(before), after.readers(), strength, factors) ==
            vq::status::ok);
    REQUIRE(vq::migrate(factors, after.gamma, after.beta, after.readers()) == vq::status::ok);
    for (int token = 0; token < 20; ++token) {
      const auto n = draw(wide);
      for (const auto member : {&layers::first, &layers::second}) {
        const auto y = output(before, before.*member, n), z = output(after, after.*member, n);
        for (std::size_t o = 0; o < outputs; ++o) {
          double magnitude = 0;
          for (std::size_t c = 0; c < wide; ++c) {
            magnitude += std::fabs(double{(before.*member)[o * wide + c]}) *
                         double{std::fabs(before.gamma[c] * n[c]) + std::fabs(before.beta[c])};
          }
          // Each product has two factors that were rounded to float once.
          CHECK(std::fabs(y[o] - z[o]) <= magnitude * 0x1.01p-23);
        }
      }
    }
    if (strength == 1) {
      const auto now = ranges(after);
      CHECK(*std::max_element(now.begin(), now.end()) == Approx(1));
      CHECK(*std::min_element(now.begin(), now.end()) == Approx(1));
    }
  }
}

TEST_CASE("migrate: without any error where the factors are powers of two", "[optimize]") {
  const layers before;
  layers after = before;
  std::vector<float> factors;
  for (std::size_t c = 0; c < wide; ++c) factors.push_back(std::exp2(static_cast<float>(c) - 5));
  REQUIRE(vq::migrate(factors, after.gamma, after.beta, after.readers()) == vq::status::ok);
  for (int token = 0; token < 20; ++token) {
    const auto n = draw(wide);
    CHECK(output(after, after.first, n) == output(before, before.first, n));
  }
}

TEST_CASE("migrate: from the rows of a layer into the columns of the next", "[optimize]") {
  // y = W2 P (W1 x + b1): attention mixes tokens (P), not channels.
  std::vector<float> w1 = draw(wide * 3), b1 = draw(wide), w2 = draw(wide * outputs);
  const auto attention_output = [&](const std::vector<float>& x, float p) {
    std::vector<double> y(outputs);
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t c = 0; c < wide; ++c) {
        double v = double{b1[c]};
        for (std::size_t i = 0; i < 3; ++i) {
          v += double{w1[c * 3 + i]} *
               (double{p} * double{x[i]} + (1 - double{p}) * double{x[i + 3]});
        }
        y[o] += double{w2[o * wide + c]} * v;
      }
    }
    return y;
  };
  const auto x = draw(6);
  const auto before = attention_output(x, 0.3f);
  std::vector<float> factors = draw(wide);
  for (float& f : factors) f = std::fabs(f) + 0.1f;
  const vq::linear_reader readers[] = {{{w2.data(), {outputs, channels}}, {}}};
  REQUIRE(vq::migrate(factors, {{w1.data(), {channels, 3}}, b1}, readers) == vq::status::ok);
  const auto after = attention_output(x, 0.3f);
  for (std::size_t o = 0; o < outputs; ++o) CHECK(after[o] == Approx(before[o]).margin(1e-5));
}

TEST_CASE("migrate: refuses what does not fit, and changes nothing", "[optimize]") {
  constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
  layers l;
  const layers copy = l;
  std::vector<float> factors(wide, 2.f), seen(wide, 1.f), few(3, 1.f);
  CHECK(vq::migration_factors(seen, l.readers(), 1.5, factors) == vq::status::bad_argument);
  CHECK(vq::migration_factors(few, l.readers(), 0.5, factors) == vq::status::size_mismatch);
  CHECK(vq::migration_factors(few, l.readers(), 0.5, few) == vq::status::size_mismatch);
  seen[3] = not_a_number;
  CHECK(vq::migration_factors(seen, l.readers(), 0.5, factors) == vq::status::not_finite);
  factors[2] = 0;
  CHECK(vq::migrate(factors, l.gamma, l.beta, l.readers()) == vq::status::bad_argument);
  factors[2] = not_a_number;
  CHECK(vq::migrate(factors, l.gamma, l.beta, l.readers()) == vq::status::bad_argument);
  CHECK(vq::migrate(few, l.gamma, l.beta, l.readers()) == vq::status::size_mismatch);
  CHECK(vq::migrate(few, std::span(l.gamma).first(3), std::span(l.beta).first(3), l.readers()) ==
        vq::status::size_mismatch);
  CHECK((l.gamma == copy.gamma && l.beta == copy.beta && l.first == copy.first));
  CHECK(vq::migration_factors({}, {}, 0.5, {}) == vq::status::ok);
}
