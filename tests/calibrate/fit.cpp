#include <cmath>
#include <limits>

#include <vq/calibrate.hpp>

#include "calibrate/random_data.hpp"
#include "catch.hpp"

namespace {

using granularities_of_a_matrix = std::tuple<vq::per_tensor, vq::per_channel<0>, vq::per_channel<1>,
                                             vq::per_group<16>, vq::per_block<100>>;

template <class Policy, class Estimator>
vq::affine_param fit_one(const std::vector<float>& x, const Estimator& how) {
  vq::affine_param p[1];
  REQUIRE(vq::fit(vq::quantizer<Policy>{}, view_of(x), p, how) == vq::status::ok);
  return p[0];
}

// Every parameter is what its own values alone give.
template <class Policy, class Granularity, class Estimator>
void check_slices(const Estimator& how) {
  const vq::index_type rows = 7, columns = 40;
  const std::vector<float> x = normal_values(static_cast<std::size_t>(rows * columns), 9);
  const vq::tensor_view<const float, 2> view(x.data(), {rows, columns});
  const vq::quantizer<Policy, Granularity> q;
  std::vector<vq::affine_param> params(static_cast<std::size_t>(q.required(view).params));
  REQUIRE(vq::fit(q, view, params, how) == vq::status::ok);
  const vq::slices cut = q.cut(view.extents());
  for (vq::index_type param = 0; param < cut.params(); ++param) {
    std::vector<float> own;
    for (vq::index_type i = 0; i < rows * columns; ++i) {
      if (cut.param_of(i) == param) own.push_back(x[static_cast<std::size_t>(i)]);
    }
    CHECK(params[static_cast<std::size_t>(param)] == fit_one<Policy>(own, how));
  }
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("fit: every estimator works on the slices of any granularity",
                        "[calibrate]", granularities_of_a_matrix) {
  check_slices<vq::uniform<8>, TestType>(vq::minmax{});
  check_slices<vq::uniform<8>, TestType>(vq::percentile{90});
  check_slices<vq::uniform<4>, TestType>(vq::mse{});
  check_slices<vq::uniform<4, vq::asymmetric>, TestType>(vq::mse{.steps = 20});
  check_slices<vq::uniform<4>, TestType>(vq::entropy{});
  check_slices<vq::uniform<8, vq::asymmetric>, TestType>(vq::torch_l2{});
}

TEST_CASE("fit: a slice too large to gather is scored in place, with the same result",
          "[calibrate]") {
  const std::vector<float> x = normal_values(70000);
  // The same values in a strided view cannot be taken by pointer.
  std::vector<float> spread(2 * x.size());
  for (std::size_t i = 0; i < x.size(); ++i) spread[2 * i] = x[i];
  const auto p = fit_one<vq::uniform<4>>(x, vq::mse{});
  vq::affine_param q[1];
  const vq::tensor_view<const float, 1> strided(spread.data(),
                                                {static_cast<vq::index_type>(x.size())}, {2});
  REQUIRE(vq::fit(vq::quantizer<vq::uniform<4>>{}, strided, q, vq::mse{}) == vq::status::ok);
  CHECK(q[0].scale == Approx(p.scale).epsilon(1e-6));
  const std::vector<float> some(x.begin(), x.begin() + 60000);
  CHECK(fit_one<vq::uniform<4>>(some, vq::mse{}).scale == Approx(p.scale).epsilon(0.05));
}

TEST_CASE("fit: minmax is the plain fit", "[calibrate]") {
  const std::vector<float> x = normal_values(60);
  const vq::tensor_view<const float, 2> view(x.data(), {6, 10});
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  std::vector<vq::affine_param> plain(6), named(6);
  REQUIRE(vq::fit(q, view, plain, vq::conventions::torch) == vq::status::ok);
  REQUIRE(vq::fit(q, view, named, vq::minmax{}, vq::conventions::torch) == vq::status::ok);
  CHECK(plain == named);
}

TEMPLATE_TEST_CASE("fit: wrong data and too few parameters are refused", "[calibrate]", vq::minmax,
                   vq::percentile, vq::mse, vq::entropy, vq::torch_l2) {
  std::vector<float> x = normal_values(12);
  const vq::tensor_view<const float, 2> view(x.data(), {3, 4});
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  std::vector<vq::affine_param> params(3);
  CHECK(vq::fit(q, view, std::span(params).first(2), TestType{}) == vq::status::too_few_params);
  x[9] = std::numeric_limits<float>::quiet_NaN();
  CHECK(vq::fit(q, view, params, TestType{}) == vq::status::not_finite);
  x[9] = -std::numeric_limits<float>::infinity();
  CHECK(vq::fit(q, view, params, TestType{}) == vq::status::not_finite);
  x.assign(12, 0.f);
  REQUIRE(vq::fit(q, view, params, TestType{}) == vq::status::ok);
  for (const vq::affine_param& p : params) CHECK(p == vq::affine_param{1, 0});
}

TEST_CASE("estimate_params: an observer's range, or a search on its histogram", "[calibrate]") {
  const std::vector<float> x = uniform_values(1000, -1, 3);
  const vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes> policy;
  vq::minmax_observer ends;
  vq::histogram_observer bins;
  CHECK(vq::estimate_params(policy, ends).error() == vq::status::no_data);
  CHECK(vq::estimate_params(policy, bins, vq::mse{}).error() == vq::status::no_data);
  REQUIRE(ends.observe(view_of(x)) == vq::status::ok);
  REQUIRE(bins.observe(view_of(x)) == vq::status::ok);
  const auto expected = policy.fit(ends.estimate().value());
  CHECK(vq::estimate_params(policy, ends).value() == expected);
  CHECK(vq::estimate_params(policy, ends, vq::minmax{}).value() == expected);
  CHECK(vq::estimate_params(policy, bins).value() == expected);
  CHECK(vq::estimate_params(policy, bins, vq::minmax{}).value() == expected);
  CHECK(vq::estimate_params(policy, bins, vq::percentile{100}).value() == expected);
  CHECK(vq::estimate_params(policy, bins.snapshot().value(), vq::minmax{}).value() == expected);
  CHECK(vq::estimate_params(policy, ends, vq::conventions::torch).value() ==
        policy.fit(ends.estimate().value(), vq::conventions::torch));
}

TEST_CASE("estimate_params: one parameter a channel", "[calibrate]") {
  const std::vector<float> x{-1, 2, -3, 0.5f, 0, 0};
  vq::sliced_observer<vq::minmax_observer, vq::per_channel<0>> seen;
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  std::vector<vq::affine_param> params(3);
  CHECK(vq::estimate_params(q, seen, params) == vq::status::no_data);
  REQUIRE(seen.observe(vq::tensor_view<const float, 2>(x.data(), {3, 2})) == vq::status::ok);
  CHECK(vq::estimate_params(q, seen, std::span(params).first(2)) == vq::status::too_few_params);
  REQUIRE(vq::estimate_params(q, seen, params) == vq::status::ok);
  CHECK(params[0].scale == static_cast<float>(2.0 / 127));
  CHECK(params[1].scale == static_cast<float>(3.0 / 127));
  CHECK(params[2].scale == 1);
}
