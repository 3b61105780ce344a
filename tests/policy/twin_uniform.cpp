// Expected codes: by hand from the definition, and the halves of PTQ4ViT's released code.
#include <cmath>
#include <limits>
#include <vector>

#include <vq/policy/twin_uniform.hpp>
#include <vq/quant.hpp>

#include "catch.hpp"
#include "golden/golden.hpp"

namespace {

constexpr vq::twin_uniform<8> softmax_8;
constexpr vq::twin_uniform<6> softmax_6;
constexpr vq::twin_uniform<4> softmax_4;
constexpr vq::twin_uniform<8, vq::two_sided> gelu_8;
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class Policy>
void monotone(const Policy& policy, vq::twin_param param, float lowest, float highest) {
  float last = -infinity;
  for (float x = lowest; x <= highest; x += (highest - lowest) / 4096) {
    const float value = policy.decode(policy.encode(x, param), param);
    CAPTURE(x, value, param.shift);
    CHECK(value >= last);
    last = value;
  }
}

// The halves are given apart: the paper's code is that of the half in which the value lies. A value
// in the middle of two steps is left out: the originals multiply by 2^bits - 1, kept as a double.
template <int Bits>
void compare(const golden::test_case& c) {
  constexpr vq::twin_uniform<Bits> policy;
  const auto split = c.params().at("split").get<float>();
  const vq::twin_param param{1.f / policy.largest_magnitude,
                             static_cast<std::int32_t>(-std::log2(split))};
  const auto x = c.input<float>("x");
  auto high = c.output<float>("high_code").data, low = c.output<float>("low_code").data;
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const double steps = std::fabs(static_cast<double>(x.data[i])) * policy.largest_magnitude;
    if (std::fabs(steps - std::floor(steps) - 0.5) < 1e-6) continue;
    const float code = policy.encode(x.data[i], param);
    (x.data[i] >= split ? high : low)[i] =
        code >= policy.coarse_flag ? code - policy.coarse_flag : code;
  }
  golden::check(c, "high_code", high);
  golden::check(c, "low_code", low);
}

// The released grids have free steps: 2^(bits - 1) of them below zero, one less above, with a step per
// group of inputs there. They are checked as two uniform grids. The paper asks for steps that differ
// by a power of two, which is twin_uniform: within half a step of either grid on the same values.
template <int Bits>
void compare_gelu(const golden::test_case& c) {
  constexpr int half = 1 << (Bits - 1);
  constexpr vq::uniform<Bits, vq::symmetric, vq::codes_between<-half, 0>, vq::signed_codes,
                        vq::exact_division>
      below;
  constexpr vq::uniform<Bits, vq::symmetric, vq::codes_between<0, half - 1>, vq::signed_codes,
                        vq::exact_division>
      above;
  constexpr vq::twin_uniform<Bits, vq::two_sided> twin;
  const auto x = c.input<float>("x");
  const auto steps = c.input<float>("a_interval").data;
  const std::size_t columns = static_cast<std::size_t>(x.shape.back());
  const vq::affine_param negative{c.params().at("a_neg_interval").get<float>(), 0};
  std::vector<float> y;
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const vq::affine_param positive{steps[i % columns * steps.size() / columns], 0};
    const float v = x.data[i];
    y.push_back(above.decode(above.encode(v, positive), positive) +
                below.decode(below.encode(v, negative), negative));
    const vq::twin_param p = twin.fit({-0.1699712f, positive.scale * (half - 1)});
    const float value = twin.decode(twin.encode(v, p), p);
    CAPTURE(c.name(), v, value, p.coarse, p.shift);
    if (v >= 0) CHECK(std::fabs(value - y.back()) <= 1.001f * p.coarse / 2 + 1e-6f);
    CHECK((p.fine() * twin.largest_magnitude >= 0.1699712f));
    CHECK(std::fabs(value - v) <= (v >= 0 ? p.coarse : p.fine()) * 0.5001f +
                                      std::fmax(v - positive.scale * (half - 1), 0.f));
  }
  golden::check(c, "y", y);
}

}  // namespace

