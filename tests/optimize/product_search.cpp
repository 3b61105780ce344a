// The search of PTQ4ViT: its scores and choices, fed with its own formats, and what the search must
// do whatever the formats.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <vq/optimize/product_search.hpp>
#include <vq/policy/twin_uniform.hpp>
#include <vq/quant.hpp>

#include "golden/golden.hpp"

namespace {

using vq::index_type;
using vq::operand;
using vq::output_metric;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <int Bits>
using signed_grid =
    vq::uniform<Bits, vq::symmetric, vq::full, vq::signed_codes, vq::exact_division>;

// PTQ4ViT's GELU format: a fixed step below zero, a free one above. Codes from 0 on.
template <int Bits>
struct free_gelu {
  static constexpr int bits = Bits;
  using code_type = std::uint8_t;
  using param_type = vq::scale_param;
  static constexpr float half = 1 << (Bits - 1);
  static constexpr float negative = static_cast<float>(0.16997124254703522 / half);

  param_type fit(vq::range r) const noexcept { return {std::max(r.highest, 0.f) / (half - 0.5f)}; }
  float encode(float x, param_type p) const noexcept {
    const float up = std::clamp(std::nearbyint(x / p.scale), 0.f, half - 1);
    const float down = std::clamp(std::nearbyint(x / negative), -half, 0.f);
    return half + up + down;
  }
  float decode(float code, param_type p) const noexcept {
    return code >= half ? (code - half) * p.scale : (code - half) * negative;
  }
};

// PTQ4ViT's released softmax format, which ADDS both grids (tests/policy/twin_uniform.cpp has the
// paper's selection): here only to see that the search finds what the original found with it.
template <int Bits>
struct summed_twin {
  static constexpr int bits = 2 * (Bits - 1);
  using code_type = std::uint16_t;
  using param_type = vq::scale_param;  // of the split
  static constexpr float levels = (1 << (Bits - 1)) - 1;

