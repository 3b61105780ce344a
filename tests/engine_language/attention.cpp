// Attention of single sequences, and rotary positions.
#include <cmath>
#include <vector>

#include "language.hpp"

namespace {

using engine::matrix;
using engine::visibility;

matrix numbers(Eigen::Index rows, Eigen::Index columns, float seed) {
  matrix m(rows, columns);
  for (Eigen::Index i = 0; i < m.size(); ++i) {
    m.data()[i] = std::sin(seed + 1.7f * static_cast<float>(i));
  }
  return m;
}

matrix attended(const matrix& q, const matrix& k, const matrix& v, engine::head_counts heads,
                visibility seen) {
  matrix out(q.rows(), q.cols());
  engine::attend(q, k, v, heads, seen, out);
  return out;
}

}  // namespace

TEST_CASE("attention: one head as the formula says", "[engine]") {
  const matrix q = numbers(3, 4, 0.1f), k = numbers(3, 4, 0.2f), v = numbers(3, 4, 0.3f);
  for (const visibility seen : {visibility::all, visibility::causal}) {
    const matrix out = attended(q, k, v, {1, 1}, seen);
    for (int r = 0; r < 3; ++r) {
      const int visible = seen == visibility::all ? 3 : r + 1;
      double weights[3] = {}, sum = 0;
      for (int i = 0; i < visible; ++i) {
        double product = 0;
        for (int c = 0; c < 4; ++c) product += double{q(r, c)} * double{k(i, c)};
        sum += weights[i] = std::exp(product / 2);  // sqrt(4)
      }
      for (int c = 0; c < 4; ++c) {
        double expected = 0;
        for (int i = 0; i < visible; ++i) expected += weights[i] / sum * double{v(i, c)};
        CHECK(out(r, c) == Approx(expected).margin(1e-6));
      }
    }
  }
}

TEST_CASE("attention: grouped heads are heads of keys repeated", "[engine]") {
  const matrix q = numbers(5, 8, 0.4f), k = numbers(5, 4, 0.5f), v = numbers(5, 4, 0.6f);
  matrix keys(5, 8), values(5, 8);  // heads 0, 0, 1, 1 of two features each
  keys << k.leftCols(2), k.leftCols(2), k.rightCols(2), k.rightCols(2);
  values << v.leftCols(2), v.leftCols(2), v.rightCols(2), v.rightCols(2);
  bundled::require_close(bundled::values(attended(q, k, v, {4, 2}, visibility::causal)),
                         bundled::values(attended(q, keys, values, {4, 4}, visibility::causal)),
                         1e-6f);
}

TEST_CASE("attention: the last queries of a longer sequence see what they would see in it",
          "[engine]") {
  const matrix q = numbers(6, 4, 0.7f), k = numbers(6, 4, 0.8f), v = numbers(6, 4, 0.9f);
  const matrix all = attended(q, k, v, {2, 2}, visibility::causal).bottomRows(2);
  bundled::require_close(
      bundled::values(attended(q.bottomRows(2), k, v, {2, 2}, visibility::causal)),
      bundled::values(all), 1e-6f);
}

TEST_CASE("rotary positions: pairs of features turn by position times frequency", "[engine]") {
  const engine::rotary_positions rotary(64, 4, 100.f);
  matrix x(1, 8);
  x << 1, 0, 0, 0, 0, 1, 0, 0;  // two heads
  rotary.turn(x, 3);
  CHECK(x(0, 0) == Approx(std::cos(3.0)));  // feature 0 with feature 2
  CHECK(x(0, 2) == Approx(std::sin(3.0)));
  CHECK(x(0, 5) == Approx(std::cos(3.0 / 10)));  // feature 1 with feature 3: 100^(-2/4)
  CHECK(x(0, 7) == Approx(std::sin(3.0 / 10)));

  // The product of a query and a key depends on how far they are apart.
  const matrix a = numbers(1, 4, 1.1f), b = numbers(1, 4, 1.2f);
  const auto product = [&](engine::index_type p, engine::index_type r) {
    matrix q = a, k = b;
    rotary.turn(q, p);
    rotary.turn(k, r);
    return q.row(0).dot(k.row(0));
  };
  CHECK(product(7, 2) == Approx(product(45, 40)).margin(1e-5));
  CHECK(product(0, 0) == Approx(a.row(0).dot(b.row(0))).margin(1e-6));
}
