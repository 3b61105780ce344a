#include <cmath>
#include <vector>

#include <vq/nn/add.hpp>

#include "catch.hpp"
#include "direct.hpp"

using vq::index_type;

TEST_CASE("add: the nearest code of the real sum; exact halves go up", "[nn]") {
  direct::random r(31);
  int ties = 0;
  for (int i = 0; i < 200; ++i) {
    // Scales of few bits: sums are often exact halves.
    const auto scale = [&] { return 0.0625f * static_cast<float>(r.between(1, 32)); };
    const vq::affine_param a{scale(), std::int32_t{r.code<std::int8_t>()}};
    const vq::affine_param b{scale(), std::int32_t{r.code<std::int8_t>()}};
    const vq::affine_param y{scale(), std::int32_t{r.code<std::int8_t>()}};
    const auto p = vq::fit_add(a, b, y, vq::all_codes<std::int8_t>);
    REQUIRE(p);
    for (int k = 0; k < 500; ++k) {
      const auto ca = r.code<std::int8_t>(), cb = r.code<std::int8_t>();
      std::int8_t got = 0;
      vq::add_codes<std::int8_t, std::int8_t, std::int8_t>{}(*p, &ca, &cb, 1, &got);
      const double real = (static_cast<double>(a.scale) * (ca - a.zero_point) +
                           static_cast<double>(b.scale) * (cb - b.zero_point)) /
                          static_cast<double>(y.scale);
      ties += std::abs(real - std::floor(real) - 0.5) < 1e-9 ? 1 : 0;
      const double code = std::floor(real + 0.5 + 1e-9) + y.zero_point;
      CAPTURE(a.scale, b.scale, y.scale, ca, cb, real);
      REQUIRE(got == std::min(127.0, std::max(-128.0, code)));
    }
  }
  CHECK(ties > 1000);
}

TEST_CASE("add: any memory order, mixed types, and an activation", "[nn]") {
  direct::random r(37);
  const vq::shape_type<4> shape{2, 5, 3, 4};
  const vq::affine_param pa{0.02f, 3}, pb{0.03f, 120}, py{0.04f, -20};
  const auto p = vq::fit_add(pa, pb, py, vq::relu(vq::all_codes<std::int8_t>, py));
  REQUIRE(p);
  for (const auto oa : {direct::order::channels_first, direct::order::channels_last}) {
    for (const auto ob : {direct::order::channels_last, direct::order::sliced}) {
      direct::tensor<std::int8_t> a(oa, shape), y(direct::order::channels_last, shape);
      direct::tensor<std::uint8_t> b(ob, shape);
      r.fill(a.data);
      r.fill(b.data);
      const auto &ca = a, &cy = y;
      const auto& cb = b;
      REQUIRE(vq::add(*p, ca.view(), cb.view(), y.view()) == vq::status::ok);
      for (index_type c = 0; c < 5; ++c) {
        for (index_type i = 0; i < 4; ++i) {
          const double real =
              (0.02 * (ca.view()(1, c, 2, i) - 3) + 0.03 * (cb.view()(1, c, 2, i) - 120)) / 0.04;
          const double code = std::min(127.0, std::max(-20.0, std::floor(real + 0.5) - 20));
          REQUIRE(std::abs(cy.view()(1, c, 2, i) - code) <= 1);  // 1: the scales are floats
        }
      }
    }
  }
  std::vector<std::int8_t> few(4);
  CHECK(vq::add(*p, vq::tensor_view<const std::int8_t, 1>{few.data(), {4}},
                vq::tensor_view<const std::int8_t, 1>{few.data(), {3}},
                vq::tensor_view<std::int8_t, 1>{few.data(), {4}}) == vq::status::size_mismatch);
}

TEST_CASE("fit_add: ratios that the integers cannot express are refused", "[nn]") {
  const auto codes = vq::all_codes<std::int8_t>;
  const auto fit = [&](float a, float b, float y) {
    const auto p = vq::fit_add({a, 0}, {b, 0}, {y, 0}, codes);
    return p ? vq::status::ok : p.error();
  };
  CHECK(fit(1, 1, 1) == vq::status::ok);
  CHECK(fit(4095, 1, 1) == vq::status::ok);
  CHECK(fit(4096, 1, 1) == vq::status::overflow);
  CHECK(fit(1e-6f, 1e-20f, 1) == vq::status::ok);
  CHECK(fit(0, 1, 1) == vq::status::not_finite);
  CHECK(fit(1, NAN, 1) == vq::status::not_finite);
  CHECK(fit(1, 1, 0) == vq::status::not_finite);
  CHECK(vq::fit_add({1, 256}, {1, 0}, {1, 0}, codes).error() == vq::status::bad_argument);
}
