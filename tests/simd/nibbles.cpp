// Nibbles on registers give the bytes and values of the scalar reference: both orders, every tail,
// odd and unaligned positions, all inputs that have a code, and all types of output.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include <vq/policy/fp4.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using vq::index_type;

// Levels that fit into bins, but neither rise nor reach 1.
struct skewed_table {
  static constexpr const char* name = "skewed";
  static constexpr float levels[16] = {0, -3, -2.5f, -2, -1.6f, -1.2f, -0.8f, -0.4f,
                                       1, 5,  4.5f,  4,  3.4f,  2.8f,  2.2f,  1.6f};
};
// More levels than a register search has, and fewer than a nibble.
struct four_table {
  static constexpr const char* name = "four";
  static constexpr float levels[4] = {-1, -0.25f, 0.25f, 1};
};
using skewed = vq::codebook<skewed_table>;
using int4 = vq::uniform<4>;
using uint4 = vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>;
using low_first = vq::stored_as<vq::nibbles_low_first>;

std::vector<float> normal(std::size_t size, float deviation = 1) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::normal_distribution<float> bell(0, deviation);
  std::vector<float> x(size);
  for (float& value : x) value = bell(random);
  return x;
}

template <class T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class Q>
struct packed {
  std::vector<typename Q::param_type> params;
  std::vector<std::uint8_t> codes;
  explicit packed(vq::sizes need)
      : params(static_cast<std::size_t>(need.params)), codes(static_cast<std::size_t>(need.codes)) {
    for (auto& byte : codes) byte = 0xa5;  // buffers need no preparation
  }
};

template <class Out, class Q, class View>
void compare_values(const Q& q, const packed<Q>& p, const View& view) {
  std::vector<Out> scalar(static_cast<std::size_t>(view.size())), wide = scalar;
  const auto out = [&](std::vector<Out>& v) {
    return vq::tensor_view<Out, 2>{v.data(), view.extents()};
  };
  REQUIRE(vq::dequantize(vq::scalar, q, p.codes, p.params, out(scalar)) == vq::status::ok);
  REQUIRE(vq::dequantize(vq::simd::native, q, p.codes, p.params, out(wide)) == vq::status::ok);
  REQUIRE(same_bytes(scalar, wide));
}

// fit, quantize, both at once, and dequantize.
template <class Q>
void compare(const std::vector<float>& x, index_type rows, index_type offset = 0) {
  const index_type columns = (static_cast<index_type>(x.size()) - offset) / rows;
  CAPTURE(rows, columns, offset);
  const Q q;
  const vq::tensor_view<const float, 2> view{x.data() + offset, {rows, columns}};
  packed<Q> scalar(q.required(view)), wide(q.required(view)), at_once(q.required(view)),
      reference_at_once(q.required(view));
  REQUIRE(vq::fit(vq::scalar, q, view, scalar.params) == vq::status::ok);
  REQUIRE(vq::quantize(vq::scalar, q, view, scalar.params, scalar.codes) == vq::status::ok);
  REQUIRE(vq::fit(vq::simd::native, q, view, wide.params) == vq::status::ok);
  REQUIRE(vq::quantize(vq::simd::native, q, view, wide.params, wide.codes) == vq::status::ok);
  REQUIRE(vq::fit_quantize(q, view, reference_at_once.params, reference_at_once.codes) ==
          vq::status::ok);
  REQUIRE(vq::fit_quantize(vq::simd::native, q, view, at_once.params, at_once.codes) ==
          vq::status::ok);
  for (const packed<Q>* p : {&wide, &reference_at_once, &at_once}) {
    REQUIRE(same_bytes(p->params, scalar.params));
    REQUIRE(same_bytes(p->codes, scalar.codes));
  }
  compare_values<float>(q, scalar, view);
  compare_values<vq::half>(q, scalar, view);
  compare_values<vq::bfloat16>(q, scalar, view);
}

template <class Policy, class Storage = vq::plain>
void all_shapes() {
  const auto x = normal(70000);
  const std::vector<float> some(x.begin(), x.begin() + 3000);
  for (index_type columns = 0; columns <= 140; ++columns) {
    const std::vector<float> y(x.begin(), x.begin() + 3 * columns + 1);
    compare<vq::quantizer<Policy, vq::per_channel<0>, Storage>>(y, 3, 1);
    compare<vq::quantizer<Policy, vq::per_block<64>, Storage>>(y, 3, 1);
  }
  for (index_type rows : {1, 7, 33}) {
    for (index_type offset : {0, 1, 2}) {
      compare<vq::quantizer<Policy, vq::per_block<32>, Storage>>(some, rows, offset);
      compare<vq::quantizer<Policy, vq::per_block<64>, Storage>>(some, rows, offset);
      compare<vq::quantizer<Policy, vq::per_group<50>, Storage>>(some, rows, offset);
      compare<vq::quantizer<Policy, vq::per_block<7>, Storage>>(some, rows, offset);
    }
  }
  compare<vq::quantizer<Policy, vq::per_block<64>, Storage>>(x, 1);
}

