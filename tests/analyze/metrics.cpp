#include <cmath>
#include <limits>
#include <vector>

#include <vq/analyze/metrics.hpp>
#include <vq/core/half.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using view = vq::tensor_view<const float, 1>;

constexpr double inf = std::numeric_limits<double>::infinity();

view of(const std::vector<float>& v) { return {v.data(), {std::ssize(v)}}; }

vq::error_statistics errors(const std::vector<float>& x, const std::vector<float>& y) {
  return vq::compare(of(x), of(y)).value();
}

}  // namespace

TEST_CASE("metrics: the example of the documentation", "[analyze]") {
  const auto e = errors({1, -2, 3, 0.5f}, {1.1f, -1.9f, 2.8f, 0.4f});
  CHECK(e.count() == 4);
  CHECK(e.mse() == Approx(0.0175));
  CHECK(e.mae() == Approx(0.125));
  CHECK(e.max_abs_error() == Approx(0.2));
  CHECK(e.sqnr_db() == Approx(23.0872).margin(5e-5));
  CHECK(e.psnr_db() == Approx(10 * std::log10(9 / 0.0175)));
  CHECK(e.cosine() == Approx(0.99880872).margin(5e-9));
  CHECK(e.relative_l2() == Approx(std::sqrt(0.07 / 14.25)));
}

TEST_CASE("metrics: zero vectors and missing errors have defined values", "[analyze]") {
  const auto same = errors({1, 2}, {1, 2});
  CHECK(same.mse() == 0);
  CHECK(same.sqnr_db() == inf);
  CHECK(same.psnr_db() == inf);
  CHECK(same.relative_l2() == 0);
  CHECK(same.cosine() == Approx(1));

  const auto both_zero = errors({0, 0}, {0, -0.f});
  CHECK(both_zero.sqnr_db() == inf);
  CHECK(both_zero.relative_l2() == 0);
  CHECK(both_zero.cosine() == 1);
  CHECK(both_zero.cosine(1e-8) == 0);

  const auto no_signal = errors({0, 0}, {1, 0});
  CHECK(no_signal.sqnr_db() == -inf);
  CHECK(no_signal.psnr_db() == -inf);
  CHECK(no_signal.relative_l2() == inf);
  CHECK(no_signal.cosine() == 0);

  const auto lost = errors({1, 0}, {0, 0});
  CHECK(lost.sqnr_db() == 0);
  CHECK(lost.relative_l2() == 1);
  CHECK(lost.cosine() == 0);

  const auto nothing = errors({}, {});
  CHECK(nothing.count() == 0);
  CHECK(nothing.mse() == 0);
  CHECK(nothing.mae() == 0);
  CHECK(nothing.max_abs_error() == 0);
  CHECK(nothing.sqnr_db() == inf);
}

TEST_CASE("metrics: NaN and infinity are visible in every metric", "[analyze]") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float big = std::numeric_limits<float>::infinity();
  const auto e = errors({1, 2, 3}, {1, nan, 3});
  CHECK(std::isnan(e.mse()));
  CHECK(std::isnan(e.mae()));
  CHECK(std::isnan(e.max_abs_error()));
  CHECK(std::isnan(e.sqnr_db()));
  CHECK(std::isnan(e.cosine()));
  CHECK(std::isnan(e.relative_l2()));
  const auto f = errors({1, 2}, {1, big});
  CHECK(f.mse() == inf);
  CHECK(f.max_abs_error() == inf);
  CHECK(f.sqnr_db() == -inf);
}

TEST_CASE("metrics: shapes must be equal", "[analyze]") {
  const float x[6] = {};
  const auto r = vq::compare(vq::tensor_view<const float, 2>{x, {2, 3}},
                             vq::tensor_view<const float, 2>{x, {3, 2}});
  REQUIRE_FALSE(r);
  CHECK(r.error() == vq::status::size_mismatch);
}

TEST_CASE("metrics: strides and element types of the views do not matter", "[analyze]") {
  // x is 40 x 30 (longer than a chunk); y is the same transposed in memory, as half floats.
  std::vector<float> x(1200);
  std::vector<vq::half> y(1200);
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 30; ++j) {
      const float value = static_cast<float>(i - 20) + 0.25f * static_cast<float>(j);
      x[static_cast<std::size_t>(30 * i + j)] = value;
      y[static_cast<std::size_t>(40 * j + i)] = vq::half(value + 0.5f);
    }
  }
  const auto e = vq::compare(vq::tensor_view<const float, 2>{x.data(), {40, 30}},
                             vq::tensor_view<const vq::half, 2>{y.data(), {40, 30}, {1, 40}});
  REQUIRE(e);
  CHECK(e->count() == 1200);
  CHECK(e->mse() == 0.25);
  CHECK(e->mae() == 0.5);
  CHECK(e->max_abs_error() == 0.5);
}

