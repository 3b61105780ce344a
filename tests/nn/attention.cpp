// Attention products on codes against sums of the values that the codes stand for, in double.
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <vq/nn/attention.hpp>
#include <vq/quantizer/quantizer.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

constexpr vq::attention_shape shape{5, 7, 2, 6};  // queries, keys, heads, features

std::vector<std::uint8_t> random_codes(index_type size, int highest, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> any(0, highest);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(size));
  for (auto& c : codes) c = static_cast<std::uint8_t>(any(random));
  return codes;
}
std::size_t at(index_type i) { return static_cast<std::size_t>(i); }
std::vector<std::int32_t> workspace() {
  return std::vector<std::int32_t>(at(vq::attention_workspace(vq::scalar, shape)));
}
double value(std::uint8_t code, vq::affine_param p) {
  return (code - p.zero_point) * double{p.scale};
}

}  // namespace

TEST_CASE("attention: scores are the products of what the codes stand for", "[nn]") {
  const auto q = random_codes(shape.queries * shape.row(), 255, 1);
  const auto k = random_codes(shape.keys * shape.row(), 255, 2);
  const vq::affine_param pq{0.5f, 128}, pk{0.25f, 3};
  std::vector<float> scores(at(shape.heads * shape.queries * shape.keys));
  auto room = workspace();
  REQUIRE(vq::attention_scores(vq::scalar, shape, {q, pq}, {k, pk}, 0.5f, scores, room) ==
          vq::status::ok);
  for (index_type h = 0; h < shape.heads; ++h) {
    for (index_type t = 0; t < shape.queries; ++t) {
      for (index_type u = 0; u < shape.keys; ++u) {
        double sum = 0;
        for (index_type f = h * shape.features; f < (h + 1) * shape.features; ++f) {
          sum += value(q[at(t * shape.row() + f)], pq) * value(k[at(u * shape.row() + f)], pk);
        }
        const float found = scores[at((h * shape.queries + t) * shape.keys + u)];
        REQUIRE(double{found} == 0.5 * sum);  // scales are powers of two
      }
    }
  }
}

TEST_CASE("attention: the context weights values with evenly spaced and other codes", "[nn]") {
  const auto v = random_codes(shape.keys * shape.row(), 255, 3);
  const auto p = random_codes(shape.heads * shape.queries * shape.keys, 15, 4);
  const vq::affine_param pv{0.125f, 77}, pp{0.0625f, 2};
  const vq::log2_scale<4> log2;
  const auto planes = vq::planes_of(log2, {1.f});
  REQUIRE(planes);
  auto room = workspace();
  std::vector<float> even(at(shape.heads * shape.queries * shape.features)), octaves = even;
  REQUIRE(vq::attention_context(vq::scalar, shape, p, pp, {v, pv}, even, room) == vq::status::ok);
  REQUIRE(vq::attention_context(vq::scalar, shape, p, *planes, {v, pv}, octaves, room) ==
          vq::status::ok);
  for (index_type h = 0; h < shape.heads; ++h) {
    for (index_type t = 0; t < shape.queries; ++t) {
      for (index_type f = 0; f < shape.features; ++f) {
        double sum = 0, of_octaves = 0;
        for (index_type u = 0; u < shape.keys; ++u) {
          const std::uint8_t code = p[at((h * shape.queries + t) * shape.keys + u)];
          const double x = value(v[at(u * shape.row() + h * shape.features + f)], pv);
          sum += value(code, pp) * x;
          of_octaves += (code == 15 ? 0 : std::ldexp(1.0, -code)) * x;
        }
        const auto found = at((h * shape.queries + t) * shape.features + f);
        REQUIRE(double{even[found]} == sum);
        REQUIRE(octaves[found] == Approx(of_octaves).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("attention: buffers that are too small and empty shapes are refused", "[nn]") {
  const auto q = random_codes(shape.queries * shape.row(), 255, 1);
  const auto k = random_codes(shape.keys * shape.row(), 255, 2);
  std::vector<float> out(at(shape.heads * shape.queries * shape.keys));
  auto room = workspace();
  const vq::sequence_codes cq{q, {}}, ck{k, {}};
  REQUIRE(vq::attention_scores(vq::scalar, shape, ck, cq, 1, std::span(out).first(3), room) ==
          vq::status::size_mismatch);
  REQUIRE(vq::attention_scores(vq::scalar, {0, 7, 2, 6}, cq, ck, 1, out, room) ==
          vq::status::size_mismatch);
  REQUIRE(vq::attention_scores(vq::scalar, shape, cq, ck, 1, out, std::span(room).first(10)) ==
          vq::status::too_little_workspace);
  REQUIRE(vq::attention_context(vq::scalar, shape, q, vq::affine_param{}, ck, out, room) ==
          vq::status::size_mismatch);  // q is too short for probabilities
}

TEST_CASE("attention: one token attends to itself", "[nn]") {
  constexpr vq::attention_shape one{1, 1, 1, 4};
  const std::vector<std::uint8_t> codes{1, 2, 3, 4}, certain{128};
  std::vector<std::int32_t> room(at(vq::attention_workspace(vq::scalar, one)));
  std::vector<float> score(1), context(4);
  REQUIRE(vq::attention_scores(vq::scalar, one, {codes, {}}, {codes, {}}, 1, score, room) ==
          vq::status::ok);
  REQUIRE(score[0] == 30);
  REQUIRE(vq::attention_context(vq::scalar, one, certain, vq::affine_param{0x1p-7f, 0}, {codes, {}},
                                context, room) == vq::status::ok);
  REQUIRE(context == std::vector<float>{1, 2, 3, 4});
}
