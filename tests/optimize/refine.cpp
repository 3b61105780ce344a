// Ridge refinement and error feedback.
#include <cmath>
#include <random>
#include <vector>

#include <Eigen/Core>

#include <vq/optimize.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

using vq::index_type;
using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr index_type inputs = 24, outputs = 8, tokens = 400;

// Inputs that depend on each other, as activations do, and what a coarse grid makes of them.
struct data {
  matrix exact, quantized;
  matrix weight;
  std::vector<float> bias;

  explicit data(unsigned seed)
      : exact(tokens, inputs), quantized(tokens, inputs), weight(outputs, inputs) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    const matrix mix = matrix::NullaryExpr(inputs, inputs, [&] { return normal(random) * 0.4f; });
    exact = matrix::NullaryExpr(tokens, inputs, [&] { return normal(random); }) * mix;
    exact.array() += 0.3f;
    quantized = (exact / 0.7f).array().round().matrix() * 0.7f;
    weight = matrix::NullaryExpr(outputs, inputs, [&] { return normal(random) * 0.3f; });
    bias.assign(outputs, 0.1f);
  }
  vq::input_moments moments() const {
    vq::input_moments m(inputs);
    for (index_type t = 0; t < tokens; t += 100) {  // in batches
      m.add(quantized.data() + t * inputs, exact.data() + t * inputs, 100);
    }
    return m;
  }
  vq::tensor_view<float, 2> view() { return {weight.data(), {outputs, inputs}}; }

  // Of this layer on quantized inputs against the given one on exact inputs.
  double error(const data& reference) const {
    const auto output = [](const matrix& x, const data& d) {
      const Eigen::Map<const Eigen::RowVectorXf> b(d.bias.data(), outputs);
      return Eigen::MatrixXd(((x * d.weight.transpose()).rowwise() + b).cast<double>());
    };
    return (output(quantized, *this) - output(reference.exact, reference)).squaredNorm();
  }
};

constexpr float step = 0.25f;
float to_grid(index_type, index_type, float w) { return std::nearbyint(w / step) * step; }

}  // namespace

TEST_CASE("ridge: nothing to refine where inputs are exact", "[optimize]") {
  data d(1);
  d.quantized = d.exact;
  const data before = d;
  REQUIRE(vq::refine_by_ridge(d.view(), d.bias, d.moments(), 1e-3) == vq::status::ok);
  CHECK((d.weight - before.weight).cwiseAbs().maxCoeff() < 1e-4f);
}

TEST_CASE("ridge: the least squares of all weights nearby", "[optimize]") {
  data d(2);
  const data before = d;
  REQUIRE(vq::refine_by_ridge(d.view(), d.bias, d.moments(), 1e-9) == vq::status::ok);
  const double refined = d.error(before);
  CHECK(refined < 0.85 * before.error(before));
  for (index_type i = 0; i < inputs; ++i) {
    for (const float change : {-0.02f, 0.02f}) {
      data other = d;
      other.weight(3, i) += change;
      CHECK(other.error(before) > refined);
    }
  }
  // The stronger the damping, the nearer the weights stay.
  data damped = before;
  REQUIRE(vq::refine_by_ridge(damped.view(), damped.bias, d.moments(), 1e3) == vq::status::ok);
  CHECK((damped.weight - before.weight).norm() < 0.1f * (d.weight - before.weight).norm());
}

TEST_CASE("error feedback: on the grid, and better than rounding alone", "[optimize]") {
  data d(3);
  d.quantized = d.exact;
  const data before = d;
  data nearest = d;
  for (index_type o = 0; o < outputs; ++o) {
    for (index_type i = 0; i < inputs; ++i) nearest.weight(o, i) = to_grid(o, i, d.weight(o, i));
  }
  for (const bool descending : {false, true}) {
    data rounded = before;
    REQUIRE(vq::round_with_feedback(rounded.view(), rounded.bias, d.moments(), to_grid,
                                    {.descending = descending}) == vq::status::ok);
    for (index_type o = 0; o < outputs; ++o) {
      for (index_type i = 0; i < inputs; ++i) {
        CHECK(rounded.weight(o, i) == to_grid(o, i, rounded.weight(o, i)));
      }
    }
    CHECK(rounded.error(before) < 0.6 * nearest.error(before));
  }
}

