#include <cmath>
#include <string>
#include <vector>

#include <vq/analyze/sensitivity.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;
using vq::procedure;

const std::vector<vq::sensitivity_layer> layers{{"stem"}, {"attention"}, {"head"}};
const std::vector<std::string> formats{"int8", "int4"};

// Layer l in format f hurts by weight[l] * 4^f, on every subset a little differently. Sums over
// layers, and a product of the first two: they interact.
std::vector<double> hurt(std::span<const index_type> choice, index_type) {
  const double weight[] = {1, 10, 3};
  std::vector<double> subsets;
  for (int subset = 0; subset < 4; ++subset) {
    double sum = 0;
    for (std::size_t l = 0; l < 3; ++l) {
      if (choice[l] != vq::untouched) {
        sum += weight[l] * std::pow(4, static_cast<double>(choice[l])) *
               (1 + 0.01 * static_cast<double>((subset + static_cast<int>(l)) % 4));
      }
    }
    if (choice[0] >= 0 && choice[1] >= 0) sum += 100;
    subsets.push_back(sum);
  }
  return subsets;
}

// Runs tasks from the last to the first.
struct backwards {
  static index_type workers() { return 1; }
  template <class F>
  void operator()(index_type tasks, F&& f) const {
    while (tasks-- > 0) f(tasks, index_type{0});
  }
};

void check_equal(const vq::sensitivity_table& a, const vq::sensitivity_table& b) {
  REQUIRE(a.trials.size() == b.trials.size());
  for (std::size_t i = 0; i < a.trials.size(); ++i) {
    CHECK(a.trials[i].how == b.trials[i].how);
    CHECK(a.trials[i].format == b.trials[i].format);
    CHECK(a.trials[i].layer == b.trials[i].layer);
    CHECK(a.trials[i].measure == b.trials[i].measure);
  }
}

const std::vector<procedure> every{procedure::alone, procedure::all_but_one, procedure::cumulative};

}  // namespace

TEST_CASE("sensitivity: a menu of quantizers is the list of its names", "[analyze]") {
  using menu = vq::menu<vq::quantizer<vq::uniform<8>, vq::per_channel<0>>,
                        vq::quantizer<vq::uniform<4>, vq::per_channel<0>>>;
  const auto by_menu = vq::analyze_sensitivity(layers, menu{}, hurt);
  const auto by_name = vq::analyze_sensitivity(layers, {"int8-channel", "int4-channel"}, hurt);
  REQUIRE(by_menu);
  CHECK(by_menu->formats == by_name->formats);
  check_equal(*by_menu, *by_name);
}

TEST_CASE("sensitivity: one layer at a time quantizes that layer and no other", "[analyze]") {
  const auto table = vq::analyze_sensitivity(layers, formats, hurt);
  REQUIRE(table);
  CHECK(table->complete);
  CHECK(table->trials.size() == 6);
  for (index_type f = 0; f < 2; ++f) {
    for (index_type l = 0; l < 3; ++l) {
      std::vector<index_type> only(3, vq::untouched);
      only[static_cast<std::size_t>(l)] = f;
      REQUIRE(table->of(procedure::alone, f, l) != nullptr);
      CHECK(table->of(procedure::alone, f, l)->measure == hurt(only, 0));
    }
  }
  const auto ranks = table->ranks(1);
  REQUIRE(ranks.size() == 3);
  CHECK(ranks[0].layer == 1);
  CHECK(ranks[1].layer == 2);
  CHECK(ranks[2].layer == 0);
  for (const auto& r : ranks) CHECK(r.stable());
}

