// The 8-bit codes of LLM.int8(): the parameter of a row is its absmax, not a step.
//
//   code  = round_even(x * (127 / absmax)), clamped to [-127, 127]
//   value = code * absmax / 127
//
//   vq::quantizer<vq::vectorwise_int8, vq::per_channel<0>> weights;     // SCB of bitsandbytes
//   vq::quantizer<vq::vectorwise_int8, vq::per_token<0>> activations;
//
// It is uniform<8> with the same grid, but 127 / absmax is rounded once where 1 / (absmax / 127) is
// rounded twice: codes next to a tie differ. Follows bitsandbytes' portable backend to the bit
// (backends/default/ops.py), which multiplies by 7.874015718698502e-3 to divide by 127. Codes of a
// row of zeros, which bitsandbytes leaves undefined, are 0. NaN gets the lowest code.
// Source: Dettmers et al. 2022 (arXiv 2208.07339), section 3.1.
#ifndef VQ_POLICY_VECTORWISE_INT8_HPP
#define VQ_POLICY_VECTORWISE_INT8_HPP

#include <cstdint>
#include <limits>

#include <vq/core/op.hpp>
#include <vq/policy/concepts.hpp>
#include <vq/policy/scale.hpp>

namespace vq::inline v1 {

struct vectorwise_int8 {
  static constexpr int bits = 8;
  static constexpr bool symmetric_range = true;
  static constexpr const char* name = "vectorwise_int8";
  using code_type = std::int8_t;
  using param_type = scale_param;  // the absmax of the row

  static constexpr float largest = 127;
  static constexpr float one_step = 7.874015718698502e-3f;  // 1 / 127
  static constexpr float one_product = 6.200124e-05f;       // 1 / 127^2, of two codes

  constexpr param_type fit(range r) const noexcept { return {r.empty() ? 0.f : r.absmax()}; }
  template <float_lanes V>
  constexpr V fit_absmax(V absmax) const noexcept {
    return absmax;
  }
  static constexpr param_type param_of(float absmax) noexcept { return {absmax}; }

  template <float_lanes V>
  constexpr V encode(V x, param_type p) const noexcept {
    return op::round_even(op::clamp(x * V(factor(p)), V(-largest), V(largest)));
  }
  template <float_lanes V>
  constexpr V decode(V code, param_type p) const noexcept {
    return code * V(p.scale) * V(one_step);
  }

 private:
  // Finite, also for an absmax of 0 or so small that its reciprocal is not.
  static constexpr float factor(param_type p) noexcept {
    constexpr float most = (std::numeric_limits<float>::max)();
    if (!(p.scale > 0)) return 0;
    const float f = largest / p.scale;
    return f < most ? f : most;
  }
};

static_assert(quantizer_policy<vectorwise_int8>);

}  // namespace vq::inline v1

#endif
