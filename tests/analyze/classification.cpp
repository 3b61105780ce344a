#include <limits>
#include <vector>

#include <vq/analyze/classification.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using classes = std::vector<vq::index_type>;
using view = vq::tensor_view<const float, 2>;

}  // namespace

TEST_CASE("classification: the first of equal scores wins, NaN never", "[analyze]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(vq::argmax(std::vector<float>{1, 3, 3}) == 1);
  CHECK(vq::argmax(std::vector<float>{nan, 1, nan}) == 1);
  CHECK(vq::argmax(std::vector<float>{nan, nan}) == 0);
}

TEST_CASE("classification: agreement needs no labels", "[analyze]") {
  const float a[] = {0, 1, 5, 2, 3, 3}, b[] = {7, 8, 1, 2, 0, 1};
  const view x{a, {3, 2}}, y{b, {3, 2}};
  CHECK(vq::predictions(x).value() == classes{1, 0, 0});
  CHECK(vq::predictions(y).value() == classes{1, 1, 1});
  CHECK(vq::argmax_agreement(x, y).value() == Approx(1.0 / 3));
  CHECK(vq::argmax_agreement(x, x).value() == 1);
  CHECK(vq::argmax_agreement(x, view{b, {2, 3}}).error() == vq::status::size_mismatch);
  CHECK(vq::agreement(classes{1}, classes{}).error() == vq::status::size_mismatch);
  CHECK(vq::agreement(classes{}, classes{}).error() == vq::status::no_data);
  CHECK(vq::predictions(view{a, {3, 0}}).error() == vq::status::no_data);
}

TEST_CASE("classification: labels must be classes", "[analyze]") {
  const float scores[] = {1, 2, 3, 4};
  const view logits{scores, {2, 2}};
  CHECK(vq::top_k_accuracy(logits, classes{1, 0}, 1).value() == 0.5);
  CHECK(vq::top_k_accuracy(logits, classes{1, 0}, 2).value() == 1);
  CHECK(vq::top_k_accuracy(logits, classes{1, 2}, 1).error() == vq::status::bad_argument);
  CHECK(vq::top_k_accuracy(logits, classes{1}, 1).error() == vq::status::size_mismatch);
  CHECK(vq::top_k_accuracy(logits, classes{}, 1).error() == vq::status::no_data);
}

TEST_CASE("classification: McNemar's test looks at images that one of two gets right",
          "[analyze]") {
  const classes labels{0, 0, 0, 0, 1}, first{0, 0, 1, 1, 1}, second{0, 1, 0, 2, 0};
  const auto outcomes = vq::compare_classifiers(first, second, labels);
  REQUIRE(outcomes);
  CHECK(outcomes->both == 1);
  CHECK(outcomes->only_first == 2);
  CHECK(outcomes->only_second == 1);
  CHECK(outcomes->neither == 1);
  CHECK(outcomes->p_value() == 1);
  CHECK(vq::compare_classifiers(first, second, classes{}).error() == vq::status::size_mismatch);

  const auto p = [](vq::index_type a, vq::index_type b) {
    return vq::paired_outcomes{.both = 1000, .only_first = a, .only_second = b}.p_value();
  };
  CHECK(p(0, 0) == 1);
  CHECK(p(5, 0) == Approx(2.0 / 32));               // five heads
  CHECK(p(1, 9) == Approx(2.0 * (1 + 10) / 1024));  // at most one head of ten
  CHECK(p(9, 1) == p(1, 9));
  CHECK(p(50, 50) == 1);
  CHECK(p(49, 51) == Approx(0.920411).margin(1e-6));
  CHECK(p(4000, 6000) < 1e-80);
}

TEST_CASE("classification: top-k accuracy as measured by PyTorch", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "topk_accuracy")) {
    const auto logits = c.input<float>("logits");
    const view scores{logits.data.data(), {logits.shape.at(0), logits.shape.at(1)}};
    const auto labels = c.input<vq::index_type>("label").data;
    std::vector<double> accuracy;
    for (const auto k : c.params().at("k").get<classes>()) {
      accuracy.push_back(vq::top_k_accuracy(scores, labels, k).value());
    }
    golden::check(c, "accuracy", accuracy);
    golden::check(c, "argmax", vq::predictions(scores).value());
  }
}
