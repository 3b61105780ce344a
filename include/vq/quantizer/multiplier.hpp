// How an int32 accumulator is brought to the scale of the output: the factor
// M = x_scale * w_scale / y_scale, as a float or as an integer and a shift.
//
//   float_multiplier   round(float(acc) * M), halves to even: PyTorch (qnnpack), ONNX Runtime,
//                      XNNPACK. The product is clamped as a float, before it is rounded.
//   fixed_multiplier   multiplier * 2^(shift - 31), for targets without a float unit, in the two
//                      roundings of TFLite:
//     double_rounding  the 64-bit product to 31 bits, then the shift, each rounded: half up, then
//                      half away from zero (gemmlowp, the default of TFLite and CMSIS-NN)
//     single_rounding  product and shift in one step, half up (TFLITE_SINGLE_ROUNDING, ruy)
//
// The two fixed roundings differ by one for about one accumulator in twelve: 647131 * 0.48027895 is
// 310803.397, of which the first makes 310804 and the second 310803. Use the one your target uses.
// Source: Jacob et al. 2018 (arXiv 1712.05877), section 2.2; uniform.hpp says how codes are made.
#ifndef VQ_QUANTIZER_MULTIPLIER_HPP
#define VQ_QUANTIZER_MULTIPLIER_HPP

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/op.hpp>
#include <vq/core/status.hpp>
#include <vq/policy/convention.hpp>

namespace vq::inline v1 {

struct float_multiplier {
  float factor = 1;

  // In float throughout, in this order.
  static constexpr float_multiplier of(float x_scale, float w_scale, float y_scale) noexcept {
    return {x_scale * w_scale / y_scale};
  }
  constexpr double real() const noexcept { return static_cast<double>(factor); }

  // acc * factor to the nearest integer in [lowest, highest], which must lie within +-2^22.
  constexpr std::int32_t rescale(std::int32_t acc, std::int32_t lowest,
                                 std::int32_t highest) const noexcept {
    const float steps = op::clamp(static_cast<float>(acc) * factor, static_cast<float>(lowest),
                                  static_cast<float>(highest));
    return static_cast<std::int32_t>(op::round_even(steps));
  }
};

namespace fixed_point {

constexpr std::int32_t saturate(std::int64_t x) noexcept {
  constexpr std::int64_t lowest = (std::numeric_limits<std::int32_t>::min)();
  constexpr std::int64_t highest = (std::numeric_limits<std::int32_t>::max)();
  return static_cast<std::int32_t>(x < lowest ? lowest : (x > highest ? highest : x));
}

// a * b / 2^31, halves up. Only INT32_MIN * INT32_MIN does not fit; it saturates.
constexpr std::int32_t saturating_rounding_doubling_high_mul(std::int32_t a,
                                                             std::int32_t b) noexcept {
  const std::int64_t product = std::int64_t{a} * b;
  const std::int64_t nudge = product >= 0 ? std::int64_t{1} << 30 : 1 - (std::int64_t{1} << 30);
  return saturate((product + nudge) / (std::int64_t{1} << 31));  // truncates towards zero
}

// x / 2^exponent, halves away from zero; exponent in [0, 31].
constexpr std::int32_t rounding_divide_by_pot(std::int32_t x, int exponent) noexcept {
  const auto mask = static_cast<std::int32_t>((std::int64_t{1} << exponent) - 1);
  const std::int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + ((x & mask) > threshold ? 1 : 0);
}

// (a + b) / 2, halves away from zero.
constexpr std::int32_t rounding_half_sum(std::int32_t a, std::int32_t b) noexcept {
  const std::int64_t sum = std::int64_t{a} + b;
  return static_cast<std::int32_t>((sum + (sum >= 0 ? 1 : -1)) / 2);
}

}  // namespace fixed_point

struct double_rounding {};
struct single_rounding {};

// The factor multiplier * 2^(shift - 31): multiplier in [2^30, 2^31) (or 0), shift in [-31, 30].
template <class Rounding = double_rounding>
struct fixed_multiplier {
  std::int32_t multiplier = std::int32_t{1} << 30;
  int shift = 1;

