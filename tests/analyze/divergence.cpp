#include <cmath>
#include <limits>
#include <vector>

#include <vq/analyze/divergence.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

vq::log_distribution counts(const std::vector<double>& c) {
  return vq::log_distribution::of_counts(c).value();
}
vq::status wrong(const std::vector<double>& c) {
  return vq::log_distribution::of_counts(c).error();
}
vq::status wrong_logits(const std::vector<float>& x) {
  return vq::log_distribution::of_logits(x).error();
}

}  // namespace

TEST_CASE("divergence: the example of the documentation", "[analyze]") {
  const auto p = counts({7, 2, 1}), q = counts({0.6, 0.3, 0.1});
  CHECK(vq::kl_divergence(p, q).value() == Approx(0.02681245).margin(5e-9));
  CHECK(vq::kl_divergence(q, p).value() == Approx(0.02914912).margin(5e-9));
  CHECK(vq::kl_divergence(p, p).value() == 0);
  CHECK(vq::js_divergence(p, q).value() == Approx(vq::js_divergence(q, p).value()));
}

TEST_CASE("divergence: zeros in p cost nothing, zeros in q everything", "[analyze]") {
  const auto p = counts({0, 1}), q = counts({1, 1}), r = counts({1, 0});
  CHECK(vq::kl_divergence(p, q).value() == Approx(std::log(2.0)));
  CHECK(vq::kl_divergence(q, p).value() == inf);
  CHECK(vq::js_divergence(p, r).value() == Approx(std::log(2.0)));  // its largest value
  CHECK(vq::shannon_entropy(p) == 0);
  CHECK(vq::shannon_entropy(q) == Approx(std::log(2.0)));
}

TEST_CASE("divergence: logits far apart stay exact", "[analyze]") {
  const std::vector<float> p{1000, 0}, q{0, 1000};
  CHECK(vq::kl_of_logits(p, q).value() == Approx(1000));
  CHECK(vq::kl_of_logits(p, p).value() == 0);
  CHECK(vq::js_of_logits(p, q).value() == Approx(std::log(2.0)));
  const std::vector<float> shifted{3000, 2000};  // adding a constant changes nothing
  CHECK(vq::kl_of_logits(p, shifted).value() == 0);
}

TEST_CASE("divergence: a masked logit has probability 0", "[analyze]") {
  const float masked = -std::numeric_limits<float>::infinity();
  const std::vector<float> p{0, masked}, q{0, 0};
  CHECK(vq::kl_of_logits(p, q).value() == Approx(std::log(2.0)));
  CHECK(vq::kl_of_logits(q, p).value() == inf);
}

TEST_CASE("divergence: the earth mover counts bins", "[analyze]") {
  CHECK(vq::wasserstein_bins(counts({1, 0, 0, 0}), counts({0, 0, 0, 5})).value() == Approx(3));
  CHECK(vq::wasserstein_bins(counts({1, 1}), counts({1, 1})).value() == 0);
  CHECK(vq::wasserstein_bins(counts({2, 0, 2}), counts({0, 1, 0})).value() == Approx(1));
}

TEST_CASE("divergence: what is no distribution is refused", "[analyze]") {
  CHECK(wrong({}) == vq::status::no_data);
  CHECK(wrong({0, 0}) == vq::status::no_data);
  CHECK(wrong({1, -1}) == vq::status::bad_argument);
  CHECK(wrong({1, inf}) == vq::status::not_finite);
  CHECK(wrong({1, std::numeric_limits<double>::quiet_NaN()}) == vq::status::not_finite);
  const float big = std::numeric_limits<float>::infinity();
  CHECK(wrong_logits({}) == vq::status::no_data);
  CHECK(wrong_logits({-big, -big}) == vq::status::no_data);
  CHECK(wrong_logits({0, big}) == vq::status::not_finite);
  CHECK(wrong_logits({0, std::numeric_limits<float>::quiet_NaN()}) == vq::status::not_finite);
  const auto p = counts({1, 1}), q = counts({1, 1, 1});
  CHECK(vq::kl_divergence(p, q).error() == vq::status::size_mismatch);
  CHECK(vq::js_divergence(p, q).error() == vq::status::size_mismatch);
  CHECK(vq::wasserstein_bins(p, q).error() == vq::status::size_mismatch);
  const std::vector<float> two{1, 2}, three{1, 2, 3};
  CHECK(vq::kl_of_logits(two, three).error() == vq::status::size_mismatch);
  CHECK(vq::js_of_logits({}, three).error() == vq::status::no_data);
}

TEST_CASE("divergence: logits as measured by PyTorch and SciPy", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "kl_logits")) {
    const auto p = c.input<float>("p_logits"), q = c.input<float>("q_logits");
    const auto rows = static_cast<std::size_t>(p.shape.at(0));
    const auto columns = static_cast<std::size_t>(p.shape.at(1));
    std::vector<double> kl, js;
    double mean = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      const auto a = std::span(p.data).subspan(row * columns, columns);
      const auto b = std::span(q.data).subspan(row * columns, columns);
      kl.push_back(vq::kl_of_logits(a, b).value());
      js.push_back(vq::js_of_logits(a, b).value());
      mean += kl.back() / static_cast<double>(rows);
    }
    golden::check(c, "kl_rows", kl);
    golden::check(c, "js_rows", js);
    golden::check(c, "kl_batchmean", mean);
  }
}

TEST_CASE("divergence: histograms as measured by SciPy", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "kl_histogram")) {
    const auto p = counts(c.input<double>("p_counts").data);
    const auto q = counts(c.input<double>("q_counts").data);
    golden::check(c, "kl", vq::kl_divergence(p, q).value());
    if (c.has_output("entropy_p")) golden::check(c, "entropy_p", vq::shannon_entropy(p));
    if (c.has_output("wasserstein_bins")) {
      golden::check(c, "wasserstein_bins", vq::wasserstein_bins(p, q).value());
    }
  }
}