  param_type fit(vq::range) const noexcept { return {1}; }
  float encode(float x, param_type p) const noexcept {
    const float high = std::nearbyint(std::clamp(x, p.scale, 1.f) * levels);
    const float low = std::nearbyint(std::clamp(x, 0.f, p.scale) / (p.scale / levels));
    return high * (levels + 1) + low;
  }
  float decode(float code, param_type p) const noexcept {
    const float high = std::floor(code / (levels + 1));
    return high / levels + (code - high * (levels + 1)) * (p.scale / levels);
  }
};

// Leaves an operand as it is.
struct exact {
  static constexpr int bits = 16;
  using code_type = std::int16_t;
  using param_type = vq::scale_param;
  param_type fit(vq::range) const noexcept { return {}; }
  float encode(float x, param_type) const noexcept { return x; }
  float decode(float x, param_type) const noexcept { return x; }
};

vq::range range_of(std::span<const float> x) {
  vq::range r = vq::empty_range;
  for (const float v : x) r = vq::hull(r, {v, v});
  return r;
}
vq::range magnitude_of(std::span<const float> x) {
  const float a = range_of(x).absmax();
  return {-a, a};
}

// The published space without its last candidate, which the released code never visits.
vq::search_space visited(const golden::test_case& c) {
  const double alpha = c.params().at("eq_alpha").get<double>();
  const double beta = c.params().at("eq_beta").get<double>();
  const int n = c.params().at("eq_n").get<int>();
  return {alpha, alpha + (n - 1) * (beta - alpha) / n, n - 1};
}

output_metric metric_of(const golden::test_case& c) {
  const auto name = c.params().at("metric").get<std::string>();
  return name == "hessian"  ? output_metric::hessian
         : name == "cosine" ? output_metric::cosine
                            : output_metric::squared_error;
}

// The originals are similarities, summed over images: minus the mean of squares over the `values` of
// an image that a group has, or the mean cosine of an image's `rows`.
template <class Search>
void check_scores(const golden::test_case& c, int step, const Search& search, index_type values,
                  index_type rows, index_type images) {
  const std::string role = "scores_step" + std::to_string(step);
  const auto want = c.output<float>(role);
  const index_type groups = want.shape[1];
  std::vector<double> got;
  for (index_type i = 0; i < want.shape[0]; ++i) {
    for (index_type g = 0; g < groups; ++g) {
      const double error = search.error(g, i);
      got.push_back(metric_of(c) == output_metric::cosine
                        ? static_cast<double>(images) - error / static_cast<double>(rows)
                        : -error / static_cast<double>(values));
    }
  }
  golden::check(c, role, got);
}

vq::tensor_view<const float, 2> matrix_view(const float* data, index_type rows,
                                            index_type columns) {
  return {data, {rows, columns}};
}

// Y = L R^T + b of quantized operands, in double.
template <class L, class R>
void append_product(std::vector<double>& y, const L& left, typename L::param_type lp,
                    const vq::tensor_view<const float, 2>& a, const R& right,
                    std::span<const typename R::param_type> rp, index_type block,
                    const vq::tensor_view<const float, 2>& b, std::span<const float> bias) {
  for (index_type t = 0; t < a.extent(0); ++t) {
    for (index_type o = 0; o < b.extent(0); ++o) {
      double sum = bias.empty() ? 0 : double{bias[static_cast<std::size_t>(o)]};
      const auto p = rp[static_cast<std::size_t>(o / block)];
      for (index_type i = 0; i < a.extent(1); ++i) {
        sum += double{left.decode(left.encode(a(t, i), lp), lp)} *
               double{right.decode(right.encode(b(o, i), p), p)};
      }
      y.push_back(sum);
    }
  }
}

template <int Bits, class Inputs>
void search_linear(const golden::test_case& c) {
  constexpr signed_grid<Bits> grid;
  const auto x = c.input<float>("x"), weight = c.input<float>("weight"),
             gradient = c.input<float>("grad_out");
  const auto bias = c.input<float>("bias").data;
  const index_type images = x.shape[0], tokens = x.shape[1], inputs = x.shape[2],
                   outputs = weight.shape[0], blocks = c.params().at("n_V").get<int>(),
                   block = outputs / blocks;
  std::vector<vq::range> ranges;
  for (index_type g = 0; g < blocks; ++g) {
    ranges.push_back(magnitude_of(std::span(weight.data)
                                      .subspan(static_cast<std::size_t>(g * block * inputs),
                                               static_cast<std::size_t>(block * inputs))));
  }
  const vq::range whole[] = {std::is_same_v<Inputs, signed_grid<Bits>> ? magnitude_of(x.data)
                                                                       : range_of(x.data)};
  const auto right = vq::searched(grid, ranges, visited(c), vq::conventions::torch);
  const auto left = [&] {
    if constexpr (std::is_same_v<Inputs, signed_grid<Bits>>) {
      return vq::searched(Inputs{}, whole, visited(c), vq::conventions::torch);
    } else {
      return vq::searched(Inputs{}, whole, visited(c));
    }
  }();
  REQUIRE((left && right));
  vq::product_search search(*left, *right, metric_of(c));
  const auto of_image = [&](index_type i) {
    const auto at = static_cast<std::size_t>(i * tokens);
    return vq::product_sample{
        .left = matrix_view(x.data.data() + at * static_cast<std::size_t>(inputs), tokens, inputs),
        .right = matrix_view(weight.data.data(), outputs, inputs),
        .bias = bias,
        .gradient = std::span(gradient.data)
                        .subspan(at * static_cast<std::size_t>(outputs),
                                 static_cast<std::size_t>(tokens * outputs)),
        .rows_per_group = block};
  };
  for (int step = 0; step < 2 * c.params().at("search_round").get<int>(); ++step) {
    search.begin(step % 2 == 0 ? operand::right : operand::left);
    for (index_type i = 0; i < images; ++i) REQUIRE(search.add(of_image(i)) == vq::status::ok);
    check_scores(c, step, search, tokens * (step % 2 == 0 ? block : outputs), tokens, images);
    REQUIRE(search.choose() == vq::status::ok);
    CHECK(search.metric_used() == metric_of(c));
  }
  std::vector<float> w_interval, a_interval{search.left()[0].scale};
  for (const auto& p : search.right()) w_interval.push_back(p.scale);
  golden::check(c, "w_interval", w_interval);
  golden::check(c, "a_interval", a_interval);
  std::vector<double> y;
  for (index_type i = 0; i < images; ++i) {
    const auto s = of_image(i);
    append_product(y, Inputs{}, search.left()[0], s.left, grid, search.right(), block, s.right,
                   bias);
  }
  golden::check(c, "y_qdq", y);
}

// Scores and contexts of (images, heads, rows, inner) times (images, heads, inner, columns).
template <int Bits, bool AfterSoftmax>
void search_heads(const golden::test_case& c) {
  constexpr signed_grid<Bits> grid;
  const auto a = c.input<float>("A"), b = c.input<float>("B"),
             gradient = c.input<float>("grad_out");
  const index_type images = a.shape[0], heads = a.shape[1], rows = a.shape[2], inner = a.shape[3],
                   columns = b.shape[3];
  const auto ranges = [&](const golden::array<float>& x) {
    const index_type size = x.shape[2] * x.shape[3];
    std::vector<vq::range> all(static_cast<std::size_t>(heads), vq::empty_range);
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      const auto head = static_cast<std::size_t>(static_cast<index_type>(i) / size % heads);
      const float v = std::fabs(x.data[i]);
      all[head] = vq::hull(all[head], {-v, v});
    }
    return all;
  };
  auto left = [&] {
    if constexpr (AfterSoftmax) {
      vq::searched_operand<summed_twin<Bits>> all{{}, {{1}}, {{}}};  // one split for all heads
      for (int i = 0; i < 20; ++i) all.candidates[0].push_back({std::exp2(static_cast<float>(-i))});
      return all;
    } else {
      return *vq::searched(grid, ranges(a), visited(c), vq::conventions::torch);
    }
  }();
  const auto right = *vq::searched(grid, ranges(b), visited(c), vq::conventions::torch);
  const vq::searched_operand<exact> as_is{
      {}, std::vector<vq::scale_param>(static_cast<std::size_t>(heads)), {}};
  const auto of_head = [&](index_type i, index_type h) {
    const auto at = static_cast<std::size_t>(i * heads + h);
    return vq::product_sample{
        .left =
            matrix_view(a.data.data() + at * static_cast<std::size_t>(rows * inner), rows, inner),
        .right = {b.data.data() + at * static_cast<std::size_t>(inner * columns),
                  {columns, inner},
                  {1, columns}},
        .gradient = std::span(gradient.data)
                        .subspan(at * static_cast<std::size_t>(rows * columns),
                                 static_cast<std::size_t>(rows * columns)),
        .left_group = AfterSoftmax ? 0 : h,
        .right_group = h};
  };
  const auto run = [&](auto& search, int step) {
    search.begin(step % 2 == 0 ? operand::left : operand::right);
    for (index_type i = 0; i < images; ++i) {
      for (index_type h = 0; h < heads; ++h) REQUIRE(search.add(of_head(i, h)) == vq::status::ok);
    }
    const bool all_heads = AfterSoftmax && step % 2 == 0;
    check_scores(c, step, search, rows * columns * (all_heads ? heads : 1), rows, images);
    REQUIRE(search.choose() == vq::status::ok);
  };
  // The released code searches the split with V as it is, not as it is quantized.
  vq::product_search search(left, right, metric_of(c));
  vq::product_search split(left, as_is, metric_of(c));
  for (int step = 0; step < 2 * c.params().at("search_round").get<int>(); ++step) {
    if (AfterSoftmax && step % 2 == 0) {
      run(split, step);
      left.params.assign(split.left().begin(), split.left().end());
      search = {left, right, metric_of(c)};
    } else {
      run(search, step);
    }
  }
  std::vector<float> intervals[2];
  for (const auto& p : search.left()) intervals[0].push_back(p.scale);
  for (const auto& p : search.right()) intervals[1].push_back(p.scale);
  if constexpr (AfterSoftmax) {
    golden::check(c, "split", intervals[0]);
    intervals[0][0] /= summed_twin<Bits>::levels;
  }
  golden::check(c, "A_interval", intervals[0]);
  golden::check(c, "B_interval", intervals[1]);
  std::vector<double> y;
  for (index_type i = 0; i < images; ++i) {
    for (index_type h = 0; h < heads; ++h) {
      const auto s = of_head(i, h);
      append_product(y, left.policy, search.left()[static_cast<std::size_t>(s.left_group)], s.left,
                     grid, search.right().subspan(static_cast<std::size_t>(h), 1), columns, s.right,
                     {});
    }
  }
  golden::check(c, "y_qdq", y);
}