TEST_CASE("sensitivity: all but one shows what only an interaction explains", "[analyze]") {
  const auto table = vq::analyze_sensitivity(layers, formats, hurt, {.procedures = every});
  REQUIRE(table);
  const auto everything = hurt(std::vector<index_type>{1, 1, 1}, 0);
  // Without the stem, which hurts least alone, its product with the attention goes too.
  const auto* without_stem = table->of(procedure::all_but_one, 1, 0);
  const auto* without_head = table->of(procedure::all_but_one, 1, 2);
  REQUIRE(without_stem != nullptr);
  CHECK(without_stem->measure == hurt(std::vector<index_type>{vq::untouched, 1, 1}, 0));
  CHECK(without_stem->mean() < without_head->mean());
  CHECK(table->ranks(1, procedure::all_but_one)[1].layer == 0);
  // Cumulative: from the layer that hurts least alone; the last is everything.
  CHECK(table->of(procedure::cumulative, 1, 0)->measure ==
        table->of(procedure::alone, 1, 0)->measure);
  CHECK(table->of(procedure::cumulative, 1, 1)->measure ==
        hurt(std::vector<index_type>{1, vq::untouched, 1}, 0));
  CHECK(table->of(procedure::cumulative, 1, 2)->measure == everything);
}

TEST_CASE("sensitivity: stopped and resumed, or in another order, gives the same table",
          "[analyze]") {
  const auto whole = vq::analyze_sensitivity(layers, formats, hurt, {.procedures = every});
  REQUIRE(whole);
  check_equal(*whole,
              *vq::analyze_sensitivity(layers, formats, hurt, {.procedures = every}, backwards{}));
  for (std::size_t stop_after : {1u, 5u, 6u, 11u, 17u}) {
    int evaluations = 0;
    const auto counted = [&](std::span<const index_type> choice, index_type worker) {
      ++evaluations;
      return hurt(choice, worker);
    };
    vq::sensitivity_options options{.procedures = every};
    options.progress = [&](const vq::sensitivity_table& so_far, index_type in_all) {
      CHECK(in_all == 18);
      return so_far.trials.size() < stop_after;
    };
    const auto part = vq::analyze_sensitivity(layers, formats, counted, options);
    REQUIRE(part);
    CHECK_FALSE(part->complete);
    CHECK(part->trials.size() == stop_after);
    const auto rest =
        vq::analyze_sensitivity(layers, formats, counted, {.procedures = every, .known = &*part});
    REQUIRE(rest);
    CHECK(rest->complete);
    CHECK(evaluations == 18);
    check_equal(*whole, *rest);
  }
  CHECK_FALSE(vq::analyze_sensitivity(layers, {"int8", "int2"}, hurt, {.known = &*whole}));
}

TEST_CASE("sensitivity: ranks that data cannot tell apart are intervals", "[analyze]") {
  vq::sensitivity_table table{layers, {"int8"}, {}, true};
  // The first two differ by less than their scatter; the third is far from both.
  table.trials = {{procedure::alone, 0, 0, {1.0, 1.2, 0.9, 1.1}},
                  {procedure::alone, 0, 1, {1.1, 1.0, 1.1, 0.95}},
                  {procedure::alone, 0, 2, {3.0, 3.1, 2.9, 3.05}}};
  const auto ranks = table.ranks(0);
  REQUIRE(ranks.size() == 3);
  CHECK(ranks[0].layer == 2);
  CHECK(ranks[0].stable());
  CHECK(ranks[1].first == 2);
  CHECK(ranks[1].last == 3);
  CHECK_FALSE(ranks[2].stable());
  // Errors that move together say more than their own scatter does.
  const auto d =
      vq::compare_pairs(std::vector<double>{1, 2, 3, 4}, std::vector<double>{0.9, 1.8, 2.9, 3.8});
  CHECK(d.mean == Approx(0.15));
  CHECK(d.standard_error == Approx(std::sqrt(0.01 / 12)));
  CHECK(d.sure());
  CHECK(table.trials[0].standard_error() == Approx(std::sqrt(0.05 / 12)));
  CHECK(std::isinf(vq::sensitivity_trial{procedure::alone, 0, 0, {1}}.standard_error()));
}

TEST_CASE("sensitivity: a measure that fails ends the analysis with its sentence", "[analyze]") {
  const auto broken = [](std::span<const index_type> choice,
                         index_type) -> vq::result<std::vector<double>, vq::failure> {
    if (choice[2] == 1)
      return vq::failure{vq::status::not_finite, "head: the logits are not finite"};
    return std::vector<double>{0};
  };
  const auto table = vq::analyze_sensitivity(layers, formats, broken);
  REQUIRE_FALSE(table);
  CHECK(table.error().message == "head: the logits are not finite");
}
