#include <vector>

#include <vq/nn/linear.hpp>

#include "catch.hpp"
#include "direct.hpp"
#include "run.hpp"

using vq::index_type;

TEMPLATE_TEST_CASE("linear: equals the definition for all sizes, transposed or sliced", "[nn]",
                   std::int8_t, std::uint8_t) {
  direct::random r(29);
  for (int i = 0; i < 200; ++i) {
    const index_type rows = r.between(1, 70), inputs = r.between(1, 40);
    const index_type outputs = r.between(1, 70);
    const index_type gap = r.between(0, 1) == 0 ? 0 : 3;
    const bool transposed = r.between(0, 2) == 0;
    std::vector<TestType> x(static_cast<std::size_t>((rows + gap) * (inputs + gap)));
    std::vector<std::int8_t> w(static_cast<std::size_t>(inputs * outputs));
    r.fill(x);
    r.fill(w);
    const vq::shape_type<2> strides =
        transposed ? vq::shape_type<2>{1, rows + gap} : vq::shape_type<2>{inputs + gap, 1};
    const vq::tensor_view<const TestType, 2> in{x.data(), {rows, inputs}, strides};
    const vq::tensor_view<const std::int8_t, 2> weight{w.data(), {outputs, inputs}};
    const std::int32_t zero = std::int32_t{r.code<TestType>()};
    std::vector<std::int32_t> want, bias(static_cast<std::size_t>(outputs), 11);
    for (index_type m = 0; m < rows; ++m) {
      for (index_type n = 0; n < outputs; ++n) {
        std::int32_t sum = 11;
        for (index_type k = 0; k < inputs; ++k) sum += (in(m, k) - zero) * weight(n, k);
        want.push_back(sum);
      }
    }
    CAPTURE(rows, inputs, outputs, gap, transposed);
    REQUIRE(run::linear(in, zero, weight, {}, bias, vq::to_accumulators{}) == want);
  }
}

TEST_CASE("linear: the numbers of the folder's page", "[nn]") {
  const vq::affine_param in{0.02f, 10}, out{0.01f, -5};
  const std::vector<vq::affine_param> scale{{0.01f, 0}};
  const std::vector<std::int8_t> x{35, 60}, w{50, -20};
  const std::vector<float> real_bias{0.1f};
  std::vector<std::int32_t> bias(1);
  REQUIRE(vq::quantize_bias(real_bias, in, scale, bias) == vq::status::ok);
  CHECK(bias[0] == 500);
  const auto m = run::multipliers(in, {0.01f}, out);
  const vq::tensor_view<const std::int8_t, 2> vx{x.data(), {1, 2}}, vw{w.data(), {1, 2}};
  CHECK(run::linear(vx, 10, vw, {}, bias, vq::to_accumulators{})[0] == 750);
  const vq::to_codes<std::int8_t> stage{.multipliers = m, .zero_point = -5};
  CHECK(run::linear(vx, 10, vw, {}, bias, stage)[0] == 10);
}

TEST_CASE("linear: wrong shapes and a short workspace are refused", "[nn]") {
  std::vector<std::int8_t> x(12), w(20), codes(16 * 4), y(15);
  std::vector<std::int32_t> sums(5);
  const auto packed = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 2>{w.data(), {5, 4}}, codes, sums);
  REQUIRE(packed);
  const std::vector<vq::float_multiplier> m(1);
  const vq::to_codes<std::int8_t> stage{.multipliers = m};
  const vq::tensor_view<const std::int8_t, 2> in{x.data(), {3, 4}}, other{x.data(), {4, 3}};
  std::vector<std::int32_t> space(static_cast<std::size_t>(vq::linear_workspace(in, *packed)));
  CHECK(vq::linear(in, 0, *packed, {}, stage, {y.data(), {3, 5}}, space) == vq::status::ok);
  CHECK(vq::linear(in, 0, *packed, {}, stage, {y.data(), {5, 3}}, space) ==
        vq::status::size_mismatch);
  CHECK(vq::linear(other, 0, *packed, {}, stage, {y.data(), {4, 5}}, space) ==
        vq::status::size_mismatch);
  space.pop_back();
  CHECK(vq::linear(in, 0, *packed, {}, stage, {y.data(), {3, 5}}, space) ==
        vq::status::too_little_workspace);
}
