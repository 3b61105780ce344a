// Twin uniform quantization: two grids, a fine one for the crowd and a coarse one for the peak.
//
//   twin_uniform<Bits>               values in [0, max]: attention probabilities after softmax
//   twin_uniform<Bits, two_sided>    negatives on the fine grid, positives on the coarse one: GELU
//
//   code  = the top bit for the coarse grid, below it Bits - 1 bits of magnitude, at most M
//   M     = 2^(Bits - 1) - 1
//   value = coarse * magnitude, or fine * magnitude (negative if two-sided);  fine = coarse / 2^shift
//
// One-sided: x goes to the coarse grid from split = M * fine on, where the fine grid ends; the
// shift is at most Bits - 1, beyond which the coarse code of the split would be 0 and the grid not
// monotone. Two-sided: zero and above go to the coarse grid. That the steps differ by a power of
// two makes a product with both grids one integer accumulation: sum of (magnitude << shift, or
// magnitude) * fine.
//
// fit() takes the coarse grid to the largest value seen, where the paper fixes it at 1: up to 10 dB
// better on diffuse attention. Two-sided, the shift is the largest that still covers the smallest
// value seen; one-sided it is Bits / 2, and better searched: candidates() offers all shifts, with
// the coarse grid shrunk in steps of 5 % to less than a third.
// When to choose it: after softmax at 6 and 8 bits nearly always; after GELU only where negatives
// dominate, since a clip-searched affine grid is often 2 to 3 dB better. Measure per tensor.
// Negative values (one-sided) and NaN become 0; values beyond the ends clamp.
// Source: Yuan et al. 2022 (PTQ4ViT, arXiv 2111.12293, section 3.1), with the selection that the
// paper describes; the code released with it adds both grids, which shifts every value by the split.
#ifndef VQ_POLICY_TWIN_UNIFORM_HPP
#define VQ_POLICY_TWIN_UNIFORM_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

struct twin_param {
  float coarse = 1;        // step; > 0
  std::int32_t shift = 0;  // fine = coarse / 2^shift, 0 <= shift < 127

  constexpr float fine() const noexcept { return coarse * op::exp2i(static_cast<float>(-shift)); }
  friend constexpr bool operator==(const twin_param&, const twin_param&) noexcept = default;
};

struct one_sided {};
struct two_sided {};

template <int Bits, class Sides = one_sided>
struct twin_uniform {
  static_assert(Bits >= 3 && Bits <= 8, "twin_uniform: codes have from 3 to 8 bits");

  static constexpr int bits = Bits;
  static constexpr bool is_two_sided = std::is_same_v<Sides, two_sided>;
  static constexpr const char* name = is_two_sided ? "twin_uniform_two_sided" : "twin_uniform";
  using code_type = std::uint8_t;
  using param_type = twin_param;

  static constexpr std::int32_t coarse_flag = 1 << (Bits - 1);
  static constexpr std::int32_t largest_magnitude = coarse_flag - 1;
  static constexpr std::int32_t largest_shift = is_two_sided ? 20 : Bits - 1;

  constexpr param_type fit(range r) const noexcept {
    const float highest = r.empty() ? 0 : (op::max)(r.highest, 0.f);
    const float lowest = r.empty() ? 0 : (op::min)(r.lowest, 0.f);
    if constexpr (is_two_sided) {
      param_type p{fit_scale({0, (op::max)(highest, -lowest)}, magnitudes).scale, 0};
      if (highest > 0 && highest > -lowest) {
        while (p.shift < largest_shift && p.fine() * 0.5f * magnitudes >= -lowest) ++p.shift;
      }
      return p;
    } else {
      return {fit_scale({0, highest}, magnitudes).scale, Bits / 2};
    }
  }

  // What an estimator may try for values in r.
  static constexpr std::size_t shrinks = 15;
  static constexpr std::size_t shifts = is_two_sided ? 3 : Bits;
  constexpr std::array<param_type, shrinks * shifts> candidates(range r) const noexcept {
    std::array<param_type, shrinks * shifts> all{};
    const param_type whole = fit(r);
    float factor = 1;
    for (std::size_t k = 0; k < shrinks; ++k, factor -= 0.05f) {
      for (std::int32_t m = 0; m < static_cast<std::int32_t>(shifts); ++m) {
        // Two-sided: the fine grid that covers the negatives, a finer and a coarser one.
        const std::int32_t shift = is_two_sided ? whole.shift - 1 + m : m;
        all[k * shifts + static_cast<std::size_t>(m)] = {whole.coarse * factor,
                                                         shift < 0               ? 0
                                                         : shift > largest_shift ? largest_shift
                                                                                 : shift};
      }
    }
    return all;
  }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    const V steps = op::divide(x, V(p.coarse));
    const V fine_steps = steps * V(op::exp2i(static_cast<float>(p.shift)));  // exact
    const V coarse_code = magnitude(steps) + V(static_cast<float>(coarse_flag));
    if constexpr (is_two_sided) {
      return op::select(x < V(0.f), magnitude(V(0.f) - fine_steps), coarse_code);
    } else {
      return op::select(x >= V(magnitudes * p.fine()), coarse_code, magnitude(fine_steps));
    }
  }

  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    const V flag(static_cast<float>(coarse_flag));
    const V fine = code * V(is_two_sided ? -p.fine() : p.fine());
    return op::select(code >= flag, (code - flag) * V(p.coarse), fine);
  }

 private:
  static constexpr float magnitudes = static_cast<float>(largest_magnitude);

  template <class V>
  static constexpr V magnitude(V steps) noexcept {
    return op::round_even(op::clamp(steps, V(0.f), V(magnitudes)));
  }
};

static_assert(quantizer_policy<twin_uniform<8>> && quantizer_policy<twin_uniform<4, two_sided>>);

}  // namespace vq::inline v1

#endif
