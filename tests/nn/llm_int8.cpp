// Linear layers of LLM.int8(): outlier columns as floats, the rest in 8 bits.
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <vq/nn/llm_int8.hpp>
#include <vq/quantizer/fit_quantize.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

struct layer {
  index_type inputs, outputs;
  std::vector<float> weights;
  std::vector<std::int8_t> codes, memory;
  std::vector<std::int32_t> sums;
  std::vector<vq::scale_param> absmax;
  vq::packed_weights packed;

  layer(index_type k, index_type n, std::mt19937& random)
      : inputs(k), outputs(n), weights(static_cast<std::size_t>(k * n)) {
    std::normal_distribution<float> draw(0.f, 0.05f);
    for (float& w : weights) w = draw(random);
    codes.resize(weights.size());
    absmax.resize(static_cast<std::size_t>(n));
    const vq::quantizer<vq::vectorwise_int8, vq::per_channel<0>> q;
    REQUIRE(vq::fit_quantize(q, vq::tensor_view<const float, 2>{weights.data(), {n, k}}, absmax,
                             codes) == vq::status::ok);
    const auto need = vq::packed_size(vq::shape_type<2>{n, k});
    memory.resize(static_cast<std::size_t>(need.codes));
    sums.resize(static_cast<std::size_t>(need.sums));
    auto p = vq::pack_weights<std::int8_t>(
        vq::tensor_view<const std::int8_t, 2>{codes.data(), {n, k}}, memory, sums);
    REQUIRE(p);
    packed = *p;
  }
  double weight(index_type o, index_type k) const {  // as it is stored
    return static_cast<double>(codes[static_cast<std::size_t>(o * inputs + k)]) *
           static_cast<double>(absmax[static_cast<std::size_t>(o)].scale) / 127;
  }
};

template <class E>
std::vector<float> run(E e, const layer& l, const std::vector<float>& x, float threshold,
                       const std::vector<float>& bias) {
  const auto rows = static_cast<index_type>(x.size()) / l.inputs;
  std::vector<float> y(static_cast<std::size_t>(rows * l.outputs));
  const vq::tensor_view<const float, 2> in{x.data(), {rows, l.inputs}};
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(vq::llm_int8_workspace(e, in, l.packed)));
  REQUIRE(vq::llm_int8_linear(e, threshold, in, l.packed, l.absmax, std::span<const float>(bias),
                              vq::tensor_view<float, 2>{y.data(), {rows, l.outputs}},
                              workspace) == vq::status::ok);
  return y;
}

}  // namespace

TEST_CASE("llm_int8: rows by hand", "[nn]") {
  // column 1 has an outlier in row 1; its other value is no part of a code but of an absmax
  const std::vector<float> x{1.f, 5.f, -2.f, 0.5f, -6.f, 0.25f, 0.f, 1.f, 0.f};
  std::vector<std::int8_t> codes(9, 99);
  std::vector<vq::scale_param> absmax(3);
  std::vector<index_type> columns(3);
  const vq::tensor_view<const float, 2> view{x.data(), {3, 3}};
  const auto found = vq::quantize_rows(vq::scalar, view, 6.f, codes, absmax, columns);
  REQUIRE(found);
  REQUIRE(*found == 1);
  CHECK(columns[0] == 1);
  CHECK(absmax[0].scale == 5.f);
  CHECK(absmax[1].scale == 0.5f);
  CHECK(absmax[2].scale == 1.f);
  // 127/5 = 25.4: 25.4 -> 25, -50.8 -> -51; 127/0.5 = 254: 127, 63.5 -> 64
  CHECK(codes == std::vector<std::int8_t>{25, 0, -51, 127, 0, 64, 0, 0, 0});

  const auto whole = vq::quantize_rows(vq::scalar, view, 0.f, codes, absmax, columns);
  REQUIRE(whole);
  CHECK(*whole == 0);
  CHECK(absmax[1].scale == 6.f);
  CHECK(codes[4] == -127);
}