  static constexpr fixed_multiplier of(float x_scale, float w_scale, float y_scale) noexcept;
  constexpr double real() const noexcept {
    double x = static_cast<double>(multiplier) * 0x1p-31;
    for (int i = 0; i < shift; ++i) x *= 2;
    for (int i = shift; i < 0; ++i) x /= 2;
    return x;
  }
  constexpr std::int32_t rescale(std::int32_t acc, std::int32_t lowest,
                                 std::int32_t highest) const noexcept;
};

// The fixed multiplier nearest to `real`, which is finite and not negative. Below 2^-32 it is zero;
// factors of 2^30 and more become the largest multiplier.
template <class Rounding = double_rounding>
constexpr fixed_multiplier<Rounding> quantize_multiplier(double real) noexcept {
  const auto pattern = std::bit_cast<std::uint64_t>(real);
  // real = fraction * 2^(shift - 53) with fraction in [2^52, 2^53)
  int shift = static_cast<int>(pattern >> 52 & 0x7ffu) - 1022;
  const std::uint64_t fraction = (pattern & 0xfffffffffffffu) | std::uint64_t{1} << 52;
  std::uint64_t multiplier = (fraction + (std::uint64_t{1} << 21)) >> 22;
  if (multiplier == std::uint64_t{1} << 31) {
    multiplier >>= 1;
    ++shift;
  }
  if (!(real > 0) || shift < -31) return {0, 0};
  if (shift > 30) return {(std::numeric_limits<std::int32_t>::max)(), 30};
  return {static_cast<std::int32_t>(multiplier), shift};
}

// acc * m in the rounding of m. What does not fit saturates: with double rounding before the
// product, so that the result is 2^30 or more (upstream leaves it undefined).
constexpr std::int32_t rescale(std::int32_t acc, fixed_multiplier<double_rounding> m) noexcept {
  const int left = m.shift > 0 ? m.shift : 0;
  const int right = m.shift > 0 ? 0 : -m.shift;
  const std::int32_t scaled = fixed_point::saturate(acc * (std::int64_t{1} << left));
  return fixed_point::rounding_divide_by_pot(
      fixed_point::saturating_rounding_doubling_high_mul(scaled, m.multiplier), right);
}
constexpr std::int32_t rescale(std::int32_t acc, fixed_multiplier<single_rounding> m) noexcept {
  const int right = 31 - m.shift;
  const std::int64_t half = std::int64_t{1} << (right - 1);
  return fixed_point::saturate((std::int64_t{acc} * m.multiplier + half) >> right);
}

// For 48-bit accumulators (int16 activations): the multiplier is reduced to 16 bits, so that the
// product fits 64; shift in [-31, 7]. One rounding, half up, in TFLite's both builds.
template <class Rounding>
constexpr std::int32_t rescale(std::int64_t acc, fixed_multiplier<Rounding> m) noexcept {
  const std::int32_t reduced =
      m.multiplier < 0x7fff0000 ? (m.multiplier + (1 << 15)) >> 16 : 0x7fff;
  const int right = 15 - m.shift;
  return fixed_point::saturate((acc * reduced + (std::int64_t{1} << (right - 1))) >> right);
}

template <class Rounding>
constexpr fixed_multiplier<Rounding> fixed_multiplier<Rounding>::of(float x_scale, float w_scale,
                                                                    float y_scale) noexcept {
  return quantize_multiplier<Rounding>(static_cast<double>(x_scale) * static_cast<double>(w_scale) /
                                       static_cast<double>(y_scale));
}
template <class Rounding>
constexpr std::int32_t fixed_multiplier<Rounding>::rescale(std::int32_t acc, std::int32_t lowest,
                                                           std::int32_t highest) const noexcept {
  const std::int32_t steps = v1::rescale(acc, *this);
  return steps < lowest ? lowest : (steps > highest ? highest : steps);
}

template <class M>
concept a_multiplier = requires(const M m, std::int32_t acc, float scale) {
  { m.rescale(acc, acc, acc) } noexcept -> std::same_as<std::int32_t>;
  { M::of(scale, scale, scale) } noexcept -> std::same_as<M>;
};
static_assert(a_multiplier<float_multiplier> && a_multiplier<fixed_multiplier<>>);
static_assert(a_multiplier<fixed_multiplier<single_rounding>>);

// out[i] = x.scale * w[i].scale / y.scale. not_finite where that is no positive finite number,
// too_few_params where `out` is shorter than `w`.
template <a_multiplier Multiplier>
constexpr status find_multipliers(affine_param x, std::span<const affine_param> w, affine_param y,
                                  std::span<Multiplier> out) noexcept {
  if (out.size() < w.size()) return status::too_few_params;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double real = static_cast<double>(x.scale) * static_cast<double>(w[i].scale) /
                        static_cast<double>(y.scale);
    if (!(real > 0 && real <= static_cast<double>((std::numeric_limits<float>::max)()))) {
      return status::not_finite;
    }
    out[i] = Multiplier::of(x.scale, w[i].scale, y.scale);
  }
  return status::ok;
}

// The bias in units of the accumulator: out[i] = round(bias[i] / (x.scale * w[i].scale)), halves to
// even. `w` holds one parameter for all outputs or one for each.
// status::overflow where that exceeds int32: raise the scale of that output's weights to
// smallest_weight_scale() and quantize them again (ONNX Runtime and TFLite do so too).
constexpr status quantize_bias(std::span<const float> bias, affine_param x,
                               std::span<const affine_param> w,
                               std::span<std::int32_t> out) noexcept {
  if (out.size() < bias.size()) return status::too_few_params;
  if (w.size() != 1 && w.size() < bias.size()) return status::too_few_params;
  for (std::size_t i = 0; i < bias.size(); ++i) {
    const double scale =
        static_cast<double>(x.scale) * static_cast<double>(w[w.size() == 1 ? 0 : i].scale);
    const double steps = static_cast<double>(bias[i]) / scale;
    if (!(bias[i] - bias[i] == 0) || !(scale > 0)) return status::not_finite;
    if (!(steps > -2147483648.5 && steps < 2147483647.5)) return status::overflow;
    out[i] = static_cast<std::int32_t>(affine::round_even(steps));
  }
  return status::ok;
}

// The least weight scale with which `bias` fits an int32 (with a factor of two to spare for the
// products that are added to it).
constexpr float smallest_weight_scale(float bias, affine_param x) noexcept {
  return op::abs(bias) / x.scale * 0x1p-30f;
}

}  // namespace vq::inline v1

#endif
