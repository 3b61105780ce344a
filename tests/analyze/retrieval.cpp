#include <limits>
#include <vector>

#include <vq/analyze/retrieval.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using items = std::vector<vq::index_type>;
using view = vq::tensor_view<const float, 2>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

view of(const golden::array<float>& a) { return {a.data.data(), {a.shape.at(0), a.shape.at(1)}}; }

}  // namespace

TEST_CASE("retrieval: equal scores are ordered by the rule", "[analyze]") {
  constexpr float scores[] = {1, 3, 2, 3, 3};
  STATIC_REQUIRE(vq::rank_of(scores, 1) == 0);
  STATIC_REQUIRE(vq::rank_of(scores, 3) == 1);
  STATIC_REQUIRE(vq::rank_of(scores, 4) == 2);
  STATIC_REQUIRE(vq::rank_of(scores, 2) == 3);
  STATIC_REQUIRE(vq::rank_of(scores, 0) == 4);
  STATIC_REQUIRE(vq::rank_of(scores, 1, vq::ties::pessimistic) == 2);
  STATIC_REQUIRE(vq::rank_of(scores, 3, vq::ties::pessimistic) == 2);
  STATIC_REQUIRE(vq::rank_of(scores, 2, vq::ties::pessimistic) == 3);
  CHECK(vq::top_k(scores, 3) == items{1, 3, 4});
  CHECK(vq::top_k(scores, 99) == items{1, 3, 4, 2, 0});
  CHECK(vq::top_k(scores, 0).empty());
  CHECK(vq::top_k(scores, -1).empty());
}

TEST_CASE("retrieval: NaN comes last, behind -infinity; zeros are equal", "[analyze]") {
  const float scores[] = {not_a_number, -infinity, 0.f, not_a_number, -0.f, infinity};
  CHECK(vq::top_k(scores, 6) == items{5, 2, 4, 1, 0, 3});
  for (vq::index_type rank = 0; rank < 6; ++rank) {
    CHECK(vq::rank_of(scores, vq::top_k(scores, 6)[static_cast<std::size_t>(rank)]) == rank);
  }
  CHECK(vq::rank_of(scores, 0, vq::ties::pessimistic) == 5);
}

TEST_CASE("retrieval: recall, reciprocal rank, and k beyond the items", "[analyze]") {
  const items ranks{0, 1, 4, 9};
  CHECK(vq::recall_at_k(ranks, 1) == 0.25);
  CHECK(vq::recall_at_k(ranks, 5) == 0.75);
  CHECK(vq::recall_at_k(ranks, 1000) == 1);
  CHECK(vq::recall_at_k(ranks, 0) == 0);
  CHECK(vq::mean_reciprocal_rank(ranks) == Approx((1 + 0.5 + 0.2 + 0.1) / 4));
  CHECK(vq::recall_at_k({}, 1) == 0);
  CHECK(vq::mean_reciprocal_rank({}) == 0);
}

TEST_CASE("retrieval: the other direction is the transposed view", "[analyze]") {
  const float similarity[] = {5, 1, 2,  //
                              6, 0, 7};
  const items images{0, 2}, texts{1, 0, 1};
  CHECK(vq::ranks(view{similarity, {2, 3}}, images).value() == items{0, 0});
  CHECK(vq::ranks(view{similarity, {3, 2}, {1, 3}}, texts).value() == items{0, 0, 0});
}

TEST_CASE("retrieval: queries and items must fit the scores", "[analyze]") {
  const float similarity[6] = {};
  const view scores{similarity, {2, 3}};
  CHECK(vq::ranks(scores, items{0}).error() == vq::status::size_mismatch);
  CHECK(vq::ranks(scores, items{0, 3}).error() == vq::status::bad_argument);
  CHECK(vq::ranks(scores, items{-1, 0}).error() == vq::status::bad_argument);
  const std::vector<std::int32_t> two{1, 2}, three{1, 2, 3};
  CHECK(vq::ask_labelled(scores, two, three));
  CHECK(vq::ask_labelled(scores, three, three).error() == vq::status::size_mismatch);
  CHECK(vq::ask_labelled(scores, two, two).error() == vq::status::size_mismatch);
}

TEST_CASE("retrieval: a query without relevant items has precision 0", "[analyze]") {
  const float scores[] = {3, 2, 1};
  const std::int32_t labels[] = {1, 2, 1};
  const vq::labelled_query found(scores, 1, labels), none(scores, 9, labels);
  CHECK(found.average_precision() == Approx((1.0 + 2.0 / 3) / 2));
  CHECK(found.precision_at_k(2) == 0.5);
  CHECK(found.precision_at_k(10) == 0.2);
  CHECK(found.precision_at_k(0) == 0);
  CHECK(found.hit_at_k(1));
  CHECK(none.average_precision() == 0);
  CHECK_FALSE(none.hit_at_k(3));
  CHECK(vq::mean_average_precision(std::vector{found, none}) == Approx((1.0 + 2.0 / 3) / 4));
  CHECK(vq::mean_average_precision({}) == 0);
}

TEST_CASE("retrieval: ranks and recall as sorted by PyTorch", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "recall_at_k")) {
    const auto similarity = c.input<float>("similarity");
    const auto relevant = c.input<vq::index_type>("relevant").data;
    const auto stable = vq::ranks(of(similarity), relevant, vq::ties::stable).value();
    const auto pessimistic = vq::ranks(of(similarity), relevant, vq::ties::pessimistic).value();
    std::vector<double> recall_stable, recall_pessimistic;
    for (const auto k : c.params().at("k").get<items>()) {
      recall_stable.push_back(vq::recall_at_k(stable, k));
      recall_pessimistic.push_back(vq::recall_at_k(pessimistic, k));
    }
    items best;
    vq::for_each_row(of(similarity), [&](vq::index_type, std::span<const float> scores) {
      const items top = vq::top_k(scores, 5);
      best.insert(best.end(), top.begin(), top.end());
    });
    golden::check(c, "rank_stable", stable);
    golden::check(c, "rank_pessimistic", pessimistic);
    golden::check(c, "recall_stable", recall_stable);
    golden::check(c, "recall_pessimistic", recall_pessimistic);
    golden::check(c, "mrr_stable", vq::mean_reciprocal_rank(stable));
    golden::check(c, "top5_index_stable", best);
  }
}

TEST_CASE("retrieval: mean average precision as defined with NumPy", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "mean_average_precision")) {
    const auto similarity = c.input<float>("similarity");
    const auto queries = vq::ask_labelled(of(similarity), c.input<std::int32_t>("query_label").data,
                                          c.input<std::int32_t>("gallery_label").data)
                             .value();
    std::vector<double> average_precision, hit, precision;
    for (const auto& query : queries) average_precision.push_back(query.average_precision());
    const auto count = static_cast<double>(queries.size());
    for (const auto k : c.params().at("k").get<items>()) {
      hit.push_back(0);
      precision.push_back(0);
      for (const auto& query : queries) {
        hit.back() += (query.hit_at_k(k) ? 1 : 0) / count;
        precision.back() += query.precision_at_k(k) / count;
      }
    }
    golden::check(c, "average_precision", average_precision);
    golden::check(c, "hit_at_k", hit);
    golden::check(c, "precision_at_k", precision);
  }
}
