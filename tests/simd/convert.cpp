// half and bfloat16 on registers: the bits of the reference for every pattern and every length.
#include <bit>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

template <class T>
void every_pattern() {
  std::vector<T> narrow;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    narrow.push_back(T::from_bits(static_cast<std::uint16_t>(bits)));
  }
  std::vector<float> x(narrow.size());
  REQUIRE(vq::to_floats(vq::simd::native, std::span<const T>(narrow), std::span<float>(x)) ==
          vq::status::ok);
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(std::bit_cast<std::uint32_t>(x[i]) ==
            std::bit_cast<std::uint32_t>(narrow[i].to_float()));
  }
}

// Around every value that T has: itself, half-way to its neighbour, and a float to each side.
template <class T>
std::vector<float> difficult() {
  std::vector<float> x;
  for (std::uint32_t bits = 0; bits < 65536; bits += 3) {
    const auto at =
        std::bit_cast<std::uint32_t>(T::from_bits(static_cast<std::uint16_t>(bits)).to_float());
    constexpr std::uint32_t tie = std::is_same_v<T, vq::half> ? 0x1000u : 0x8000u;
    for (const std::uint32_t offset : {0u, 1u, tie - 1, tie, tie + 1}) {
      x.push_back(std::bit_cast<float>(at + offset));
    }
  }
  std::mt19937 random(1);
  for (int i = 0; i < 50000; ++i) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random()) & 0x80ffffffu));
  }
  return x;
}

template <class T>
void every_rounding() {
  const auto x = difficult<T>();
  std::vector<T> narrow(x.size());
  REQUIRE(vq::from_floats(vq::simd::native, std::span<const float>(x), std::span<T>(narrow)) ==
          vq::status::ok);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (narrow[i] != T(x[i])) FAIL(std::bit_cast<std::uint32_t>(x[i]));
  }
}

template <class T>
void every_length() {
  const auto x = difficult<T>();
  for (std::size_t n = 0; n <= 2 * 64 + 3; ++n) {
    CAPTURE(n);
    const std::span<const float> in(x.data() + 1000 + n % 5, n);
    std::vector<T> narrow(n + 1, T(1.f));
    REQUIRE(vq::from_floats(vq::simd::native, in, std::span(narrow).first(n)) == vq::status::ok);
    for (std::size_t i = 0; i < n; ++i) REQUIRE(narrow[i] == T(in[i]));
    REQUIRE(narrow[n] == T(1.f));
    std::vector<float> wide(n + 1, 7.f);
    REQUIRE(vq::to_floats(vq::simd::native, std::span(narrow).first(n), std::span(wide).first(n)) ==
            vq::status::ok);
    for (std::size_t i = 0; i < n; ++i) {
      const float want = narrow[i].to_float();
      REQUIRE(std::memcmp(&want, &wide[i], sizeof want) == 0);
    }
    REQUIRE(wide[n] == 7.f);
  }
}

}  // namespace

TEST_CASE("convert: every pattern becomes the float of the reference", "[simd]") {
  every_pattern<vq::half>();
  every_pattern<vq::bfloat16>();
}

TEST_CASE("convert: ties, subnormals, NaN and what does not fit round as the reference does",
          "[simd]") {
  every_rounding<vq::half>();
  every_rounding<vq::bfloat16>();
}

TEST_CASE("convert: every length", "[simd]") {
  every_length<vq::half>();
  every_length<vq::bfloat16>();
}

TEST_CASE("convert: views of narrow floats are quantized as their floats are", "[simd]") {
  const vq::quantizer<vq::uniform<8>, vq::per_channel<0>> q;
  std::vector<vq::half> x(3 * 700), back(x.size()), back_wide(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = vq::half(static_cast<float>(i % 97) - 48.f);
  const vq::tensor_view<const vq::half, 2> view{x.data(), {3, 700}};
  std::vector<vq::affine_param> p(3), p_wide(3);
  std::vector<std::int8_t> c(x.size()), c_wide(x.size());
  REQUIRE(vq::fit(q, view, p) == vq::status::ok);
  REQUIRE(vq::fit(vq::simd::native, q, view, p_wide) == vq::status::ok);
  REQUIRE(vq::quantize(q, view, p, c) == vq::status::ok);
  REQUIRE(vq::quantize(vq::simd::native, q, view, p, c_wide) == vq::status::ok);
  REQUIRE((p == p_wide && c == c_wide));
  const vq::tensor_view<vq::half, 2> out{back.data(), {3, 700}}, wide{back_wide.data(), {3, 700}};
  REQUIRE(vq::dequantize(q, c, p, out) == vq::status::ok);
  REQUIRE(vq::dequantize(vq::simd::native, q, c, p, wide) == vq::status::ok);
  REQUIRE(back == back_wide);
}