TEST_CASE("metrics: parts merge to the whole", "[analyze]") {
  std::vector<float> x, y;
  for (int i = 0; i < 5000; ++i) {
    x.push_back(std::sin(static_cast<float>(i)));
    y.push_back(x.back() + 1e-3f * std::cos(static_cast<float>(3 * i)));
  }
  const auto whole = errors(x, y);
  vq::error_statistics parts;
  for (const auto& [from, to] : {std::pair{0, 1}, {1, 700}, {700, 5000}}) {
    parts.merge(errors({x.begin() + from, x.begin() + to}, {y.begin() + from, y.begin() + to}));
  }
  CHECK(parts.count() == whole.count());
  CHECK(parts.mse() == Approx(whole.mse()).epsilon(1e-14));
  CHECK(parts.cosine() == Approx(whole.cosine()).epsilon(1e-14));
  CHECK(parts.sqnr_db() == Approx(whole.sqnr_db()).epsilon(1e-14));
  CHECK(parts.max_abs_error() == whole.max_abs_error());
}

TEST_CASE("metrics: millions of values do not lose accuracy", "[analyze]") {
  // An error of 1, then 2^21 of 2^-27: their squares, added to 1 one by one, would all be lost.
  const std::size_t n = (std::size_t{1} << 21) + 1;
  const std::vector<float> x(n, 0.f);
  std::vector<float> y(n, 0x1p-27f);
  y[0] = 1;
  const auto e = errors(x, y);
  const double exact = 1 + 0x1p21 * 0x1p-54;
  CHECK(e.mse() * static_cast<double>(n) == Approx(exact).epsilon(1e-13));
}

TEST_CASE("compensated_sum: what rounding drops comes back", "[analyze]") {
  vq::compensated_sum sum;
  for (const double x : {1.0, 1e100, 1.0, -1e100}) sum.add(x);
  CHECK(sum.value() == 2);
  vq::compensated_sum infinite;
  infinite.add(inf);
  infinite.add(1);
  CHECK(infinite.value() == inf);
}

TEST_CASE("metrics: pairs of tensors as measured by PyTorch", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "pair_metrics")) {
    const auto x = c.input<float>("x").data, y = c.input<float>("y").data;
    const auto e = errors(x, y);
    golden::check(c, "cosine_f64", e.cosine());
    golden::check(c, "cosine_f32", e.cosine());
    golden::check(c, "mse_f64", e.mse());
    golden::check(c, "mae_f64", e.mae());
    golden::check(c, "max_abs", e.max_abs_error());
    golden::check(c, "sqnr_db_f64", e.sqnr_db());
    golden::check(c, "sqnr_db_torch_ns", e.sqnr_db());
    golden::check(c, "normalized_l2_torch_ns", e.relative_l2());
  }
}

TEST_CASE("metrics: the cosine of extreme vectors as PyTorch defines it", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "cosine_edge")) {
    const auto e = errors(c.input<float>("x").data, c.input<float>("y").data);
    const auto cosine = e.cosine(c.params().at("eps").get<double>());
    golden::check(c, "cosine_f64", cosine);
    golden::check(c, "cosine_f32", cosine);
  }
}

TEST_CASE("metrics: cosines along one axis of a tensor", "[analyze][golden]") {
  for (const golden::test_case& c : golden::cases("metrics", "cosine_dim")) {
    const auto x = c.input<float>("x"), y = c.input<float>("y");
    const auto axis = c.params().at("dim").get<std::size_t>();
    const vq::shape_type<3> shape{x.shape.at(0), x.shape.at(1), x.shape.at(2)};
    const auto strides = vq::row_major_strides(shape);
    std::vector<double> cosines;
    for (vq::index_type i = 0; i < vq::volume(shape); ++i) {
      if (i / strides[axis] % shape[axis] != 0) continue;  // where a run along the axis begins
      const vq::shape_type<1> length{shape[axis]}, step{strides[axis]};
      cosines.push_back(
          vq::compare(view{x.data.data() + i, length, step}, view{y.data.data() + i, length, step})
              ->cosine(1e-8));
    }
    golden::check(c, "cosine", cosines);
  }
}