// A layer whose inputs and weights have outliers, and a loss that cares for one output alone.
struct layer {
  static constexpr index_type tokens = 24, inputs = 16, outputs = 6;
  std::vector<float> x, w, g, bias;

  layer() {
    std::mt19937 random(21);
    std::normal_distribution<float> normal;
    for (index_type i = 0; i < tokens * inputs; ++i) x.push_back(normal(random));
    for (index_type i = 0; i < outputs * inputs; ++i) w.push_back(normal(random));
    for (index_type i = 0; i < tokens * outputs; ++i) {
      g.push_back(i % outputs == 0 ? normal(random) : 1e-4f * normal(random));
    }
    x[7] = 30;
    for (std::size_t i = inputs; i < w.size(); i += inputs) w[i] = 9;  // not in output 0
    bias.assign(outputs, 0.5f);
  }
  vq::product_sample sample() const {
    return {.left = {x.data(), {tokens, inputs}},
            .right = {w.data(), {outputs, inputs}},
            .bias = bias,
            .gradient = g};
  }
  // sum (g (y^ - y))^2 in double, with these parameters.
  template <class L, class R>
  double error(L left, typename L::param_type lp, R right, typename R::param_type rp,
               bool weighted) const {
    std::vector<double> y, exact;
    const auto s = sample();
    append_product(y, left, lp, s.left, right, std::span(&rp, 1), outputs, s.right, bias);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      double e = double{bias[i % outputs]} - y[i];
      for (std::size_t k = 0; k < inputs; ++k) {
        e += double{x[i / outputs * inputs + k]} * double{w[i % outputs * inputs + k]};
      }
      if (weighted) e *= double{g[i]};
      sum += e * e;
    }
    return sum;
  }
};

