// The dynamic 8-bit map of bitsandbytes: a tree of decades, each with twice the levels of the one
// below it.
//
//   decade i of 7: 2^i levels, the midpoints of as many equal parts of [0.1, 1], times 10^(i - 6),
//   with both signs; 0; +1
//
// Relative precision for large values, and seven decades of range. It holds the scales of
// double_quantized and the states of 8-bit optimizers. The highest level is 1, the lowest
// -0.99296875: a block whose largest magnitude is negative loses up to 0.7 % of it.
// Rules and edge cases: policy/codebook.hpp. Source: Dettmers 2015 (arXiv 1511.04561); the levels are
// those of create_dynamic_map(signed=True), to the bit.
#ifndef VQ_POLICY_DYNAMIC_HPP
#define VQ_POLICY_DYNAMIC_HPP

#include <cstddef>

#include <vq/policy/codebook.hpp>

namespace vq::inline v1 {

namespace detail {

struct dynamic_levels {
  float value[256] = {};

  // Rising: the negative decades from the largest down, 0, the positive ones, 1.
  constexpr dynamic_levels() noexcept {
    constexpr float powers[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.f};
    std::size_t above = 128;
    for (std::size_t decade = 0; decade < 7; ++decade) {
      const std::size_t parts = std::size_t{1} << decade;
      for (std::size_t part = 0; part < parts; ++part) {
        const float middle = (edge(part, parts) + edge(part + 1, parts)) / 2;
        value[above] = powers[decade] * middle;
        value[254 - above] = -value[above];
        ++above;
      }
    }
    value[255] = 1;
  }

 private:
  // torch.linspace(0.1, 1, parts + 1): from the nearer end, with one rounding.
  static constexpr float edge(std::size_t i, std::size_t parts) noexcept {
    const float step = (1.f - 0.1f) / static_cast<float>(parts);
    const auto steps = [&](std::size_t n) {
      return static_cast<double>(step) * static_cast<double>(n);
    };
    return static_cast<float>(i < (parts + 1) / 2 ? static_cast<double>(0.1f) + steps(i)
                                                  : 1. - steps(parts - i));
  }
};
inline constexpr dynamic_levels dynamic_levels_of_map{};

}  // namespace detail

struct dynamic_table {
  static constexpr const char* name = "dynamic8";
  static constexpr const float (&levels)[256] = detail::dynamic_levels_of_map.value;
};

using dynamic8 = codebook<dynamic_table>;

static_assert(quantizer_policy<dynamic8> && has_short_run_rule<dynamic8>);
static_assert(dynamic8::bits == 8 && dynamic8::rising.rise && dynamic8::rising.largest == 1);
static_assert(dynamic_table::levels[127] == 0 && dynamic_table::levels[255] == 1);

}  // namespace vq::inline v1

#endif
