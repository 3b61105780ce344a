// Wide execution gives the bits of the scalar reference: every tail length, ties, signed zeros,
// subnormals, NaN and infinities, every granularity and layout.
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <vq/simd.hpp>

#include "catch.hpp"
#include "power_of_two.hpp"

namespace {

using vq::index_type;

// Rounds towards zero with the C library: cannot take registers, so it keeps the reference.
struct scalar_only {
  static constexpr int bits = 8;
  using code_type = std::int8_t;
  struct param_type {
    float scale = 1;
  };
  param_type fit(vq::range r) const noexcept { return {r.absmax() > 0 ? r.absmax() / 127 : 1.f}; }
  float encode(float x, param_type p) const noexcept {
    return std::isnan(x) ? 0.f : std::trunc(vq::op::clamp(x / p.scale, -127.f, 127.f));
  }
  float decode(float code, param_type p) const noexcept { return code * p.scale; }
};

enum class data { normal, ties, subnormal, zeros, wild };

std::vector<float> make(std::size_t size, data kind) {
  std::mt19937 random(static_cast<unsigned>(size) * 5 + static_cast<unsigned>(kind));
  std::normal_distribution<float> normal;
  std::vector<float> x(size);
  for (std::size_t i = 0; i < size; ++i) {
    switch (kind) {
      case data::normal:
        x[i] = normal(random);
        break;
      case data::ties:
        x[i] = i == 0 ? 127.f : static_cast<float>(i % 509) * .5f - 127.f;
        break;
      case data::subnormal:
        x[i] = normal(random) * 1e-41f;
        break;
      case data::zeros:
        x[i] = i % 3 != 0 ? 0.f : -0.f;
        break;
      case data::wild:
        x[i] = i % 5 == 3    ? std::numeric_limits<float>::quiet_NaN()
               : i % 7 == 2  ? std::numeric_limits<float>::infinity()
               : i % 11 == 1 ? -std::numeric_limits<float>::infinity()
                             : normal(random) * 3e38f;
        break;
    }
  }
  return x;
}

template <class T>
bool same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class Q>
void compare(const Q& q, const vq::shape_type<3>& extents, data kind) {
  const auto x = make(static_cast<std::size_t>(vq::volume(extents)), kind);
  const vq::tensor_view<const float, 3> view{x.data(), extents};
  const auto need = q.required(view);
  const auto params = static_cast<std::size_t>(need.params);
  std::vector<typename Q::param_type> p(params), p_wide(params);
  const auto s = vq::fit(vq::scalar, q, view, p);
  REQUIRE(s == vq::fit(vq::simd::native, q, view, p_wide));
  if (s == vq::status::ok) {
    REQUIRE(same_bytes(p, p_wide));
  } else {
    for (auto& param : p) param = q.policy.fit({-3.f, 3.f});
  }

  const auto codes = static_cast<std::size_t>(need.codes);
  std::vector<typename Q::stored_type> c(codes), c_wide(codes);
  REQUIRE(vq::quantize(vq::scalar, q, view, p, c) == vq::status::ok);
  REQUIRE(vq::quantize(vq::simd::native, q, view, p, c_wide) == vq::status::ok);
  REQUIRE(same_bytes(c, c_wide));

  std::vector<float> y(x.size()), y_wide(x.size());
  const vq::tensor_view<float, 3> out{y.data(), extents}, out_wide{y_wide.data(), extents};
  REQUIRE(vq::dequantize(vq::scalar, q, c, p, out) == vq::status::ok);
  REQUIRE(vq::dequantize(vq::simd::native, q, c, p, out_wide) == vq::status::ok);
  REQUIRE(same_bytes(y, y_wide));

  REQUIRE(vq::fit_quantize(vq::simd::native, q, view, p_wide, c_wide) == s);
  if (s == vq::status::ok) REQUIRE((same_bytes(p, p_wide) && same_bytes(c, c_wide)));

  REQUIRE(vq::fake_quantize(vq::scalar, q, view, p, out) == vq::status::ok);
  REQUIRE(vq::fake_quantize(vq::simd::native, q, view, p, out_wide) == vq::status::ok);
  REQUIRE(same_bytes(y, y_wide));
}

constexpr data all_data[] = {data::normal, data::ties, data::subnormal, data::zeros, data::wild};
constexpr index_type all_lengths[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,   15, 16,
                                      17, 31, 32, 33, 63, 64, 65, 67, 129, 300};

// Every kind of data and every tail, in whole runs and in runs that begin and end anywhere.
template <class Policy, class Storage = vq::plain>
void all_tails() {
  for (const data kind : all_data) {
    for (const index_type n : all_lengths) {
      CAPTURE(n, static_cast<int>(kind));
      compare(vq::quantizer<Policy, vq::per_channel<0>, Storage>{}, {3, 1, n}, kind);
      compare(vq::quantizer<Policy, vq::per_block<24>, Storage>{}, {1, 3, n}, kind);
    }
  }
}

template <class Policy>
void all_granularities() {
  for (const data kind : all_data) {
    for (const index_type n : all_lengths) {
      CAPTURE(n, static_cast<int>(kind));
      compare(vq::quantizer<Policy>{}, {1, 1, n}, kind);
      compare(vq::quantizer<Policy, vq::per_channel<1>>{}, {2, 3, n}, kind);
      compare(vq::quantizer<Policy, vq::per_channel<2>>{}, {5, 1, n}, kind);
      compare(vq::quantizer<Policy, vq::per_group<32>>{}, {2, 2, n}, kind);
    }
  }
}

template <class Operation>
constexpr bool wide = !vq::runs_reference<Operation, vq::simd::native_t>;

}  // namespace

TEST_CASE("simd: uniform codes, bytes and values are those of the reference", "[simd]") {
  all_tails<vq::uniform<8>>();
  all_tails<vq::uniform<8, vq::asymmetric>>();
  all_tails<vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>>();
  all_tails<vq::uniform<8, vq::symmetric, vq::full, vq::signed_codes, vq::exact_division>>();
  all_tails<
      vq::uniform<8, vq::asymmetric, vq::full, vq::signed_codes, vq::exact_division_half_away>>();
  all_tails<vq::uniform<16>>();
}

TEST_CASE("simd: so they are in every granularity", "[simd]") {
  all_granularities<vq::uniform<8, vq::asymmetric>>();
  all_granularities<vq::uniform<4>>();
}

TEST_CASE("simd: packed codes are those of the reference", "[simd]") {
  all_tails<vq::uniform<4>>();
  all_tails<vq::uniform<4, vq::asymmetric, vq::full, vq::unsigned_codes>,
            vq::stored_as<vq::nibbles_low_first>>();
  all_tails<vq::uniform<3>>();
  all_tails<vq::uniform<6>, vq::stored_as<vq::bit_packed<6>>>();
}

TEST_CASE("simd: a user's policy runs wide, and one that cannot keeps the reference", "[simd]") {
  STATIC_REQUIRE(wide<vq::encode_strip<mine::power_of_two, vq::bytes>>);
  STATIC_REQUIRE(wide<vq::encode_strip<vq::uniform<8>, vq::bytes>>);
  STATIC_REQUIRE_FALSE(wide<vq::encode_strip<scalar_only, vq::bytes>>);
  all_tails<mine::power_of_two>();
  all_tails<scalar_only>();
}
