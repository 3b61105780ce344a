// Verdicts are compared with sums that are computed as a target computes them, on the inputs that
// drive them to their ends, and on random ones.
#include <cstdint>
#include <random>
#include <vector>

#include <vq/analyze/integer_safety.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

std::int64_t wrapped(std::int64_t x, int bits) {
  const std::uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
  const auto low = static_cast<std::uint64_t>(x) & mask;
  return low >> (bits - 1) != 0 ? static_cast<std::int64_t>(low | ~mask)
                                : static_cast<std::int64_t>(low);
}

// As the target adds: neighbours saturate, the accumulator wraps. True when the sum is exact.
bool exact_on(const vq::integer_target& target, std::span<const std::int8_t> w,
              const std::vector<std::int32_t>& x) {
  std::int64_t accumulator = 0, exact = 0;
  bool same = true;
  const std::int64_t most = (std::int64_t{1} << (target.neighbour_bits - 1)) - 1;
  for (std::size_t i = 0; i < w.size(); i += static_cast<std::size_t>(target.neighbours)) {
    std::int64_t sum = 0;
    for (std::size_t k = i; k < w.size() && k < i + static_cast<std::size_t>(target.neighbours);
         ++k) {
      sum += std::int64_t{w[k]} * x[k];
    }
    exact += sum;
    same = same && sum <= most && sum >= -most - 1;
    accumulator = wrapped(accumulator + sum, target.accumulator_bits);
  }
  return same && accumulator == exact;
}

const vq::overflow_bound* find(const vq::safety_report& r, vq::overflow_check what) {
  for (const auto& b : r.bounds) {
    if (b.what == what) return &b;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("integer safety: a verdict is what the worst inputs do", "[analyze]") {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> size(1, 40), magnitude(1, 127);
  int safe = 0, unsafe = 0;
  for (int turn = 0; turn < 2000; ++turn) {
    const int products = size(random), outputs = 1 + turn % 3, most = magnitude(random);
    std::vector<std::int8_t> weights;
    for (int i = 0; i < products * outputs; ++i) {
      weights.push_back(static_cast<std::int8_t>(
          static_cast<int>(random() % static_cast<unsigned>(2 * most + 1)) - most));
    }
    const vq::input_codes inputs = turn % 2 == 0 ? vq::input_codes{0, turn % 4 == 0 ? 255 : 127, 9}
                                                 : vq::input_codes{-128, 127, 0};
    const vq::integer_layer layer{
        .name = "layer", .weights = weights, .outputs = outputs, .inputs = inputs};
    for (const vq::integer_target& target : vq::integer_targets::all) {
      const auto report = vq::check_integer_safety(layer, target);
      bool exact = true;
      for (index_type n = 0; n < outputs; ++n) {
        // The whole row at an end, and every neighbourhood at its own.
        for (const bool highest : {false, true}) {
          exact = exact && exact_on(target, layer.row(n), vq::worst_input(layer, n, highest));
        }
      }
      CHECK(report.safe() == exact);
      (exact ? safe : unsafe) += 1;
      if (report.safe()) {
        std::uniform_int_distribution<std::int32_t> code(inputs.lowest, inputs.highest);
        std::vector<std::int32_t> x(static_cast<std::size_t>(products));
        for (auto& c : x) c = code(random);
        CHECK(exact_on(target, layer.row(0), x));
      }
    }
  }
  CHECK(safe > 100);
  CHECK(unsafe > 100);
}

TEST_CASE("integer safety: pmaddubsw saturates from weights of 65 on", "[analyze]") {
  // 2 * 255 * 64 = 32640 fits 16 bits, 2 * 255 * 65 = 33150 does not.
  const std::vector<std::int8_t> fits{64, 64, -64, -64}, does_not{65, 65, 0, 0};
  vq::integer_layer layer{.name = "fc1", .weights = fits, .outputs = 1, .inputs = {0, 255, 0}};
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::avx2).safe());
  layer.weights = does_not;
  const auto report = vq::check_integer_safety(layer, vq::integer_targets::avx2);
  CHECK_FALSE(report.safe());
  CHECK(report.safe_input_bits == 7);  // 2 * 127 * 65 = 16510
  CHECK(report.safe_weight == 64);
  CHECK(vq::describe(report) ==
        "fc1: on avx2 sums of neighbouring products reach 33150 where 32767 is the limit (output "
        "0); safe with input codes of 7 bits, or with weights up to 64");
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::vnni).safe());
  CHECK(vq::describe(vq::check_integer_safety(layer, vq::integer_targets::vnni)) ==
        "fc1: safe on vnni");
}

TEST_CASE("integer safety: products of the lowest codes overflow smlal by one", "[analyze]") {
  // -128 * -128 * 2 = 32768: the well-known reason for narrow weights on NEON.
  const std::vector<std::int8_t> full{-128, -128}, narrow{-127, -127};
  vq::integer_layer layer{.name = "l", .weights = full, .outputs = 1, .inputs = {-128, 127, 0}};
  CHECK_FALSE(vq::check_integer_safety(layer, vq::integer_targets::neon).safe());
  layer.weights = narrow;
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::neon).safe());
}

TEST_CASE("integer safety: bias, zero point and left shifts count", "[analyze]") {
  const std::vector<std::int8_t> weights(1000, 100);
  const std::vector<double> small{1e6}, large{2147483000.0}, beyond{3e9};
  vq::integer_layer layer{.name = "l", .weights = weights, .outputs = 1, .inputs = {0, 255, 128}};
  layer.bias = small;
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::vnni).safe());
  const auto ok = vq::check_integer_safety(layer, vq::integer_targets::vnni);
  CHECK(find(ok, vq::overflow_check::result)->highest == 1e6 + 100'000.0 * (255 - 128));
  CHECK(find(ok, vq::overflow_check::result)->lowest == 1e6 - 100'000.0 * 128);

  layer.bias = large;
  const auto over = vq::check_integer_safety(layer, vq::integer_targets::vnni);
  CHECK(find(over, vq::overflow_check::bias)->safe());
  CHECK_FALSE(find(over, vq::overflow_check::result)->safe());
  layer.bias = beyond;
  CHECK_FALSE(
      find(vq::check_integer_safety(layer, vq::integer_targets::vnni), vq::overflow_check::bias)
          ->safe());

  // 13.7 million, times 2^7, is 1.75e9 and fits; times 2^8 it does not.
  layer.bias = small;
  const std::vector<int> seven{7}, eight{8}, right{-8};
  layer.shifts = seven;
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::vnni).safe());
  layer.shifts = eight;
  CHECK_FALSE(vq::check_integer_safety(layer, vq::integer_targets::vnni).safe());
  layer.shifts = right;
  CHECK(vq::check_integer_safety(layer, vq::integer_targets::vnni).safe());
}