using affine_4 = vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>;
using weights_4 = vq::uniform<4>;

vq::product_search<affine_4, weights_4> search_of(const layer& l, output_metric metric) {
  const vq::range x[] = {range_of(l.x)}, w[] = {range_of(l.w)};
  return {*vq::searched(affine_4{}, x, {.steps = 40}), *vq::searched(weights_4{}, w, {.steps = 40}),
          metric};
}

}  // namespace

TEST_CASE("product_search: attention as PTQ4ViT searches it", "[optimize][golden]") {
  for (const golden::test_case& c : golden::cases("ptq4vit", "ptq4vit_search_matmul")) {
    CAPTURE(c.name());
    const bool after_softmax = c.params().at("kind") == "softmax_v";
    const int bits = c.params().at("A_bit").get<int>();
    if (bits == 8 && !after_softmax) search_heads<8, false>(c);
    if (bits == 4 && !after_softmax) search_heads<4, false>(c);
    if (bits == 8 && after_softmax) search_heads<8, true>(c);
    if (bits == 4 && after_softmax) search_heads<4, true>(c);
  }
}

TEST_CASE("product_search: finds the best candidate, and gradients change which that is",
          "[optimize]") {
  const layer l;
  for (const output_metric metric : {output_metric::squared_error, output_metric::hessian}) {
    auto search = search_of(l, metric);
    const bool weighted = metric == output_metric::hessian;
    const auto error = [&](vq::affine_param x, vq::affine_param w) {
      return l.error(affine_4{}, x, weights_4{}, w, weighted);
    };
    const auto start = error(search.left()[0], search.right()[0]);
    REQUIRE(search.add(l.sample()) == vq::status::ok);
    REQUIRE(search.choose() == vq::status::ok);
    const auto found = error(search.left()[0], search.right()[0]);
    CHECK(found < start);
    const vq::range w[] = {range_of(l.w)};
    const auto others = *vq::searched(weights_4{}, w, {.steps = 40});
    for (const auto& other : others.candidates[0]) {
      CHECK(error(search.left()[0], other) >= found * (1 - 1e-4));
    }
    search.begin(operand::left);
    REQUIRE(search.add(l.sample()) == vq::status::ok);
    REQUIRE(search.choose() == vq::status::ok);
    CHECK(error(search.left()[0], search.right()[0]) < found);
    CHECK(search.note() == std::string());
  }
  // The loss sees output 0 alone, whose weights are small: a finer grid.
  const vq::range w[] = {range_of(l.w)};
  const vq::searched_operand<exact> as_is{{}, {{}}, {{}}};
  const auto right = *vq::searched(weights_4{}, w, {.steps = 40});
  vq::product_search squared(as_is, right, output_metric::squared_error),
      guided(as_is, right, output_metric::hessian);
  for (auto* s : {&squared, &guided}) {
    REQUIRE(s->add(l.sample()) == vq::status::ok);
    REQUIRE(s->choose() == vq::status::ok);
  }
  CHECK(guided.right()[0].scale < 0.7f * squared.right()[0].scale);
}

