#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr vq::uniform<8> symmetric_policy;
constexpr vq::uniform<8, vq::asymmetric> asymmetric_policy;

vq::histogram of(const std::vector<float>& x) {
  vq::histogram_observer o;
  REQUIRE(o.observe(view_of(x)) == vq::status::ok);
  return o.snapshot().value();
}

// The definition with arrays, nothing cumulated.
double divergence_by_definition(const std::vector<double>& counts, std::size_t begin,
                                std::size_t end, std::size_t levels, double smoothing) {
  const std::vector<double> source(counts.begin() + static_cast<long>(begin),
                                   counts.begin() + static_cast<long>(end));
  std::vector<double> p = source, q(source.size());
  p.front() += std::accumulate(counts.begin(), counts.begin() + static_cast<long>(begin), 0.0);
  p.back() += std::accumulate(counts.begin() + static_cast<long>(end), counts.end(), 0.0);
  for (std::size_t level = 0; level < levels; ++level) {
    double sum = 0, occupied = 0;
    for (std::size_t k = 0; k < source.size(); ++k) {
      if (k * levels / source.size() != level) continue;
      sum += source[k];
      occupied += source[k] > 0 ? 1 : 0;
    }
    for (std::size_t k = 0; k < source.size(); ++k) {
      if (k * levels / source.size() == level && source[k] > 0) q[k] = sum / occupied;
    }
  }
  const double p_total = std::accumulate(p.begin(), p.end(), 0.0);
  const double q_total = std::accumulate(q.begin(), q.end(), 0.0);
  if (q_total == 0) return infinity;
  const auto support =
      static_cast<double>(std::count_if(p.begin(), p.end(), [](double x) { return x > 0; }));
  double divergence = 0;
  for (std::size_t k = 0; k < p.size(); ++k) {
    if (p[k] == 0) continue;
    const double share = (q[k] / q_total + smoothing / support) / (1 + smoothing);
    divergence += p[k] / p_total * std::log(p[k] / p_total / share);
  }
  return divergence;
}

}  // namespace

TEST_CASE("entropy: the published search, worked by hand", "[calibrate]") {
  // 16 bins, 4 levels; reproduced with arrays and a pocket calculator's precision.
  const std::vector<double> counts{50, 40, 30, 20, 12, 8, 5, 3, 2, 1, 1, 0, 0, 0, 0, 1};
  const double expected[] = {0.086915, 0.066771, 0.048091, 0.035821, 0.020540, 0.028168, 0.031072,
                             0.036752, infinity, infinity, infinity, infinity, 0.063039};
  const std::vector<double> found = vq::entropy::divergences(counts, 4, 0);
  REQUIRE(found.size() == 13);
  for (std::size_t i = 0; i < found.size(); ++i) {
    INFO("keeping " << i + 4 << " bins");
    if (expected[i] == infinity) {
      CHECK(found[i] == infinity);
    } else {
      CHECK(found[i] == Approx(expected[i]).margin(6e-7));
    }
  }
  CHECK(std::min_element(found.begin(), found.end()) - found.begin() + 4 == 8);

  const std::vector<double> smoothed = vq::entropy::divergences(counts, 4, 1e-4);
  for (const double divergence : smoothed) CHECK(divergence < 1);
  CHECK(std::min_element(smoothed.begin(), smoothed.end()) - smoothed.begin() + 4 == 8);
}

TEST_CASE("entropy: cumulative sums give what the definition gives", "[calibrate]") {
  std::mt19937 bits(11);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<double> counts(1 + bits() % 40);
    for (double& count : counts) count = bits() % 3 == 0 ? 0 : static_cast<double>(bits() % 100);
    if (std::accumulate(counts.begin(), counts.end(), 0.0) == 0) continue;
    const std::size_t begin = bits() % counts.size();
    const std::size_t end = begin + 1 + bits() % (counts.size() - begin);
    const std::size_t levels = 1 + bits() % (end - begin);
    for (const double smoothing : {0.0, 1e-4, 0.1}) {
      const vq::entropy_windows windows(counts, static_cast<vq::index_type>(levels), smoothing);
      const double found =
          windows.divergence(static_cast<vq::index_type>(begin), static_cast<vq::index_type>(end));
      const double want = divergence_by_definition(counts, begin, end, levels, smoothing);
      if (want == infinity) {
        CHECK(found == infinity);
      } else {
        CHECK(found == Approx(want).margin(1e-12));
      }
    }
  }
}

// For smooth densities the merging of bins costs about step^2 / 24 times the Fisher information (1
// for both distributions here), and clipping costs tail * log(tail / mass of the last bin). The sum
// is least near T = 3.7 for N(0, 1) with 16 levels, 4.9 with 256 (which a million values do not
// reach), and near 11.5 for Laplace with 256, where a million values reach 14.
TEST_CASE("entropy: the tail of a normal distribution is clipped", "[calibrate]") {
  const vq::histogram h = of(normal_values(1000000));
  REQUIRE(h.seen.absmax() > 4.5f);
  CHECK(vq::entropy{}.estimate(h, vq::uniform<4>{})->absmax() == Approx(3.7).margin(0.25));
  CHECK(vq::entropy{}.estimate(h, vq::uniform<4, vq::asymmetric>{})->absmax() ==
        Approx(3.7).margin(0.25));
  CHECK(vq::entropy{}.estimate(h, symmetric_policy)->absmax() > 4.3f);
}

