// Logarithmic quantization: every code stands for the same ratio.
//
//   log2_scale<Bits>       value = scale * 2^-code          (FQ-ViT's log2)
//   log_sqrt2_scale<Bits>  value = scale * 2^(-code / 2)    (RepQ-ViT's log-sqrt2)
//   code = round(-steps * log2(x / scale)), steps = 1 or 2 per octave; at most 2^bits - 2
//   the top code, 2^bits - 1, stands for 0: smaller values, zeros, negative values and NaN
//
// For values in [0, scale] that spread over many octaves: attention probabilities after softmax.
// A product with such a code is a shift (log-sqrt2: and one factor for odd codes). The price is a
// constant relative error: about 14 dB (log2) and 20 dB (log-sqrt2) at any width, so more bits buy
// reach, not precision: 4 bits reach down to 2^-14 and 2^-7. At 6 and 8 bits a uniform or twin
// grid is better; at 4 bits these win where rows are sharp, and log2 loses on diffuse ones.
//
// The rounding compares the mantissa with 2^(1/2), or with 2^(1/4) and 2^(3/4), as floats: no
// logarithm is computed, so every instruction set gives the same code. x is multiplied by the
// reciprocal of the scale. Where the originals keep the top code for a value too (a mask of its own
// says what is zero), this gives 0: a code of b bits has no room for both.
// Sources: Lin et al. 2022 (FQ-ViT, arXiv 2111.13824, eq. 15 ff.), Li et al. 2023 (RepQ-ViT, arXiv
// 2212.08254, section 3.4).
#ifndef VQ_POLICY_LOG_SCALE_HPP
#define VQ_POLICY_LOG_SCALE_HPP

#include <cstdint>

#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

// Fractions of an octave, as mantissas: the largest floats below 2^(1/2), and below 2^(1/4) and
// 2^(3/4), above which the next code begins; and 2^(i / steps).
template <int StepsPerOctave>
struct octave;
template <>
struct octave<1> {
  static constexpr float borders[1] = {0x1.6a09e6p+0f};
  static constexpr float roots[1] = {1.f};
};
template <>
struct octave<2> {
  static constexpr float borders[2] = {0x1.306fep+0f, 0x1.ae89f8p+0f};
  static constexpr float roots[2] = {1.f, 1.41421356f};
};

template <int Bits, int StepsPerOctave>
struct log_scale {
  static_assert(Bits >= 2 && Bits <= 8, "log_scale: codes have from 2 to 8 bits");

  static constexpr int bits = Bits;
  static constexpr int steps_per_octave = StepsPerOctave;
  static constexpr const char* name = StepsPerOctave == 1 ? "log2_scale" : "log_sqrt2_scale";
  using code_type = std::uint8_t;
  using param_type = scale_param;

  // 2^-126 is the smallest normal float: 8 bits have more codes than there are octaves.
  static constexpr std::int32_t zero_code =
      (1 << Bits) - 1 < 126 * StepsPerOctave + 1 ? (1 << Bits) - 1 : 126 * StepsPerOctave + 1;

  // The largest value gets code 0.
  constexpr param_type fit(range r) const noexcept {
    return fit_scale({0, r.empty() ? 0 : (op::max)(r.highest, 0.f)}, 1);
  }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    const V zero(static_cast<float>(zero_code));
    const V t = x * V(1 / p.scale);
    const V up = op::exponent(t) * V(steps) + op::count_below(parts::borders, op::mantissa(t));
    return op::select(t >= V(0x1p-126f), op::clamp(V(0.f) - up, V(0.f), zero), zero);
  }

  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    // code = steps * octaves - part with 0 <= part < steps; the rounding stays clear of ties.
    const V octaves = op::round_even((code + V((steps - 1) / 2)) * V(1 / steps));
    const V root = op::lookup(parts::roots, octaves * V(steps) - code);
    const V value = root * op::exp2i(V(0.f) - octaves) * V(p.scale);
    return op::select(code < V(static_cast<float>(zero_code)), value, V(0.f));
  }

 private:
  using parts = octave<StepsPerOctave>;
  static constexpr float steps = StepsPerOctave;
};

template <int Bits>
using log2_scale = log_scale<Bits, 1>;
template <int Bits>
using log_sqrt2_scale = log_scale<Bits, 2>;

static_assert(quantizer_policy<log2_scale<4>> && quantizer_policy<log_sqrt2_scale<4>>);

}  // namespace vq::inline v1

#endif