TEST_CASE("product_search: without gradients it says what it did", "[optimize]") {
  const layer l;
  auto search = search_of(l, output_metric::hessian),
       squared = search_of(l, output_metric::squared_error);
  auto sample = l.sample();
  const std::vector<float> zeros(l.g.size(), 0.f);
  for (const auto& gradient : {std::span<const float>(), std::span<const float>(zeros)}) {
    search.begin(operand::right);
    sample.gradient = gradient;
    REQUIRE(search.add(sample) == vq::status::ok);
    REQUIRE(search.choose() == vq::status::ok);
    CHECK(search.metric_used() == output_metric::squared_error);
    CHECK(std::string(search.note()).find("squared error") != std::string::npos);
    REQUIRE(squared.add(sample) == vq::status::ok);
    REQUIRE(squared.choose() == vq::status::ok);
    CHECK(search.right()[0] == squared.right()[0]);
  }
}

TEST_CASE("product_search: shards and parts give what all of it gives", "[optimize]") {
  const layer l;
  auto whole = search_of(l, output_metric::hessian), first = whole, second = whole;
  const auto part = [&](index_type begin, index_type count) {
    auto s = l.sample();
    s.left = {l.x.data() + begin * l.inputs, {count, l.inputs}};
    s.gradient = s.gradient.subspan(static_cast<std::size_t>(begin * l.outputs),
                                    static_cast<std::size_t>(count * l.outputs));
    return s;
  };
  REQUIRE(whole.add(l.sample()) == vq::status::ok);
  REQUIRE(first.add(part(0, 1)) == vq::status::ok);   // one token
  REQUIRE(second.add(part(1, 0)) == vq::status::ok);  // none
  REQUIRE(second.add(part(1, l.tokens - 1)) == vq::status::ok);
  REQUIRE(first.merge(second) == vq::status::ok);
  for (index_type i = 0; i < 41; ++i) CHECK(first.error(0, i) == Approx(whole.error(0, i)));
  REQUIRE((whole.choose() == vq::status::ok && first.choose() == vq::status::ok));
  CHECK(first.right()[0] == whole.right()[0]);
  second.begin(operand::left);
  CHECK(first.merge(second) == vq::status::size_mismatch);
}

