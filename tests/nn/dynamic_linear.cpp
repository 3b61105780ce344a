// A linear layer that quantizes its rows in the call.
#include "dynamic_linear.hpp"

#include <cmath>
#include <limits>

using vq::index_type;

TEMPLATE_TEST_CASE("dynamic linear: the floats of the definition", "[nn]", std::int8_t,
                   std::uint8_t) {
  direct::random r(41);
  for (int i = 0; i < 200; ++i) {
    const dynamic::problem<TestType> p(r, 9, 40);
    CAPTURE(i, p.rows, p.inputs, p.outputs);
    REQUIRE(dynamic::outputs(vq::scalar, p) == dynamic::definition(p));
  }
}

TEST_CASE("dynamic linear: half a step of each input away from the product of floats", "[nn]") {
  direct::random r(43);
  for (int i = 0; i < 50; ++i) {
    const dynamic::problem<std::int8_t> p(r, 5, 60);
    const auto y = dynamic::outputs(vq::scalar, p);
    for (index_type m = 0; m < p.rows; ++m) {
      double least = 0, most = 0;
      for (index_type k = 0; k < p.inputs; ++k) {
        const auto x = static_cast<double>(p.x[static_cast<std::size_t>(m * p.inputs + k)]);
        least = std::min(least, x);
        most = std::max(most, x);
      }
      for (index_type o = 0; o < p.outputs; ++o) {
        double exact =
            p.bias.empty() ? 0. : static_cast<double>(p.bias[static_cast<std::size_t>(o)]);
        double magnitude = 0, rounding = std::abs(exact);
        for (index_type k = 0; k < p.inputs; ++k) {
          const double w = p.weight(o, k) * static_cast<double>(p.scale(o));
          const double product =
              w * static_cast<double>(p.x[static_cast<std::size_t>(m * p.inputs + k)]);
          exact += product;
          magnitude += std::abs(w);
          rounding += std::abs(product);
        }
        const double bound = magnitude * (most - least) / 255 / 2 + rounding * 0x1p-22;
        REQUIRE(std::abs(static_cast<double>(y[static_cast<std::size_t>(m * p.outputs + o)]) -
                         exact) <= bound);
      }
    }
  }
}

TEST_CASE("dynamic linear: strides of x and y change nothing", "[nn]") {
  direct::random r(47);
  for (int i = 0; i < 40; ++i) {
    const dynamic::problem<std::int8_t> p(r, 7, 30);
    const auto want = dynamic::definition(p);
    std::vector<float> x(p.x.size()), y(want.size());
    for (index_type m = 0; m < p.rows; ++m) {
      for (index_type k = 0; k < p.inputs; ++k) {
        dynamic::element(x, k * p.rows + m) = p.x[static_cast<std::size_t>(m * p.inputs + k)];
      }
    }
    const vq::tensor_view<const float, 2> in{x.data(), {p.rows, p.inputs}, {1, p.rows}};
    const vq::tensor_view<float, 2> out{y.data(), {p.rows, p.outputs}, {1, p.rows}};
    REQUIRE(dynamic::run(vq::scalar, p, in, out) == vq::status::ok);
    for (index_type m = 0; m < p.rows; ++m) {
      for (index_type o = 0; o < p.outputs; ++o) {
        REQUIRE(out(m, o) == want[static_cast<std::size_t>(m * p.outputs + o)]);
      }
    }
  }
}

TEST_CASE("dynamic linear: refuses wrong sizes, short memory and rows that are not finite",
          "[nn]") {
  std::vector<std::int8_t> w(5 * 4, 1), codes(16 * 4);
  std::vector<std::int32_t> sums(5);
  const auto packed = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 2>{w.data(), {5, 4}}, codes, sums);
  REQUIRE(packed);
  std::vector<float> x(12, 1.f), y(15, -7.f), scales(5, 1.f), bias(5);
  const vq::tensor_view<const float, 2> in{x.data(), {3, 4}};
  std::vector<std::byte> space(
      static_cast<std::size_t>(vq::linear_workspace(vq::scalar, vq::dynamic_int8, in, *packed)));
  const auto run = [&](vq::tensor_view<const float, 2> from, vq::channel_values<float> scale,
                       vq::channel_values<float> offset, vq::tensor_view<float, 2> to) {
    return vq::linear(vq::scalar, vq::dynamic_int8, from, *packed, scale, offset, to, space);
  };
  const vq::tensor_view<float, 2> out{y.data(), {3, 5}};
  const std::vector<float> four(4);
  CHECK(run({x.data(), {4, 3}}, scales, bias, out) == vq::status::size_mismatch);
  CHECK(run(in, scales, bias, {y.data(), {5, 3}}) == vq::status::size_mismatch);
  CHECK(run(in, four, bias, out) == vq::status::too_few_params);
  CHECK(run(in, {}, bias, out) == vq::status::too_few_params);
  CHECK(run(in, scales, four, out) == vq::status::too_few_params);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    x[7] = bad;
    CHECK(run(in, scales, bias, out) == vq::status::not_finite);
  }
  CHECK(y == std::vector<float>(15, -7.f));
  x[7] = 1;
  CHECK(run(in, scales, bias, out) == vq::status::ok);
  CHECK(y == std::vector<float>(15, 4.f));
  space.pop_back();
  CHECK(run(in, scales, bias, out) == vq::status::too_little_workspace);
}
