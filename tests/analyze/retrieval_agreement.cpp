#include <cmath>
#include <vector>

#include <vq/analyze/retrieval_agreement.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using items = std::vector<vq::index_type>;
using view = vq::tensor_view<const float, 2>;

view of(const golden::array<float>& a) { return {a.data.data(), {a.shape.at(0), a.shape.at(1)}}; }

}  // namespace

TEST_CASE("retrieval_agreement: overlap counts what both find, in any order", "[analyze]") {
  const float a[] = {4, 3, 2, 1,  //
                     1, 2, 3, 4};
  const float b[] = {3, 4, 1, 2,   // the same two best
                     4, 2, 3, 1};  // one in common: item 2
  const view x{a, {2, 4}}, y{b, {2, 4}};
  CHECK(vq::overlap_at_k(x, y, 2).value() == 0.75);
  CHECK(vq::overlap_at_k(x, y, 1).value() == 0);
  CHECK(vq::overlap_at_k(x, y, 4).value() == 1);
  CHECK(vq::overlap_at_k(x, y, 100).value() == 1);  // of all there are
  CHECK(vq::overlap_at_k(x, x, 3).value() == 1);
  CHECK(vq::overlap_at_k(x, y, 0).error() == vq::status::bad_argument);
  CHECK(vq::overlap_at_k(x, view{b, {4, 2}}, 1).error() == vq::status::size_mismatch);
  CHECK(vq::overlap_at_k(view{a, {0, 4}}, view{b, {0, 4}}, 1).error() == vq::status::no_data);
}

TEST_CASE("retrieval_agreement: any of several relevant items is a hit", "[analyze]") {
  //                     0  1  2  3  4
  const float scores[] = {5, 9, 5, 7, 5,  //
                          1, 2, 3, 4, 5};
  const view similarity{scores, {2, 5}};
  // 7 is behind 9 only; 2 and 3 are behind 5 and 4, and 3 does not count against 4.
  const std::vector<items> relevant{{0, 3}, {2, 3}};
  CHECK(vq::best_ranks(similarity, relevant).value() == items{1, 1});
  // Three equal scores, two of them relevant: only the wrong one can stand before them.
  const std::vector<items> equal{{0, 4, 0}, {4}};
  CHECK(vq::best_ranks(similarity, equal).value() == items{2, 0});
  CHECK(vq::best_ranks(similarity, equal, vq::ties::pessimistic).value() == items{3, 0});
  CHECK(vq::best_ranks(similarity, std::vector<items>{{0}}).error() == vq::status::size_mismatch);
  CHECK(vq::best_ranks(similarity, std::vector<items>{{0}, {}}).error() ==
        vq::status::bad_argument);
  CHECK(vq::best_ranks(similarity, std::vector<items>{{0}, {5}}).error() ==
        vq::status::bad_argument);
}

TEST_CASE("retrieval_agreement: with one relevant item each, ranks are PyTorch's",
          "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "recall_at_k")) {
    const auto similarity = c.input<float>("similarity");
    std::vector<items> relevant;
    for (const auto item : c.input<vq::index_type>("relevant").data) relevant.push_back({item});
    golden::check(c, "rank_stable", vq::best_ranks(of(similarity), relevant).value());
    golden::check(c, "rank_pessimistic",
                  vq::best_ranks(of(similarity), relevant, vq::ties::pessimistic).value());
  }
}

TEST_CASE("retrieval_agreement: the best of equal labels is a hit at k as with NumPy",
          "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "mean_average_precision")) {
    const auto similarity = c.input<float>("similarity");
    const auto query = c.input<std::int32_t>("query_label").data;
    const auto label = c.input<std::int32_t>("gallery_label").data;
    std::vector<items> relevant(query.size());
    bool all_have_one = true;
    for (std::size_t q = 0; q < query.size(); ++q) {
      for (std::size_t i = 0; i < label.size(); ++i) {
        if (label[i] == query[q]) relevant[q].push_back(static_cast<vq::index_type>(i));
      }
      all_have_one = all_have_one && !relevant[q].empty();
    }
    if (!all_have_one) continue;
    const auto ranks = vq::best_ranks(of(similarity), relevant).value();
    std::vector<double> hit;
    for (const auto k : c.params().at("k").get<items>()) hit.push_back(vq::recall_at_k(ranks, k));
    golden::check(c, "hit_at_k", hit);
  }
}

TEST_CASE("retrieval_agreement: ranks move up and down", "[analyze]") {
  const auto change = vq::compare_ranks(items{0, 3, 5, 1}, items{2, 3, 2, 1}).value();
  CHECK(change.mean == -0.25);
  CHECK(change.mean_absolute == 1.25);
  CHECK(change.moved == 0.5);
  CHECK(vq::compare_ranks(items{0}, items{}).error() == vq::status::size_mismatch);
  CHECK(vq::compare_ranks(items{}, items{}).error() == vq::status::no_data);
}

TEST_CASE("retrieval_agreement: cosine of each row with its own", "[analyze]") {
  const float x[] = {1, 0, 3, 4}, y[] = {1, 1, 6, 8};
  const auto cosines = vq::compare_rows(view{x, {2, 2}}, view{y, {2, 2}}).value();
  CHECK(cosines.smallest == Approx(std::sqrt(0.5)));
  CHECK(cosines.mean == Approx((1 + std::sqrt(0.5)) / 2));
  CHECK(vq::compare_rows(view{x, {1, 4}}, view{y, {2, 2}}).error() == vq::status::size_mismatch);
  CHECK(vq::compare_rows(view{x, {0, 4}}, view{y, {0, 4}}).error() == vq::status::no_data);
}