TEST_CASE("llm_int8: the product is that of the definition", "[nn]") {
  std::mt19937 random(5);
  std::normal_distribution<float> draw(0.f, 1.f);
  for (const index_type inputs : {1, 7, 64, 700}) {
    const layer l(inputs, 33, random);
    const index_type rows = 5;
    std::vector<float> x(static_cast<std::size_t>(rows * inputs)), bias(33);
    for (float& v : x) v = draw(random);
    for (float& b : bias) b = draw(random);
    if (inputs > 3) x[3] = -41.f;                                         // column 3
    if (inputs > 60) x[static_cast<std::size_t>(2 * inputs + 60)] = 6.f;  // reaches the threshold
    for (const float threshold : {0.f, 6.f}) {
      const auto y = run(vq::scalar, l, x, threshold, bias);
      CHECK(run(vq::simd::native, l, x, threshold, bias) == y);
      std::vector<bool> outlier(static_cast<std::size_t>(inputs));
      for (std::size_t i = 0; i < x.size(); ++i) {
        if (threshold > 0 && std::abs(x[i]) >= threshold) {
          outlier[i % static_cast<std::size_t>(inputs)] = true;
        }
      }
      for (index_type m = 0; m < rows; ++m) {
        const float* row = x.data() + m * inputs;
        double absmax = 0;
        for (index_type k = 0; k < inputs; ++k) {
          const double value = std::abs(static_cast<double>(row[k]));
          if (threshold == 0 || value < static_cast<double>(threshold)) {
            absmax = std::max(absmax, value);
          }
        }
        for (index_type o = 0; o < l.outputs; ++o) {
          double want = static_cast<double>(bias[static_cast<std::size_t>(o)]), steps = 0;
          double magnitude = std::abs(want);
          for (index_type k = 0; k < inputs; ++k) {
            const double product = static_cast<double>(row[k]) * l.weight(o, k);
            want += product;
            magnitude += std::abs(product);
            if (!outlier[static_cast<std::size_t>(k)]) steps += std::abs(l.weight(o, k));
          }
          // half a step of each activation that is a code, and the roundings of the floats
          const double bound = steps * absmax / 254 * 1.00001 + magnitude * 0x1p-18;
          REQUIRE(std::abs(static_cast<double>(y[static_cast<std::size_t>(m * 33 + o)]) - want) <=
                  bound);
        }
      }
    }
  }
}

TEST_CASE("llm_int8: an outlier column costs the others nothing", "[nn]") {
  std::mt19937 random(6);
  std::normal_distribution<float> draw(0.f, 0.5f);
  const layer l(256, 16, random);
  std::vector<float> x(256), bias;
  for (float& v : x) v = draw(random);
  const auto calm = run(vq::scalar, l, x, 6.f, bias);
  x[100] = 60.f;
  const auto loud = run(vq::scalar, l, x, 6.f, bias), all_codes = run(vq::scalar, l, x, 0.f, bias);
  double split = 0, whole = 0;
  for (index_type o = 0; o < 16; ++o) {
    double want = 0;
    for (index_type k = 0; k < 256; ++k) {
      want += static_cast<double>(x[static_cast<std::size_t>(k)]) * l.weight(o, k);
    }
    const auto i = static_cast<std::size_t>(o);
    split += std::abs(static_cast<double>(loud[i]) - want);
    whole += std::abs(static_cast<double>(all_codes[i]) - want);
  }
  CHECK(split * 10 < whole);
  CHECK(calm != loud);
}

TEST_CASE("llm_int8: refuses wrong sizes, short memory and NaN", "[nn]") {
  std::mt19937 random(8);
  const layer l(8, 4, random);
  std::vector<float> x(16, 1.f), y(8);
  const vq::tensor_view<const float, 2> in{x.data(), {2, 8}};
  const vq::tensor_view<float, 2> out{y.data(), {2, 4}};
  std::vector<std::byte> workspace(
      static_cast<std::size_t>(vq::llm_int8_workspace(vq::scalar, in, l.packed)));
  const auto with = [&](auto view, std::span<const vq::scale_param> absmax, auto result,
                        std::span<std::byte> memory) {
    return vq::llm_int8_linear(vq::scalar, 6.f, view, l.packed, absmax, {}, result, memory);
  };
  CHECK(with(in, l.absmax, out, workspace) == vq::status::ok);
  CHECK(with(vq::tensor_view<const float, 2>{x.data(), {4, 4}}, l.absmax, out, workspace) ==
        vq::status::size_mismatch);
  CHECK(with(in, l.absmax, vq::tensor_view<float, 2>{y.data(), {4, 2}}, workspace) ==
        vq::status::size_mismatch);
  CHECK(with(in, std::span(l.absmax).first(3), out, workspace) == vq::status::too_few_params);
  CHECK(with(in, l.absmax, out, std::span(workspace).first(workspace.size() - 1)) ==
        vq::status::too_little_workspace);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  CHECK(with(in, l.absmax, out, workspace) == vq::status::not_finite);
}