TEST_CASE("product_search: policies with candidates of their own, and one parameter per output",
          "[optimize]") {
  const layer l;
  std::vector<float> probabilities;
  for (const float v : l.x) probabilities.push_back(std::exp(std::min(v, 2.f)) / 40);
  const vq::range x[] = {range_of(probabilities)};
  std::vector<vq::range> rows;
  for (std::size_t o = 0; o < l.outputs; ++o) {
    rows.push_back(magnitude_of(std::span(l.w).subspan(o * l.inputs, l.inputs)));
  }
  const auto left = *vq::searched(vq::twin_uniform<4>{}, x, {});
  CHECK(left.candidates[0].size() == vq::twin_uniform<4>{}.candidates(x[0]).size());
  for (const auto metric : {output_metric::hessian, output_metric::cosine}) {
    vq::product_search search(left, *vq::searched(weights_4{}, rows, {}), metric);
    auto s = l.sample();
    s.left = {probabilities.data(), {l.tokens, l.inputs}};
    s.rows_per_group = 1;
    for (const auto moving : {operand::right, operand::left}) {
      search.begin(moving);
      REQUIRE(search.add(s) == vq::status::ok);
      REQUIRE(search.choose() == vq::status::ok);
    }
    CHECK(search.right().size() == l.outputs);
    for (std::size_t o = 0; o < l.outputs; ++o) {
      CHECK(search.right()[o].scale <= 1.2001f * rows[o].absmax() / 7);
    }
  }
}

TEST_CASE("product_search: NaN, constants and what does not fit end in a status", "[optimize]") {
  layer l;
  auto search = search_of(l, output_metric::hessian);
  CHECK(search.choose() == vq::status::no_data);
  auto s = l.sample();
  s.right_group = 1;
  CHECK(search.add(s) == vq::status::size_mismatch);
  s = l.sample();
  s.rows_per_group = 2;
  CHECK(search.add(s) == vq::status::size_mismatch);
  s = l.sample();
  s.gradient = s.gradient.first(5);
  CHECK(search.add(s) == vq::status::size_mismatch);
  s = l.sample();
  s.left = {l.x.data(), {l.tokens * 2, l.inputs / 2}};
  CHECK(search.add(s) == vq::status::size_mismatch);
  std::vector<float> bad = l.x, bad_gradient = l.g;
  bad[3] = bad_gradient[3] = not_a_number;
  s = l.sample();
  s.left = {bad.data(), {l.tokens, l.inputs}};
  CHECK(search.add(s) == vq::status::not_finite);
  s = l.sample();
  s.gradient = bad_gradient;
  CHECK(search.add(s) == vq::status::not_finite);
  CHECK(search.choose() == vq::status::no_data);

  const std::vector<float> constant(l.x.size(), 0.f);
  s = l.sample();
  s.left = {constant.data(), {l.tokens, l.inputs}};
  CHECK(search.add(s) == vq::status::ok);
  CHECK(search.choose() == vq::status::ok);

  const vq::range none[] = {vq::empty_range},
                  wrong[] = {{0, std::numeric_limits<float>::infinity()}}, fine[] = {{0, 1}};
  CHECK(vq::searched(weights_4{}, none, {}).error() == vq::status::no_data);
  CHECK(vq::searched(weights_4{}, std::span<const vq::range>(), {}).error() == vq::status::no_data);
  CHECK(vq::searched(weights_4{}, wrong, {}).error() == vq::status::not_finite);
  CHECK(vq::searched(weights_4{}, fine, {.lowest = 0}).error() == vq::status::bad_argument);
  CHECK(vq::searched(weights_4{}, fine, {.steps = 0}).error() == vq::status::bad_argument);
}

TEST_CASE("product_search: linear layers as PTQ4ViT searches them", "[optimize][golden]") {
  for (const golden::test_case& c : golden::cases("ptq4vit", "ptq4vit_search_linear")) {
    CAPTURE(c.name());
    const bool gelu = c.params().at("kind") == "postgelu";
    const int bits = c.params().at("w_bit").get<int>();
    if (bits == 8 && !gelu) search_linear<8, signed_grid<8>>(c);
    if (bits == 4 && !gelu) search_linear<4, signed_grid<4>>(c);
    if (bits == 8 && gelu) search_linear<8, free_gelu<8>>(c);
    if (bits == 4 && gelu) search_linear<4, free_gelu<4>>(c);
  }
}
