#include <algorithm>
#include <cmath>
#include <limits>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

constexpr vq::uniform<8> symmetric_policy;
constexpr vq::uniform<8, vq::asymmetric> asymmetric_policy;

vq::histogram of(const std::vector<float>& x) {
  vq::histogram_observer o;
  REQUIRE(o.observe(view_of(x)) == vq::status::ok);
  return o.snapshot().value();
}

}  // namespace

TEST_CASE("percentile: the exact quantile, widened by less than a bin", "[calibrate]") {
  for (const auto& x : {normal_values(20000), uniform_values(777, -1, 3), uniform_values(300, 5, 6),
                        uniform_values(300, -6, -5)}) {
    const vq::histogram h = of(x);
    std::vector<float> sorted = x, magnitudes = x;
    std::sort(sorted.begin(), sorted.end());
    for (float& value : magnitudes) value = std::abs(value);
    std::sort(magnitudes.begin(), magnitudes.end());
    for (const double percent : {50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
      const double outside = static_cast<double>(x.size()) * (100 - percent) / 100 * (1 + 1e-9);
      const auto all = static_cast<std::size_t>(outside),
                 half = static_cast<std::size_t>(outside / 2);

      const float limit = magnitudes[x.size() - 1 - all];
      const vq::range s = vq::percentile{percent}.estimate(h, symmetric_policy).value();
      CHECK(s.absmax() >= limit);
      CHECK(s.absmax() < limit + h.width);

      const float lowest = sorted[half], highest = sorted[x.size() - 1 - half];
      const vq::range t = vq::percentile{percent}.estimate(h, asymmetric_policy).value();
      CHECK(t.lowest <= lowest);
      CHECK(t.lowest > lowest - h.width);
      CHECK(t.highest >= highest);
      CHECK(t.highest < highest + h.width);
    }
  }
}

TEST_CASE("percentile: 100 is min-max exactly", "[calibrate]") {
  for (const auto& x : {normal_values(1000), wild_values(1000), uniform_values(100, 1, 2)}) {
    const vq::histogram h = of(x);
    CHECK(vq::percentile{100}.estimate(h, symmetric_policy).value() == h.seen);
    CHECK(vq::percentile{100}.estimate(h, asymmetric_policy).value() == h.seen);
  }
}

TEST_CASE("percentile: few values are never cut, one outlier of many is", "[calibrate]") {
  std::vector<float> x = uniform_values(9999, -1, 1);
  x.push_back(1000);
  CHECK(vq::percentile{99.99}.estimate(of(x), symmetric_policy)->absmax() <= 1 + 0.5f);
  x.resize(9000);
  x.push_back(1000);
  CHECK(vq::percentile{99.99}.estimate(of(x), symmetric_policy)->absmax() == 1000);
}

TEST_CASE("percentile: saturated, constant and empty data", "[calibrate]") {
  std::vector<float> relu6 = normal_values(10000);
  for (float& x : relu6) x = std::min(std::max(4 * x, 0.f), 6.f);
  CHECK(vq::percentile{99.9}.estimate(of(relu6), asymmetric_policy).value() == vq::range{0, 6});
  CHECK(vq::percentile{99.9}.estimate(of(relu6), symmetric_policy).value() == vq::range{0, 6});

  CHECK(vq::percentile{99}.estimate(of({0, 0}), symmetric_policy).value() == vq::range{0, 0});
  CHECK(vq::percentile{99}.estimate(of({-3, -3}), asymmetric_policy).value() == vq::range{-3, -3});
  CHECK(vq::percentile{99}.estimate(vq::histogram{}, symmetric_policy).error() ==
        vq::status::no_data);
}

TEST_CASE("percentile: what is not a percentage is refused", "[calibrate]") {
  const vq::histogram h = of({1, 2});
  for (const double percent : {0.0, -1.0, 100.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(vq::percentile{percent}.estimate(h, symmetric_policy).error() ==
          vq::status::bad_argument);
    CHECK(vq::percentile{percent}.estimate(h, asymmetric_policy).error() ==
          vq::status::bad_argument);
  }
}
