#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <vq/plan/bit_allocation.hpp>

#include "catch.hpp"

namespace {

using vq::bit_option;
using layers = std::vector<vq::layer_options>;

struct found {
  double cost = std::numeric_limits<double>::infinity();
  bool feasible = false;
};

// Tries every choice.
found by_hand(const layers& all, const vq::allocation_limits& limits) {
  found best;
  std::vector<std::size_t> choice(all.size(), 0);
  for (;;) {
    double cost = 0, time = 0;
    std::int64_t bytes = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      cost += all[i][choice[i]].cost;
      bytes += all[i][choice[i]].bytes;
      time += all[i][choice[i]].time;
    }
    if (bytes <= limits.bytes && time <= limits.time) {
      best.feasible = true;
      best.cost = (std::min)(best.cost, cost);
    }
    std::size_t i = 0;
    while (i < all.size() && ++choice[i] == all[i].size()) choice[i++] = 0;
    if (i == all.size()) return best;
  }
}

template <class Random>
layers random_layers(Random& random, std::size_t count, std::size_t formats, int kind) {
  std::uniform_real_distribution<double> unit(0, 1);
  std::uniform_int_distribution<std::int64_t> size(1, 40);
  layers all(count);
  for (auto& layer : all) {
    const std::int64_t weights = kind == 1 ? 16 : size(random);
    for (std::size_t k = 0; k < formats; ++k) {
      bit_option o;
      o.bytes = kind == 2 ? size(random) : weights * static_cast<std::int64_t>(k + 1);
      o.cost =
          kind == 1 ? static_cast<double>(formats - k) : unit(random) / static_cast<double>(k + 1);
      o.time = unit(random);
      layer.push_back(o);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("bit allocation: as good as trying every choice", "[plan]") {
  std::mt19937_64 random(1);
  int compared = 0;
  for (int turn = 0; turn < 3000; ++turn) {
    const int kind = turn % 3;
    const layers all = random_layers(random, 1 + random() % 6, 1 + random() % 4, kind);
    std::int64_t most = 0;
    for (const auto& layer : all) most += layer.back().bytes;
    vq::allocation_limits limits;
    limits.bytes = std::uniform_int_distribution<std::int64_t>(0, most + 5)(random);
    if (turn % 2 == 1)
      limits.time =
          std::uniform_real_distribution<double>(0, static_cast<double>(all.size()))(random);
    const found want = by_hand(all, limits);
    const auto got = vq::allocate_bits(all, limits);
    REQUIRE(bool(got) == want.feasible);
    if (!got) continue;
    ++compared;
    CHECK(got->optimal);
    CHECK(got->cost == Approx(want.cost).epsilon(1e-9));
    double cost = 0, time = 0;
    std::int64_t bytes = 0;
    REQUIRE(got->choice.size() == all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bit_option& o = all[i].at(static_cast<std::size_t>(got->choice[i]));
      cost += o.cost, bytes += o.bytes, time += o.time;
    }
    CHECK(cost == Approx(got->cost));
    CHECK(bytes == got->bytes);
    CHECK(bytes <= limits.bytes);
    CHECK(time <= limits.time + 1e-9);
  }
  CHECK(compared >= 1000);
}

TEST_CASE("bit allocation: more bytes never cost more", "[plan]") {
  std::mt19937_64 random(2);
  const layers all = random_layers(random, 40, 6, 0);
  double before = std::numeric_limits<double>::infinity();
  for (std::int64_t bytes = 900; bytes < 5000; bytes += 100) {
    const auto got = vq::allocate_bits(all, {.bytes = bytes});
    if (!got) continue;
    CHECK(got->optimal);
    CHECK(got->cost <= before + 1e-12);
    before = got->cost;
  }
  CHECK(before < std::numeric_limits<double>::infinity());
}

TEST_CASE("bit allocation: a thousand layers of eight formats, proven", "[plan]") {
  std::mt19937_64 random(3);
  std::uniform_int_distribution<std::int64_t> weights(100'000, 50'000'000);
  std::lognormal_distribution<double> sensitivity(0, 2);
  layers all(1000);
  std::int64_t most = 0;
  for (auto& layer : all) {
    const std::int64_t n = weights(random);
    const double hurt = sensitivity(random);
    for (int bits = 2; bits <= 16; bits += 2) {
      layer.push_back({hurt * std::exp2(-bits) * static_cast<double>(n), n * bits / 8 + 4096, 0});
    }
    most += n * 2;
  }
  for (const int share : {20, 25, 33, 50}) {
    const auto got = vq::allocate_bits(all, {.bytes = most * share / 100});
    REQUIRE(got);
    CHECK(got->optimal);
    CHECK(got->bound <= got->cost);
  }
}

TEST_CASE("bit allocation: a thousand equal layers, proven", "[plan]") {
  const vq::layer_options equal{{4, 4, 0}, {3, 8, 0}, {2, 12, 0}, {1, 16, 0}};
  const auto got = vq::allocate_bits(layers(1000, equal), {.bytes = 4 * 2500 + 3});
  REQUIRE(got);
  CHECK(got->optimal);
  CHECK(got->cost == 2500);
  CHECK(got->bytes == 10'000);
}

TEST_CASE("bit allocation: what cannot be is refused with the least that could", "[plan]") {
  const layers all{{{.cost = 1, .bytes = 10}, {.cost = 0, .bytes = 20}}, {{.cost = 1, .bytes = 5}}};
  const auto small = vq::allocate_bits(all, {.bytes = 14});
  REQUIRE_FALSE(small);
  CHECK_THAT(small.error().message, Catch::Contains("14 bytes") && Catch::Contains("15"));
  CHECK(vq::allocate_bits(all, {.bytes = 15}));
  CHECK_FALSE(vq::allocate_bits(layers{{}}, {}));
  CHECK_FALSE(vq::allocate_bits(layers{{{.cost = std::numeric_limits<double>::quiet_NaN()}}}, {}));
  CHECK(vq::allocate_bits({}, {})->optimal);
}

TEST_CASE("bit allocation: layers that must agree are one", "[plan]") {
  const layers qkv{{{1, 10, 0}, {0.5, 20, 1}}, {{2, 11, 0}, {0.25, 22, 1}}};
  const auto merged = vq::merge_layers(qkv);
  REQUIRE(merged.size() == 2);
  CHECK(merged[1].cost == 0.75);
  CHECK(merged[1].bytes == 42);
  CHECK(merged[1].time == 2);
}