TEST_CASE("entropy: the long tails of a Laplace distribution are clipped", "[calibrate]") {
  std::vector<float> x = uniform_values(1000000, -1, 1);
  for (float& value : x) {
    value = std::copysign(std::log(std::max(std::abs(value), 1e-7f)), value);
  }
  const vq::histogram h = of(x);
  REQUIRE(h.seen.absmax() > 13);
  CHECK(vq::entropy{}.estimate(h, symmetric_policy)->absmax() == Approx(11).margin(1.5));
  CHECK(vq::entropy{}.estimate(h, asymmetric_policy)->absmax() == Approx(11).margin(1.5));
}

TEST_CASE("entropy: a uniform distribution keeps its ends", "[calibrate]") {
  const vq::histogram two_sided = of(uniform_values(1000000, -2, 2));
  CHECK(vq::entropy{}.estimate(two_sided, symmetric_policy).value() == two_sided.seen);
  CHECK(vq::entropy{}.estimate(two_sided, asymmetric_policy).value() == two_sided.seen);
  const vq::histogram one_sided = of(uniform_values(1000000, 0, 5));
  CHECK(vq::entropy{}.estimate(one_sided, symmetric_policy).value() == one_sided.seen);
  CHECK(vq::entropy{}.estimate(one_sided, asymmetric_policy).value() == one_sided.seen);
}

TEST_CASE("entropy: zeros after ReLU do not decide", "[calibrate]") {
  std::vector<float> x = normal_values(400000);
  std::vector<float> relu;
  for (float& value : x) value = std::abs(value);
  const vq::range without = vq::entropy{}.estimate(of(x), asymmetric_policy).value();
  x.resize(4000000, 0.f);
  const vq::range with = vq::entropy{}.estimate(of(x), asymmetric_policy).value();
  CHECK(with.highest == without.highest);
  CHECK(with.highest > 3);
}

TEST_CASE("entropy: a single huge outlier is cut off", "[calibrate]") {
  std::vector<float> x = normal_values(1000000);
  x[77] = 100;
  CHECK(vq::entropy{}.estimate(of(x), symmetric_policy)->absmax() < 10);
  CHECK(vq::entropy{}.estimate(of(x), asymmetric_policy)->highest < 10);
}

TEST_CASE("entropy: skewed data keep their short side", "[calibrate]") {
  std::vector<float> gelu = normal_values(500000);
  for (float& x : gelu) x = static_cast<float>(x * 0.5 * std::erfc(-x / std::sqrt(2.0)));
  const vq::histogram h = of(gelu);
  const vq::range r = vq::entropy{}.estimate(h, asymmetric_policy).value();
  CHECK(r.lowest == h.seen.lowest);
  CHECK(r.highest > 3);
}

TEST_CASE("entropy: saturated, constant, sparse and empty data", "[calibrate]") {
  std::vector<float> relu6 = normal_values(100000);
  for (float& x : relu6) x = std::min(std::max(4 * x, 0.f), 6.f);
  CHECK(vq::entropy{}.estimate(of(relu6), asymmetric_policy).value() == vq::range{0, 6});

  for (const auto& x :
       std::vector<std::vector<float>>{{0, 0}, {2, 2}, {-3, -3}, {1e30f}, {1e-40f}}) {
    const vq::histogram h = of(x);
    CHECK(vq::entropy{}.estimate(h, symmetric_policy).value() == h.seen);
    CHECK(vq::entropy{}.estimate(h, asymmetric_policy).value() == h.seen);
  }
  CHECK(vq::entropy{}.estimate(vq::histogram{}, symmetric_policy).error() == vq::status::no_data);
  CHECK(vq::entropy{.smoothing = -1}.estimate(of({1}), symmetric_policy).error() ==
        vq::status::bad_argument);
  // 16 bits have more levels than there are bins: nothing is clipped
  const vq::histogram h = of(normal_values(10000));
  CHECK(vq::entropy{}.estimate(h, vq::uniform<16>{}).value() == h.seen);
}

TEST_CASE("entropy: data in a thin slice far from zero", "[calibrate]") {
  vq::torch_histogram_observer o;
  REQUIRE(o.observe(view_of({1000000, 1000000.5f, 1000001})) == vq::status::ok);
  const vq::histogram h = o.snapshot().value();
  CHECK(vq::entropy{}.estimate(h, symmetric_policy).value() == h.seen);
  CHECK(vq::entropy{}.estimate(h, asymmetric_policy).value() == h.seen);
  CHECK(vq::percentile{}.estimate(h, symmetric_policy).value() == h.seen);
}