// Values next to every change of code, at several scales.
template <class Policy>
void all_boundaries() {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (const float scale : {1.f, 0.37f, 3e-39f, 1e-45f, 3e37f, 0.f}) {
    std::vector<float> x{0.f, -0.f, infinity, -infinity, std::nanf(""), 1e-45f, -1e-45f, 3e38f};
    for (const float bound : vq::level_bounds<typename Policy::table>::values) {
      const float at = bound * scale;
      for (const float near : {at, std::nextafter(at, infinity), std::nextafter(at, -infinity)}) {
        x.push_back(near);
        x.push_back(std::nextafter(near, infinity));
        x.push_back(std::nextafter(near, -infinity));
      }
    }
    const vq::quantizer<Policy> q;
    const auto size = static_cast<index_type>(x.size());
    const vq::tensor_view<const float, 1> view{x.data(), {size}};
    const std::vector<vq::scale_param> params{{scale}};
    std::vector<std::uint8_t> scalar(static_cast<std::size_t>(q.required(view).codes));
    auto wide = scalar;
    REQUIRE(vq::quantize(vq::scalar, q, view, params, scalar) == vq::status::ok);
    REQUIRE(vq::quantize(vq::simd::native, q, view, params, wide) == vq::status::ok);
    REQUIRE(same_bytes(scalar, wide));
    std::vector<float> y(x.size()), y_wide(x.size());
    const auto out = [&](std::vector<float>& v) {
      return vq::tensor_view<float, 1>{v.data(), {size}};
    };
    REQUIRE(vq::fake_quantize(vq::scalar, q, view, params, out(y)) == vq::status::ok);
    REQUIRE(vq::fake_quantize(vq::simd::native, q, view, params, out(y_wide)) == vq::status::ok);
    REQUIRE(same_bytes(y, y_wide));
  }
}

// Nested scales and what they decode.
template <class Q>
void compare_nested(const std::vector<float>& x, index_type rows) {
  CAPTURE(x.size(), rows);
  const Q q;
  const vq::tensor_view<const float, 2> view{x.data(),
                                             {rows, static_cast<index_type>(x.size()) / rows}};
  packed<Q> p(q.required(view));
  REQUIRE(vq::fit_quantize(vq::simd::native, q, view, p.params, p.codes) == vq::status::ok);
  const auto scales = [&](auto execution) {
    packed<Q> s(vq::required_scales(q, view));
    vq::nested_scales nested{s.codes, s.params};
    REQUIRE(vq::quantize_scales(execution, q, p.params, nested) == vq::status::ok);
    return std::pair{s, nested.offset};
  };
  const auto [scalar, offset] = scales(vq::scalar);
  const auto [wide, wide_offset] = scales(vq::simd::native);
  CHECK(offset == wide_offset);
  REQUIRE(same_bytes(scalar.params, wide.params));
  REQUIRE(same_bytes(scalar.codes, wide.codes));

  const vq::const_nested_scales nested{scalar.codes, scalar.params, offset};
  const auto values = [&]<class Out>(auto execution, Out) {
    std::vector<Out> y(static_cast<std::size_t>(view.size()));
    const vq::tensor_view<Out, 2> out{y.data(), view.extents()};
    REQUIRE(vq::dequantize(execution, q, p.codes, nested, out) == vq::status::ok);
    return y;
  };
  REQUIRE(same_bytes(values(vq::scalar, 0.f), values(vq::simd::native, 0.f)));
  REQUIRE(same_bytes(values(vq::scalar, vq::half{}), values(vq::simd::native, vq::half{})));
  REQUIRE(same_bytes(values(vq::scalar, vq::bfloat16{}), values(vq::simd::native, vq::bfloat16{})));
}

}  // namespace

static_assert(skewed::name[0] == 's' && four_table::name[0] == 'f');
// The bins hold at most one bound each: found at compile time.
static_assert(vq::simd::level_bins<vq::level_bounds<vq::nf4_table>>{}.usable);
static_assert(!vq::simd::level_bins<vq::level_bounds<vq::fp4_table>>{}.usable);

