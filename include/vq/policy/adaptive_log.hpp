// Logarithmic quantization with a base that is fitted (AdaLog): every code stands for the same
// ratio, and the ratio suits the tensor.
//
//   value = scale * 2^(-code * step / 37) - offset,  step = 1, 2, ...;  37 is log2_scale's ratio
//   code  = round(-log2((x + offset) / scale) * 37 / step), halves down; at most 2^bits - 2
//   the top code, 2^bits - 1, stands for -offset, the lowest value: smaller ones, NaN, and without an
//   offset zeros and whatever a mask has set to 0
//
// For attention probabilities: a small step where rows are diffuse (few octaves, little relative
// error), a large one where they are sharp. The relative error is at most 2^(step / 74) - 1, so more
// bits buy precision here, other than with log2_scale. Measured, dB, rows of softmax(t N(0, 1)), 197
// tokens, all fitted by mse:
//
//                   uniform   twin_uniform   log2_scale   log_sqrt2_scale   adaptive_log
//   4 bits, t = 1     13.7        15.8          14.0           18.6             18.9
//   4 bits, t = 8     26.5        24.9          17.1           22.8             23.8
//   6 bits, t = 1     19.6        26.7          14.0           20.1             29.8
//   6 bits, t = 8     37.0        36.7          17.1           22.8             33.1
//   8 bits, t = 1     28.6        38.7          14.0           20.1             39.4
//
// So: for diffuse rows, at any width, and not for sharp ones. After GELU, whose values crowd above its
// minimum of -0.17, the offset puts the fine codes there: on the bundled vision transformer 19 dB at
// 4 bits, where a clip-searched uniform grid has 14 to 16 and twin_uniform 14 to 17; at 6 bits 29 to
// 30 against 24 to 25 and 23 to 27. The offset is the lowest value of the range, if negative; in a
// product it is a constant that planar_linear takes off. Search the step:
// candidates() offers all that reach over 2 to 24 octaves, with four ends each. fit() alone takes the
// step that reaches over 14 octaves, at most 37.
//
// No logarithm is computed: floor(74 log2) of a mantissa comes from a table of thresholds (each of
// 129 pieces of [1, 2] holds one at most), the rest is integers in floats, so every instruction set
// gives the same code for every step. 1 gets code 0, and so does all that is above the scale.
// As integers: fixed_point_planes() in nn/code_planes.hpp.
// Source: Wu et al. 2024 (AdaLog, ECCV 2024, arXiv 2407.12951), whose base is 2^(q / r), r = 37. It
// also uses the top code for a value and rounds the table of values; this does not.
#ifndef VQ_POLICY_ADAPTIVE_LOG_HPP
#define VQ_POLICY_ADAPTIVE_LOG_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include <vq/core/math.hpp>
#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

struct adaptive_log_param {
  float scale = 1;         // value of code 0, without the offset; > 0
  std::int32_t step = 37;  // 37ths of an octave; 1 to largest_step
  float offset = 0;        // >= 0

  friend constexpr bool operator==(const adaptive_log_param&,
                                   const adaptive_log_param&) noexcept = default;
};

// Mantissas m in [1, 2): floor(74 log2 m) = before[i] + (m > threshold[i]), i = round(128 (m - 1)).
struct octave_in_74 {
  static constexpr std::size_t pieces = 129;
  float before[pieces] = {};
  float threshold[pieces] = {};  // the largest float below 2^(k / 74), or 2
  float root[37] = {};           // 2^(-k / 37)

  constexpr octave_in_74() noexcept {
    for (float& t : threshold) t = 2;
    for (int k = 1; k < 74; ++k) {
      const double exact = math::exp(math::ln2 * k / 74);
      const auto nearest = std::bit_cast<std::uint32_t>(static_cast<float>(exact));
      const bool below = static_cast<double>(std::bit_cast<float>(nearest)) < exact;
      const float bound = std::bit_cast<float>(below ? nearest : nearest - 1);
      const auto piece = static_cast<std::size_t>(op::round_even((bound - 1) * 128));
      threshold[piece] = bound;
      for (std::size_t i = piece + 1; i < pieces; ++i) before[i] = static_cast<float>(k);
    }
    for (int k = 0; k < 37; ++k) root[k] = static_cast<float>(math::exp(-math::ln2 * k / 37));
  }
};

template <int Bits>
struct adaptive_log {
  static_assert(Bits >= 3 && Bits <= 8, "adaptive_log: codes have from 3 to 8 bits");

  static constexpr int bits = Bits;
  static constexpr const char* name = "adaptive_log";
  using code_type = std::uint8_t;
  using param_type = adaptive_log_param;

  static constexpr std::int32_t zero_code = (1 << Bits) - 1;
  // All values are normal floats when the scale is near 1.
  static constexpr std::int32_t largest_step =
      125 * 37 / (zero_code - 1) < 74 ? 125 * 37 / (zero_code - 1) : 74;

  constexpr param_type fit(range r) const noexcept {
    const float highest = r.empty() ? 0 : (op::max)(r.highest, 0.f);
    const float offset = r.empty() ? 0 : (op::max)(0 - r.lowest, 0.f);
    return {fit_scale({0, highest + offset}, 1).scale, step_for(14) < 37 ? step_for(14) : 37,
            offset};
  }

  // What an estimator may try for values in r.
  static constexpr std::int32_t step_for(int octaves) noexcept {
    const std::int32_t step = (octaves * 37 + zero_code - 2) / (zero_code - 1);
    return step < largest_step ? step : largest_step;
  }
  static constexpr std::size_t steps = static_cast<std::size_t>(step_for(24) - step_for(2) + 1);
  static constexpr std::size_t ends = 4;
  constexpr std::array<param_type, steps * ends> candidates(range r) const noexcept {
    std::array<param_type, steps * ends> all{};
    const param_type whole = fit(r);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i] = {whole.scale * (1 - 0.15f * static_cast<float>(i % ends)),
                step_for(2) + static_cast<std::int32_t>(i / ends), whole.offset};
    }
    return all;
  }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    const V zero(static_cast<float>(zero_code));
    const V t = (x + V(p.offset)) * V(1 / p.scale);
    const V m = op::mantissa(t);
    const V piece = op::round_even((m - V(1.f)) * V(128.f));
    const V passed = op::select(m > op::lookup(table.threshold, piece), V(1.f), V(0.f));
    const V up = op::exponent(t) * V(74.f) + op::lookup(table.before, piece) + passed;
    // The first code with (2 code + 1) step >= -up: both are integers, so the quotient is no tie.
    const V code = op::round_even((V(-0.5f) - up) * V(0.5f / static_cast<float>(p.step)));
    return op::select(t >= V(0x1p-126f), op::clamp(code, V(0.f), zero), zero);
  }

  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    const V part = code * V(static_cast<float>(p.step));
    const V octaves = op::round_even((part - V(18.f)) * V(1.f / 37));  // floor(part / 37)
    const V root = op::lookup(table.root, part - octaves * V(37.f));
    const V value = root * op::exp2i(V(0.f) - octaves) * V(p.scale);
    return op::select(code < V(static_cast<float>(zero_code)), value, V(0.f)) - V(p.offset);
  }

 private:
  static constexpr octave_in_74 table{};
};

static_assert(quantizer_policy<adaptive_log<4>> && quantizer_policy<adaptive_log<8>>);

}  // namespace vq::inline v1

#endif