TEST_CASE("error feedback: two equal inputs share their error", "[optimize]") {
  const std::vector<float> q = {1, 1, -2, -2, 3, 3};
  vq::input_moments m(2);
  m.add(q.data(), nullptr, 3);
  float weight[] = {0.4f, 0.4f}, bias[] = {0};
  const auto whole = [](index_type, index_type, float w) { return std::nearbyint(w); };
  REQUIRE(vq::round_with_feedback({weight, {1, 2}}, bias, m, whole) == vq::status::ok);
  CHECK(weight[0] == 0);
  CHECK(weight[1] == 1);
}

TEST_CASE("refinement: what does not fit is refused and nothing is changed", "[optimize]") {
  data d(4);
  const data before = d;
  const vq::input_moments none(inputs), other(inputs + 1);
  CHECK(vq::refine_by_ridge(d.view(), d.bias, none, 1) == vq::status::no_data);
  CHECK(vq::refine_by_ridge(d.view(), d.bias, other, 1) == vq::status::size_mismatch);
  CHECK(vq::refine_by_ridge(d.view(), d.bias, d.moments(), 0) == vq::status::bad_argument);
  CHECK(vq::round_with_feedback(d.view(), d.bias, none, to_grid) == vq::status::no_data);
  data bad = d;
  bad.quantized(3, 3) = std::nanf("");
  const auto moments = bad.moments();
  CHECK(vq::refine_by_ridge(d.view(), d.bias, moments, 1) == vq::status::not_finite);
  CHECK(vq::round_with_feedback(d.view(), d.bias, moments, to_grid) == vq::status::not_finite);
  CHECK(d.weight == before.weight);
}

TEST_CASE("error feedback: the codes of GPTQ", "[optimize][golden]") {
  for (const golden::test_case& c : golden::cases("gptq", "gptq_fasterquant")) {
    const auto& p = c.params();
    const index_type group = p.at("groupsize").get<index_type>();
    if (p.at("actorder").get<bool>() || (group > 0 && !p.at("static_groups").get<bool>())) {
      c.skip(golden::reason::option_not_offered);  // scales from weights that have moved
      continue;
    }
    const auto weight = c.input<float>("weight"), hessian = c.input<float>("hessian");
    const auto expected = c.output<float>("weight_q").data, scales = c.output<float>("scales").data,
               zeros = c.output<float>("zeros").data;
    const index_type rows = weight.shape[0], columns = weight.shape[1];
    const vq::square_matrix moments =
        Eigen::Map<const matrix>(hessian.data.data(), columns, columns).cast<double>();
    const auto factor = vq::inverse_factor(moments, p.at("percdamp").get<double>());
    REQUIRE(factor);
    Eigen::MatrixXd w = Eigen::Map<const matrix>(weight.data.data(), rows, columns).cast<double>();
    for (index_type i = 0; i < columns; ++i) {
      if (moments(i, i) == 0) w.col(i).setZero();
    }
    const float levels = std::exp2(p.at("bits").get<float>()) - 1;
    vq::round_with_feedback(w, *factor, columns, [&](index_type o, index_type i, float x) {
      const auto at = static_cast<std::size_t>(group > 0 ? i / group * rows + o : o);
      const float scale = scales[at], zero = zeros[at];
      return scale * (std::clamp(std::nearbyint(x / scale) + zero, 0.f, levels) - zero);
    });
    index_type equal = 0;
    for (index_type i = 0; i < rows * columns; ++i) {
      const double mine = w(i / columns, i % columns);
      equal += std::fabs(mine - double{expected[static_cast<std::size_t>(i)]}) < 1e-5 ? 1 : 0;
    }
    CAPTURE(c.name(), equal, rows * columns);
    CHECK(static_cast<double>(equal) >= 0.97 * static_cast<double>(rows * columns));
    const matrix found = factor->cast<float>();
    golden::check(c, "hinv_upper", std::span(found.data(), static_cast<std::size_t>(found.size())));
  }
}