TEST_CASE("simd: NF4 and FP4 are those of the reference", "[simd]") {
  all_shapes<vq::nf4>();
  all_shapes<vq::fp4, low_first>();
}

TEST_CASE("simd: 4-bit integers are those of the reference, in both orders", "[simd]") {
  all_shapes<int4>();
  all_shapes<int4, low_first>();
  all_shapes<uint4, low_first>();
}

TEST_CASE("simd: codebooks change their code where the reference does", "[simd]") {
  all_boundaries<vq::nf4>();
  all_boundaries<vq::fp4>();
  all_boundaries<skewed>();
  all_boundaries<vq::codebook<four_table>>();
}

TEST_CASE("simd: blocks of zeros, of subnormals and of the largest numbers", "[simd]") {
  for (const float deviation : {0.f, 1e-44f, 1e-41f, 1e-38f, 3e-38f, 1e37f}) {
    const auto x = normal(64 * 40 + 9, deviation);
    compare<vq::quantizer<vq::nf4, vq::per_block<64>>>(x, 1);
    compare<vq::quantizer<vq::fp4, vq::per_block<64>>>(x, 1);
    compare<vq::quantizer<int4, vq::per_block<32>>>(x, 1);
  }
}

TEST_CASE("simd: fit_quantize refuses NaN and infinity wherever they are", "[simd]") {
  constexpr vq::quantizer<vq::nf4, vq::per_block<64>> q;
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const std::size_t at : {0u, 63u, 64u, 1029u, 2047u, 2050u}) {
      auto x = normal(2051);
      x[at] = bad;
      const vq::tensor_view<const float, 1> view{x.data(), {2051}};
      packed<vq::quantizer<vq::nf4, vq::per_block<64>>> p(q.required(view));
      CHECK(vq::fit_quantize(vq::scalar, q, view, p.params, p.codes) == vq::status::not_finite);
      CHECK(vq::fit_quantize(vq::simd::native, q, view, p.params, p.codes) ==
            vq::status::not_finite);
    }
  }
}

TEST_CASE("simd: scales that are quantized themselves are those of the reference", "[simd]") {
  using double_quantized = vq::double_quantized<256>;
  for (const std::size_t size : {1u, 63u, 64u, 65u, 64u * 256, 64u * 257 + 11, 40000u}) {
    compare_nested<vq::quantizer<vq::nf4, vq::per_block<64>, double_quantized>>(normal(size), 1);
  }
  const auto x = normal(33000);
  compare_nested<vq::quantizer<vq::nf4, vq::per_group<50>, double_quantized>>(x, 33);
  compare_nested<vq::quantizer<vq::fp4, vq::per_channel<1>, double_quantized>>(x, 100);
}

TEST_CASE("simd: 8-bit codebooks are those of the reference", "[simd]") {
  const auto x = normal(3000);
  compare<vq::quantizer<vq::dynamic8, vq::per_block<256>>>(x, 1);
  compare<vq::quantizer<vq::dynamic8, vq::per_group<50>>>(x, 7, 1);
}

TEST_CASE("simd: results larger than the caches are those of the reference", "[simd]") {
  using Q = vq::quantizer<vq::nf4, vq::per_block<64>>;
  const auto compare_large = []<class Out>(Out) {
    constexpr auto size = vq::streamed_bytes / index_type{sizeof(Out)} + 77;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>((size + 1) / 2));
    for (std::size_t i = 0; i < codes.size(); ++i)
      codes[i] = static_cast<std::uint8_t>(i * 37 >> 3);
    std::vector<vq::scale_param> params(static_cast<std::size_t>((size + 63) / 64));
    for (std::size_t i = 0; i < params.size(); ++i) params[i].scale = static_cast<float>(i % 1000);
    std::vector<Out> scalar(static_cast<std::size_t>(size + 1)), wide = scalar;
    const auto out = [&](std::vector<Out>& y) {  // not aligned
      return vq::tensor_view<Out, 1>{y.data() + 1, {size}};
    };
    REQUIRE(vq::dequantize(vq::scalar, Q{}, codes, params, out(scalar)) == vq::status::ok);
    REQUIRE(vq::dequantize(vq::simd::native, Q{}, codes, params, out(wide)) == vq::status::ok);
    CHECK(same_bytes(scalar, wide));
  };
  compare_large(0.f);
  compare_large(vq::bfloat16{});
}
