#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/nn/integer_softmax.hpp>
#include <vq/policy/log_scale.hpp>

#include "golden/golden.hpp"

namespace {

using vq::index_type;

// The top code is 0 here; the originals also use it for a value, with a mask of its own for 0.
void compare(const golden::test_case& c, const std::string& role, int bits,
             const std::vector<std::int32_t>& x, index_type tokens) {
  std::vector<std::uint8_t> codes(x.size());
  REQUIRE(vq::integer_softmax(x, tokens, c.params().at("scale").get<float>(), bits, codes) ==
          vq::status::ok);
  auto y = c.output<float>(role).data;
  const int top = (1 << bits) - 1;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (codes[i] < top) {
      y[i] = std::exp2(-static_cast<float>(codes[i]));
    } else {
      CHECK(y[i] <= std::exp2(-static_cast<float>(top)));
    }
  }
  golden::check(c, role, y);
}

// In double: -log2 of each probability of a row.
std::vector<double> exact_codes(std::span<const std::int32_t> row, double scale) {
  double sum = 0, most = -1e300;
  for (const auto v : row) most = std::max(most, scale * v);
  for (const auto v : row) sum += std::exp(scale * v - most);
  std::vector<double> all;
  for (const auto v : row) all.push_back(-std::log2(std::exp(scale * v - most) / sum));
  return all;
}

}  // namespace

TEST_CASE("integer_softmax: as FQ-ViT", "[nn][golden]") {
  for (const golden::test_case& c : golden::cases("fqvit", "fqvit_int_softmax")) {
    const auto x = c.input<std::int32_t>("x_int");
    const index_type tokens = x.shape.back();
    const auto exp = vq::fit_integer_exp(c.params().at("scale").get<float>(), tokens);
    REQUIRE(exp);
    CHECK(exp->shift == 30);
    // The original divides floats by the scale and does not always get the integers back; at the
    // border of two octaves that is worth up to 0.5 %. Such values, and sums of them, are left out.
    const auto floats = c.input<float>("x").data;
    const float scale = c.params().at("scale").get<float>();
    auto values = c.output<double>("exp_int").data, sums = c.output<double>("exp_int_sum").data;
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(tokens);
      const auto r = std::span(x.data).subspan(row * static_cast<std::size_t>(tokens),
                                               static_cast<std::size_t>(tokens));
      const std::int64_t most = *std::max_element(r.begin(), r.end());
      const auto e = static_cast<double>((*exp)(x.data[i] - most));
      const auto returns = [&](std::size_t k) {
        return floats[k] / scale == static_cast<float>(x.data[k]);
      };
      const std::size_t largest =
          row * static_cast<std::size_t>(tokens) +
          static_cast<std::size_t>(std::max_element(r.begin(), r.end()) - r.begin());
      if (returns(i) && returns(largest)) {
        values[i] = e;
      } else {
        CHECK(e == Approx(values[i]).epsilon(0.005).margin(1));
      }
      if (i % static_cast<std::size_t>(tokens) == 0) {
        double sum = 0;
        bool whole = true;
        for (std::size_t k = 0; k < r.size(); ++k) {
          sum += static_cast<double>((*exp)(r[k] - most));
          whole = whole && returns(i + k);
        }
        if (whole) sums[row] = sum;
      }
    }
    golden::check(c, "exp_int", values);
    golden::check(c, "exp_int_sum", sums);
    compare(c, "y_uint4", 4, x.data, tokens);
    compare(c, "y_uint8", 8, x.data, tokens);
  }
}

TEST_CASE("integer_softmax: within the rounding of a code of the real softmax", "[nn]") {
  std::mt19937 random(31);
  std::normal_distribution<double> normal;
  for (const float scale : {0.02f, 0.001f, 0x1p-18f}) {
    constexpr std::size_t tokens = 65;
    std::vector<std::int32_t> x;
    for (std::size_t i = 0; i < 20 * tokens; ++i) {
      x.push_back(static_cast<std::int32_t>(3 * normal(random) / double{scale}));
    }
    std::vector<std::uint8_t> codes(x.size());
    REQUIRE(vq::integer_softmax(x, tokens, scale, 4, codes) == vq::status::ok);
    for (std::size_t row = 0; row < x.size(); row += tokens) {
      const auto exact = exact_codes(std::span(x).subspan(row, tokens), double{scale});
      for (std::size_t i = 0; i < tokens; ++i) {
        // A code stands for whole ratios from 1.5 * 2^(code - 1) to 1.5 * 2^code.
        const double code = codes[row + i];
        CAPTURE(scale, exact[i], code);
        const double octave = std::ceil(std::log(2) / double{scale}) * double{scale} / std::log(2);
        const double stretched = code * (octave - 1);  // octaves are whole numbers of steps
        if (code == 15) {
          CHECK(exact[i] > 14.57);
        } else {
          CHECK(exact[i] - code < 0.6 + stretched);
          const double least = code > 0 ? std::log2(1.5 * std::exp2(code - 1) - 0.5) : 0;
          CHECK(exact[i] > least - 0.02);
        }
      }
    }
  }
}

TEST_CASE("integer_softmax: one token, equal scores, extremes", "[nn]") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max(),
                         least = std::numeric_limits<std::int32_t>::min();
  std::vector<std::uint8_t> codes(8);
  const auto run = [&](const std::vector<std::int32_t>& x, index_type tokens) {
    REQUIRE(vq::integer_softmax(x, tokens, 0.01f, 4, codes) == vq::status::ok);
    return std::vector<int>(codes.begin(), codes.begin() + static_cast<std::ptrdiff_t>(x.size()));
  };
  CHECK(run({-7, 12}, 1) == std::vector<int>{0, 0});
  CHECK(run({5, 5, 5, 5}, 4) == std::vector<int>{2, 2, 2, 2});
  CHECK(run({most, least, most, least}, 2) == std::vector<int>{0, 15, 0, 15});
  CHECK(run({}, 3).empty());
}

TEST_CASE("integer_softmax: what does not fit ends in a status", "[nn]") {
  const std::vector<std::int32_t> x(6);
  std::vector<std::uint8_t> codes(6);
  const auto run = [&](index_type tokens, float scale, int bits) {
    return vq::integer_softmax(x, tokens, scale, bits, codes);
  };
  CHECK(run(3, 0.01f, 4) == vq::status::ok);
  CHECK(run(0, 0.01f, 4) == vq::status::bad_argument);
  CHECK(run(4, 0.01f, 4) == vq::status::bad_argument);
  CHECK(run(3, 0.f, 4) == vq::status::bad_argument);
  CHECK(run(3, std::numeric_limits<float>::quiet_NaN(), 4) == vq::status::bad_argument);
  CHECK(run(3, 1.f, 4) == vq::status::bad_argument);
  CHECK(run(3, 1e-7f, 4) == vq::status::bad_argument);
  CHECK(run(3, 0.01f, 9) == vq::status::bad_argument);
  codes.resize(5);
  CHECK(run(3, 0.01f, 4) == vq::status::too_few_codes);
}
