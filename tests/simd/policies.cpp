// A policy's text gives the same bits for one float and for a register of floats.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <vq/policy/adaptive_log.hpp>
#include <vq/policy/log_scale.hpp>
#include <vq/policy/twin_uniform.hpp>
#include <vq/simd.hpp>

#include "catch.hpp"

namespace {

using V = vq::simd::floats<vq::simd::native_arch>;
constexpr std::size_t width = V::size;

// Magnitudes of all sizes, the borders between codes and their neighbours, and what is no number.
std::vector<float> values() {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = {
      0.f, -0.f, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 1e-45f, -1e-40f};
  for (float f = 4; f > 1e-6f; f *= 0.917f) x.insert(x.end(), {f, -f});
  for (int i = 0; i < 32; ++i) {
    const auto border = static_cast<float>(std::exp2(-0.25 * i));
    x.insert(x.end(), {border, std::nextafter(border, 0.f), std::nextafter(border, 2.f)});
  }
  while (x.size() % width != 0) x.push_back(0.5f);
  return x;
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

template <class Policy>
void same_in_registers(typename Policy::param_type param) {
  constexpr Policy policy;
  const auto x = values();
  for (std::size_t i = 0; i < x.size(); i += width) {
    const V code = policy.encode(V::load_unaligned(&x[i]), param);
    float codes[width], decoded[width];
    code.store_unaligned(codes);
    policy.decode(code, param).store_unaligned(decoded);
    for (std::size_t k = 0; k < width; ++k) {
      CAPTURE(x[i + k]);
      CHECK(same(codes[k], policy.encode(x[i + k], param)));
      CHECK(same(decoded[k], policy.decode(codes[k], param)));
    }
  }
}

}  // namespace

TEST_CASE("policies for two-peaked activations: registers give the bits of floats", "[simd]") {
  same_in_registers<vq::log2_scale<4>>({1.f});
  same_in_registers<vq::log2_scale<8>>({0.37f});
  same_in_registers<vq::log_sqrt2_scale<4>>({0.9f});
  same_in_registers<vq::adaptive_log<4>>({0.9f, 23, 0});
  same_in_registers<vq::adaptive_log<4>>({3.1f, 16, 0.17f});
  same_in_registers<vq::adaptive_log<8>>({1.f, 3, 0});
  same_in_registers<vq::twin_uniform<8>>({1.f / 127, 5});
  same_in_registers<vq::twin_uniform<4, vq::two_sided>>({0.5f, 4});
}
