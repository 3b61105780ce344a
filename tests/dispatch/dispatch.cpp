// ctest runs this program once for each instruction set that the CPU has (VQ_ISA) and once without
// a wish.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <vq/dispatch.hpp>
#include <vq/nn.hpp>
#include <vq/tensor.hpp>

#include "catch.hpp"
#include "nn/dynamic_linear.hpp"
#include "nn/stages.hpp"
#include "power_of_two.hpp"

namespace {

using vq::index_type;

std::vector<float> wave(index_type size) {
  std::vector<float> x(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = 3 * std::sin(static_cast<float>(i) * 0.7f) + 0.25f * static_cast<float>(i % 5);
  }
  return x;
}

// Parameters, codes and values of a quantizer are those of the reference.
template <class Q>
void same_as_reference(const Q& q, index_type rows, index_type columns) {
  const auto x = wave(rows * columns);
  const vq::tensor_view<const float, 2> view{x.data(), {rows, columns}};
  const vq::sizes need = q.required(view);
  std::vector<typename Q::param_type> params(static_cast<std::size_t>(need.params));
  REQUIRE(vq::fit(vq::dispatch, q, view, params) == vq::status::ok);

  std::vector<typename Q::stored_type> expected(static_cast<std::size_t>(need.codes)), codes;
  codes = expected;
  REQUIRE(vq::quantize(vq::scalar, q, view, params, expected) == vq::status::ok);
  REQUIRE(vq::quantize(vq::dispatch, q, view, params, codes) == vq::status::ok);
  CHECK(codes == expected);

  std::vector<float> values(x.size()), expected_values(x.size());
  const auto to = [&](std::vector<float>& v) {
    return vq::tensor_view<float, 2>{v.data(), {rows, columns}};
  };
  REQUIRE(vq::dequantize(vq::scalar, q, codes, params, to(expected_values)) == vq::status::ok);
  REQUIRE(vq::dequantize(vq::dispatch, q, codes, params, to(values)) == vq::status::ok);
  CHECK(values == expected_values);
  REQUIRE(vq::fake_quantize(vq::dispatch, q, view, params, to(values)) == vq::status::ok);
  CHECK(values == expected_values);
}

template <class X>
void linear_same_as_reference() {
  constexpr index_type rows = 37, inputs = 131, outputs = 75;
  std::vector<X> x(rows * inputs);
  std::vector<std::int8_t> w(outputs * inputs);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<X>(i * 7919 % 256);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<std::int8_t>(i * 104729 % 256);
  const auto need = vq::packed_size(vq::shape_type<2>{outputs, inputs});
  std::vector<std::int8_t> packed(static_cast<std::size_t>(need.codes));
  std::vector<std::int32_t> sums(static_cast<std::size_t>(need.sums));
  const auto weights = vq::pack_weights<std::int8_t>(
      vq::tensor_view<const std::int8_t, 2>{w.data(), {outputs, inputs}}, packed, sums);
  REQUIRE(weights);
  const vq::float_multiplier m[1] = {{0.0007f}};
  const vq::to_codes<X> stage{.multipliers = m, .zero_point = 5};
  const vq::tensor_view<const X, 2> in{x.data(), {rows, inputs}};
  std::vector<std::int32_t> workspace(
      static_cast<std::size_t>(vq::linear_workspace(vq::dispatch, in, *weights)));
  std::vector<X> expected(rows * outputs), y(expected.size());
  REQUIRE(vq::linear(vq::scalar, in, 3, *weights, {}, stage,
                     vq::tensor_view<X, 2>{expected.data(), {rows, outputs}},
                     workspace) == vq::status::ok);
  REQUIRE(vq::linear(vq::dispatch, in, 3, *weights, {}, stage,
                     vq::tensor_view<X, 2>{y.data(), {rows, outputs}},
                     workspace) == vq::status::ok);
  CHECK(y == expected);
}

}  // namespace

TEST_CASE("dispatch: uses the instruction set that VQ_ISA names", "[dispatch]") {
  const char* const wish = std::getenv("VQ_ISA");
  if (wish == nullptr) {
    CHECK(std::strlen(vq::dispatched_isa()) > 0);
  } else if (std::strcmp(wish, "no such thing") == 0) {
    CHECK(std::strcmp(vq::dispatched_isa(), wish) != 0);
  } else {
    CHECK(std::strcmp(vq::dispatched_isa(), wish) == 0);
  }
}

TEST_CASE("dispatch: codes and values are those of the reference", "[dispatch]") {
  same_as_reference(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, 7, 333);
  same_as_reference(vq::quantizer<vq::uniform<8, vq::asymmetric>>{}, 5, 1021);
  same_as_reference(vq::quantizer<vq::uniform<4>, vq::per_block<32>>{}, 3, 257);
}

TEST_CASE("dispatch: layers give the codes of the reference", "[dispatch]") {
  linear_same_as_reference<std::int8_t>();
  linear_same_as_reference<std::uint8_t>();
}

TEST_CASE("dispatch: rows are quantized in the call", "[dispatch]") {
  direct::random r(61);
  const dynamic::problem<std::int8_t> p(r, 40, 200);
  CHECK(dynamic::outputs(vq::dispatch, p) == dynamic::definition(p));
}

TEST_CASE("dispatch: residuals are added in the output stage", "[dispatch]") {
  direct::random r(79);
  for (int i = 0; i < 10; ++i) {
    stages::residuals<vq::dispatch_t, std::int8_t, std::int8_t, std::int8_t>(vq::dispatch, r);
    stages::residuals<vq::dispatch_t, std::uint8_t, std::uint8_t, std::uint8_t>(vq::dispatch, r);
  }
}

TEST_CASE("dispatch: a format of one's own takes part", "[dispatch]") {
  same_as_reference(vq::quantizer<mine::power_of_two, vq::per_channel<0>>{}, 4, 129);
}
