// How a framework turns a range into a scale and a zero point.
//
//   real = scale * (code - zero_point)
//   asymmetric: scale = (highest - lowest) / (codes.highest - codes.lowest)
//               zero_point = round(codes.lowest - lowest / scale), clamped to the codes
//   symmetric:  scale = absmax / divisor, zero_point = codes.zero
//
// Frameworks agree on this much and differ in the divisor, in what happens to a range of zeros, in
// the precision of the arithmetic and in the rounding of the zero point. Codes of one convention
// are not comparable with those of another: export the convention with the codes.
// Sources: PyTorch torch/ao/quantization/observer.py, ONNX Runtime
// onnxruntime/python/tools/quantization/quant_utils.py, TFLite 8-bit quantization specification and
// Jacob et al. 2018 (arXiv 1712.05877).
#ifndef VQ_POLICY_CONVENTION_HPP
#define VQ_POLICY_CONVENTION_HPP

#include <cstdint>
#include <limits>

#include <vq/core/math.hpp>
#include <vq/core/range.hpp>

namespace vq::inline v1 {

// scale > 0; the default means "codes are values".
struct affine_param {
  float scale = 1;
  std::int32_t zero_point = 0;
  friend constexpr bool operator==(const affine_param&, const affine_param&) noexcept = default;
};

// The codes a grid has, and the code of zero where the grid is symmetric.
struct code_limits {
  std::int32_t lowest = -127;
  std::int32_t highest = 127;
  std::int32_t zero = 0;
  bool symmetric = true;
};

struct convention {
  enum class divisor : std::uint8_t {
    highest_code,  // absmax gets the highest code: 127 for narrow and full int8
    half_span,     // half the number of steps: 127.5 for full int8, 127 for narrow
  };
  enum class zero_point_rule : std::uint8_t {
    even,        // halves to even
    nearer_end,  // from the end of the range with the smaller error, halves away from zero
  };

  divisor symmetric_divisor = divisor::highest_code;
  zero_point_rule zero_point = zero_point_rule::even;
  bool single_precision = false;  // float arithmetic throughout, instead of double
  bool single_span = false;       // highest - lowest is rounded to float first; it may overflow
  bool include_zero = true;       // widen the range to contain 0
  float smallest_scale = (std::numeric_limits<float>::min)();        // a smaller scale becomes...
  float scale_below_smallest = (std::numeric_limits<float>::min)();  // ...this
  float scale_of_zeros = 1;                                          // when the range is [0, 0]
};

namespace conventions {

inline constexpr convention vq{};

// Scale absmax/127.5 for full int8; never below 2^-23, not even for zeros.
inline constexpr convention torch{.symmetric_divisor = convention::divisor::half_span,
                                  .single_precision = true,
                                  .smallest_scale = 0x1p-23f,
                                  .scale_below_smallest = 0x1p-23f,
                                  .scale_of_zeros = 0};

// A scale below the smallest normal float becomes 1, with zero point 0. A range wider than the
// largest float gets an infinite scale. Encodes by division.
inline constexpr convention onnx{.symmetric_divisor = convention::divisor::half_span,
                                 .single_span = true,
                                 .scale_below_smallest = 1,
                                 .scale_of_zeros = 0};

// Narrow symmetric weights, asymmetric activations with a nudged zero point. Encodes by division,
// halves away from zero.
inline constexpr convention tflite{.zero_point = convention::zero_point_rule::nearer_end};

}  // namespace conventions

namespace affine {

constexpr std::int32_t clamped(double x, const code_limits& codes) noexcept {
  if (!(x > codes.lowest)) return codes.lowest;
  return x < codes.highest ? static_cast<std::int32_t>(x) : codes.highest;
}

// |x| < 2^51; halves to even.
constexpr double round_even(double x) noexcept {
  constexpr double magic = 0x1.8p52;
  return (x + magic) - magic;
}

// The code of zero when `below` steps lie under it and `above` over it (both in steps, unrounded).
constexpr std::int32_t zero_point(double below, double above, const code_limits& codes,
                                  const convention& c) noexcept {
  if (c.zero_point == convention::zero_point_rule::even) {
    // Rounding before or after the integer is added differs on ties; PyTorch does it before.
    return clamped(
        c.single_precision ? codes.lowest + round_even(below) : round_even(codes.lowest + below),
        codes);
  }
  const double error_lowest = math::abs(codes.lowest) + below;
  const double error_highest = math::abs(codes.highest) + above;
  const double exact = error_lowest < error_highest ? codes.lowest + below : codes.highest - above;
  const auto rounded = static_cast<std::int64_t>(exact < 0 ? exact - 0.5 : exact + 0.5);
  return clamped(static_cast<double>(rounded), codes);
}

// Real is the precision the framework computes in.
template <class Real>
constexpr affine_param fit(range r, const code_limits& codes, const convention& c) noexcept {
  Real lowest = r.lowest, highest = r.highest;
  if (c.include_zero) {
    lowest = lowest < 0 ? lowest : Real(0);
    highest = highest > 0 ? highest : Real(0);
  }
  if (codes.symmetric) {
    highest = -lowest > highest ? -lowest : highest;
    lowest = -highest;
  }

  const auto steps = static_cast<Real>(codes.highest - codes.lowest);
  Real span = highest - lowest;
  if (c.single_span) span = static_cast<float>(highest) - static_cast<float>(lowest);
  Real scale = span / steps;
  if (codes.symmetric) {
    scale = c.symmetric_divisor == convention::divisor::half_span
                ? (c.single_span ? span / 2 : highest) / (steps / 2)
                : highest / static_cast<Real>(codes.highest - codes.zero);
  }
  if (lowest == 0 && highest == 0 && c.scale_of_zeros > 0) {
    scale = c.scale_of_zeros;
  } else if (!(scale >= static_cast<Real>(c.smallest_scale))) {
    if (c.scale_below_smallest == 1) return {1, clamped(0, codes)};
    scale = c.scale_below_smallest;
  }
  if (codes.symmetric) return {static_cast<float>(scale), codes.zero};
  return {static_cast<float>(scale), zero_point(static_cast<double>(-lowest / scale),
                                                static_cast<double>(highest / scale), codes, c)};
}

}  // namespace affine

// The affine parameters that represent a range with the given codes. NaN in the range counts as 0.
constexpr affine_param fit_affine(range r, const code_limits& codes,
                                  const convention& c = conventions::vq) noexcept {
  return c.single_precision ? affine::fit<float>(r, codes, c) : affine::fit<double>(r, codes, c);
}

}  // namespace vq::inline v1

#endif
