// Output stages that look at where a result goes: `place` is its address, `output` that of the first
// element of the tensor that is written.
//
//   to_float_by_row    x = float(acc - Z[row] * sum[channel]) * scale[channel] * scale[row] + bias
//   to_codes_adding    code = clamp(Z + round(acc * M + (r - Zr) * R), lowest, highest)
//
// to_float_by_row is for rows that were quantized each with a scale and a zero point of its own
// (dynamic quantization). The difference is exact; sum[channel] is that of the weights, without
// their zero points. to_codes_adding adds a residual r, a tensor of codes that lies in memory as the
// output does, or is the output's memory: adding(stage, r, r's parameters, y's, y) makes one.
//
//   conv2d(..., adding(stage, shortcut.data_handle(), shortcut_param, y_param, y.data_handle()), y, ...)
//
// Against a convolution that is followed by add() it saves the codes between them: two passes over
// memory and one rounding. Products, convolutions and requantize() call such a stage with the same
// addresses, however they cut the work.
#ifndef VQ_QUANTIZER_PLACED_STAGE_HPP
#define VQ_QUANTIZER_PLACED_STAGE_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

#include <vq/core/config.hpp>
#include <vq/core/op.hpp>
#include <vq/core/status.hpp>
#include <vq/policy/convention.hpp>
#include <vq/quantizer/output_stage.hpp>

namespace vq::inline v1 {

struct to_float_by_row {
  using output_type = float;

  channel_values<float> scales;        // of the weights
  channel_values<float> bias = {};     // added to the float
  channel_values<std::int32_t> sums;   // of the weights of each channel
  const affine_param* rows = nullptr;  // of the activations
  const float* output = nullptr;
  index_type row_step = 1;  // of the output, not 0
  index_type channel_step = 1;

  constexpr status check(index_type channels) const noexcept {
    const bool enough =
        scales.serve(channels) && sums.serve(channels) && (bias.empty() || bias.serve(channels));
    return enough ? status::ok : status::too_few_params;
  }
  VQ_INLINE constexpr index_type row_of(const float* place, index_type channel) const noexcept {
    return (place - output - channel * channel_step) / row_step;
  }
  constexpr float operator()(std::int32_t acc, index_type channel,
                             const float* place) const noexcept {
    const affine_param row = rows[row_of(place, channel)];
    const std::uint32_t offset =
        static_cast<std::uint32_t>(row.zero_point) * static_cast<std::uint32_t>(sums[channel]);
    const auto centred = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) - offset);
    const float x = static_cast<float>(centred) * scales[channel] * row.scale;
    return bias.empty() ? x : x + bias[channel];
  }
};
static_assert(output_stage<to_float_by_row> && a_placed_stage<to_float_by_row>);

template <std::integral Code, std::integral Addend = Code>
  requires(sizeof(Code) == sizeof(Addend))
struct to_codes_adding {
  using output_type = Code;

  to_codes<Code> product;  // what it does without a residual; its limits are those of the sum
  const Addend* addend = nullptr;  // where the output has its first element
  const Code* output = nullptr;
  std::int32_t addend_zero_point = 0;
  float ratio = 1;  // the residual's scale in steps of the output

  // bad_argument, too, where the zero point is no code or the ratio is not in (0, 1024].
  constexpr status check(index_type channels) const noexcept {
    if (const status s = product.check(channels); s != status::ok) return s;
    const bool fits = addend_zero_point >= all_codes<Addend>.lowest &&
                      addend_zero_point <= all_codes<Addend>.highest && ratio > 0 &&
                      ratio <= 1024 && addend != nullptr && output != nullptr;
    return fits ? status::ok : status::bad_argument;
  }
  constexpr Code operator()(std::int32_t acc, index_type channel,
                            const Code* place) const noexcept {
    const std::int32_t r = addend[place - output] - addend_zero_point;
    const float steps = cut(static_cast<float>(acc) * product.multipliers[channel].factor) +
                        cut(static_cast<float>(r) * ratio);
    const std::int32_t zero = product.zero_point;
    const float code = op::clamp(steps, static_cast<float>(product.codes.lowest - zero),
                                 static_cast<float>(product.highest_of(channel) - zero));
    return static_cast<Code>(static_cast<std::int32_t>(op::round_even(code)) + zero);
  }

  // Outside of all codes, with any zero point and residual; and a product that is cut is not fused
  // with the sum.
  static constexpr float far = 0x1p21f;
  template <class V>
  static constexpr V cut(V x) noexcept {
    return op::clamp(x, V(-far), V(far));
  }
};
static_assert(output_stage<to_codes_adding<std::int8_t>>);

// `addend` and `output` are the first elements of the residual and of the output.
template <std::integral Code, std::integral Addend>
constexpr to_codes_adding<Code, Addend> adding(const to_codes<Code>& product, const Addend* addend,
                                               affine_param r, affine_param y,
                                               const std::type_identity_t<Code>* output) noexcept {
  return {product, addend, output, r.zero_point, r.scale / y.scale};
}

}  // namespace vq::inline v1

#endif
