// Uniform quantization: evenly spaced levels, a scale and a zero point.
//
//   code  = round(clamp(x / scale, lowest - Z, highest - Z)) + Z
//   value = scale * (code - Z)
//
//   uniform<8>                                      int8, symmetric, codes -127..127, Z = 0
//   uniform<8, asymmetric>                          int8, -128..127, Z anywhere
//   uniform<8, asymmetric, full, unsigned_codes>    uint8, 0..255
//   uniform<4>                                      -7..7, two codes a byte
//   uniform<8, symmetric, full, signed_codes, exact_division>   as ONNX's QuantizeLinear
//
// Symmetric suits weights and signed activations; asymmetric is worth one bit on one-sided
// activations (after ReLU). Narrow drops the most negative code, which makes the grid symmetric and
// keeps pairwise 16-bit sums of int8 products from saturating on older CPUs.
// Edge cases: 0 is exact; NaN becomes the lowest code; values beyond the range clamp. Clamping
// comes before rounding: the bounds are integers, so the result is the same, and no compiler can
// fuse the product with the rounding. Source: Jacob et al. 2018 (arXiv 1712.05877), Krishnamoorthi
// 2018 (arXiv 1806.08342).
#ifndef VQ_POLICY_UNIFORM_HPP
#define VQ_POLICY_UNIFORM_HPP

#include <cstdint>
#include <type_traits>

#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/convention.hpp>

namespace vq::inline v1 {

// Where zero lies: in the middle of the codes, or at a zero point of its own.
struct symmetric {};
struct asymmetric {};

// Which codes are used: all of them, all but the last one that has no opposite, or [Lowest,
// Highest].
struct full {};
struct narrow {};
template <int Lowest, int Highest>
struct codes_between {
  static_assert(Lowest < Highest, "codes_between: the lowest code must be below the highest");
};

struct signed_codes {};
struct unsigned_codes {};

// x * (1 / scale), halves to even: PyTorch, FBGEMM, XNNPACK.
struct reciprocal_product {
  template <class V>
  static constexpr V divide(V x, float scale) noexcept {
    return x * V(1 / scale);
  }
  template <class V>
  static constexpr V round(V x) noexcept {
    return op::round_even(x);
  }
};
// x / scale, halves to even: the ONNX specification.
struct exact_division : reciprocal_product {
  template <class V>
  static constexpr V divide(V x, float scale) noexcept {
    return op::divide(x, V(scale));
  }
};
// x / scale, halves away from zero: TFLite.
struct exact_division_half_away : exact_division {
  template <class V>
  static constexpr V round(V x) noexcept {
    return op::round_away(x);
  }
};

template <int Bits, class Symmetry, class Range, class Codes>
constexpr code_limits limits_of() noexcept {
  constexpr bool is_signed = std::is_same_v<Codes, signed_codes>;
  constexpr std::int32_t half = std::int32_t{1} << (Bits - 1);
  constexpr bool is_narrow = std::is_same_v<Range, narrow>;
  code_limits codes;
  codes.symmetric = std::is_same_v<Symmetry, symmetric>;
  codes.lowest = is_signed ? (is_narrow ? 1 - half : -half) : 0;
  codes.highest = is_signed ? half - 1 : (is_narrow ? 2 * half - 2 : 2 * half - 1);
  codes.zero = is_signed ? 0 : (is_narrow ? half - 1 : half);
  return codes;
}
template <int Bits, class Symmetry, class Range, class Codes, int Lowest, int Highest>
constexpr code_limits limits_of(codes_between<Lowest, Highest>) noexcept {
  constexpr code_limits all = limits_of<Bits, Symmetry, full, Codes>();
  static_assert(Lowest >= all.lowest && Highest <= all.highest,
                "uniform: codes_between reaches outside the codes that these bits have");
  return {Lowest, Highest, (Lowest + Highest) / 2, all.symmetric};
}

template <int Bits, class Symmetry = symmetric,
          class Range = std::conditional_t<std::is_same_v<Symmetry, symmetric>, narrow, full>,
          class Codes = signed_codes, class Arithmetic = reciprocal_product>
struct uniform {
  static_assert((Bits >= 2 && Bits <= 8) || Bits == 16, "uniform: bits must be 2 to 8, or 16");

  static constexpr int bits = Bits;
  static constexpr bool symmetric_range = std::is_same_v<Symmetry, symmetric>;
  static constexpr const char* name = symmetric_range ? "uniform" : "uniform_asymmetric";
  using code_type =
      std::conditional_t<std::is_same_v<Codes, signed_codes>,
                         std::conditional_t<(Bits <= 8), std::int8_t, std::int16_t>,
                         std::conditional_t<(Bits <= 8), std::uint8_t, std::uint16_t>>;
  using param_type = affine_param;
  using arithmetic_type = Arithmetic;

  static constexpr code_limits limits = [] {
    if constexpr (requires { limits_of<Bits, Symmetry, Range, Codes>(Range{}); }) {
      return limits_of<Bits, Symmetry, Range, Codes>(Range{});
    } else {
      return limits_of<Bits, Symmetry, Range, Codes>();
    }
  }();

  constexpr param_type fit(range r) const noexcept { return fit_affine(r, limits); }
  constexpr param_type fit(range r, const convention& c) const noexcept {
    return fit_affine(r, limits, c);
  }

  // fit({-absmax, absmax}) in float: the quotient in double that fit rounds is never half-way
  // between two floats without being exact, so dividing floats rounds to the same.
  template <float_lanes V>
    requires symmetric_range
  constexpr V fit_absmax(V absmax) const noexcept {
    constexpr convention c{};
    const V scale = op::divide(absmax, V(static_cast<float>(limits.highest - limits.zero)));
    const V normal = op::select(scale >= V(c.smallest_scale), scale, V(c.scale_below_smallest));
    return op::select(absmax == V(0.f), V(c.scale_of_zeros), normal);
  }
  static constexpr param_type param_of(float scale) noexcept { return {scale, limits.zero}; }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    const V steps = op::clamp(Arithmetic::divide(x, p.scale), V(least(p)), V(most(p)));
    return Arithmetic::round(steps) + V(static_cast<float>(p.zero_point));
  }

  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    return (code - V(static_cast<float>(p.zero_point))) * V(p.scale);
  }

  // False where encode clamps: the mask of the straight-through gradient.
  template <float_lanes V>
  constexpr auto in_range(V x, param_type p) const noexcept {
    const V code = Arithmetic::round(Arithmetic::divide(x, p.scale));
    return op::clamp(code, V(least(p)), V(most(p))) == code;
  }

 private:
  static constexpr float least(param_type p) noexcept {
    return static_cast<float>(limits.lowest - p.zero_point);
  }
  static constexpr float most(param_type p) noexcept {
    return static_cast<float>(limits.highest - p.zero_point);
  }
};

static_assert(quantizer_policy<uniform<8>> && quantizer_policy<uniform<8, asymmetric>>);
static_assert(fits_by_convention<uniform<4, asymmetric, full, unsigned_codes>>);
static_assert(affine_policy<uniform<8>>);

}  // namespace vq::inline v1

#endif