TEST_CASE("twin_uniform: the codes of the paper's selection", "[policy]") {
  constexpr vq::twin_param at_8{1.f / 127, 5};
  const float x[] = {1, 0.7f, 0.5f, 0.3f, 0.1f, 0.02f, 0.004f, 1e-5f};
  const int codes[] = {0xff, 0xd9, 0xc0, 0xa6, 0x8d, 0x51, 0x10, 0x00};
  for (std::size_t i = 0; i < std::size(x); ++i) {
    CAPTURE(x[i]);
    CHECK(softmax_8.encode(x[i], at_8) == static_cast<float>(codes[i]));
  }
  CHECK(softmax_8.decode(float{0xd9}, at_8) == Approx(0.700787).epsilon(1e-5));
  CHECK(softmax_8.decode(float{0x51}, at_8) == Approx(0.019931).epsilon(1e-4));

  constexpr vq::twin_param at_6{1.f / 31, 4};
  const float few[] = {1, 0.7f, 0.5f, 0.1f, 0.02f};
  const int codes_6[] = {0x3f, 0x36, 0x30, 0x23, 0x0a};
  for (std::size_t i = 0; i < std::size(few); ++i) {
    CHECK(softmax_6.encode(few[i], at_6) == static_cast<float>(codes_6[i]));
  }
}

TEST_CASE("twin_uniform: monotone for every shift that candidates offer", "[policy]") {
  for (std::int32_t shift = 0; shift <= softmax_4.largest_shift; ++shift) {
    monotone(softmax_4, {1.f / 7, shift}, -0.1f, 1.1f);
  }
  for (std::int32_t shift = 0; shift <= softmax_8.largest_shift; ++shift) {
    monotone(softmax_8, {1.f / 127, shift}, 0, 1.1f);
  }
  monotone(gelu_8, gelu_8.fit({-0.17f, 5.f}), -0.3f, 6);
}

TEST_CASE("twin_uniform: every code but the second zero round-trips", "[policy]") {
  const auto param = gelu_8.fit({-0.17f, 5.f});
  for (int code = 0; code < 256; ++code) {
    if (code == 0) continue;  // minus zero; zero is code 128
    CHECK(gelu_8.encode(gelu_8.decode(static_cast<float>(code), param), param) ==
          static_cast<float>(code));
  }
  CHECK(gelu_8.encode(0.f, param) == 128);
}

TEST_CASE("twin_uniform: fit covers what was seen", "[policy]") {
  const auto param = gelu_8.fit({-0.17f, 5.f});
  CHECK(param.coarse == Approx(5. / 127));
  CHECK(param.fine() * 127 >= 0.17f);
  CHECK(param.fine() * 127 < 0.34f);
  CHECK(softmax_8.fit({0.f, 0.5f}).coarse == Approx(0.5 / 127));
  CHECK(gelu_8.fit({-3.f, 1.f}).shift == 0);
  CHECK(gelu_8.decode(gelu_8.encode(-3.f, gelu_8.fit({-3.f, 1.f})), gelu_8.fit({-3.f, 1.f})) ==
        Approx(-3.));
  CHECK(softmax_4.fit(vq::empty_range).coarse == 1);
  CHECK(softmax_4.fit({0.f, 0.f}).coarse == 1);
}

TEST_CASE("twin_uniform: values outside clamp, NaN is zero", "[policy]") {
  const vq::twin_param param{1.f / 127, 5};
  CHECK(softmax_8.decode(softmax_8.encode(infinity, param), param) == Approx(1.));
  CHECK(softmax_8.encode(-1.f, param) == 0);
  CHECK(softmax_8.encode(not_a_number, param) == 0);
  CHECK(gelu_8.decode(gelu_8.encode(not_a_number, param), param) == 0);
  CHECK(gelu_8.encode(-infinity, param) == 127);
}

TEST_CASE("twin_uniform: the halves of PTQ4ViT, selected as the paper says", "[policy][golden]") {
  for (const golden::test_case& c : golden::cases("ptq4vit", "ptq4vit_softmax_twin")) {
    const int bits = c.params().at("bit").get<int>();
    if (bits == 4) compare<4>(c);
    if (bits == 6) compare<6>(c);
    if (bits == 8) compare<8>(c);
  }
}

TEST_CASE("twin_uniform: the two grids of PTQ4ViT's GELU, and the published pair of grids",
          "[policy][golden]") {
  for (const golden::test_case& c : golden::cases("ptq4vit", "ptq4vit_gelu_twin")) {
    const int bits = c.params().at("bit").get<int>();
    if (bits == 4) compare_gelu<4>(c);
    if (bits == 6) compare_gelu<6>(c);
    if (bits == 8) compare_gelu<8>(c);
  }
}
