// Output stages that look at where a result goes: `place` is its address, `output` that of the first
// element of the tensor that is written.
//
//   to_float_by_row    x = float(acc - Z[row] * sum[channel]) * scale[channel] * scale[row] + bias
//
// For rows that were quantized each with a scale and a zero point of its own (dynamic quantization).
// The difference is exact; sum[channel] is that of the weights, without their zero points. Products,
// convolutions and requantize() call such a stage with the same addresses, however they cut the work.
#ifndef VQ_QUANTIZER_PLACED_STAGE_HPP
#define VQ_QUANTIZER_PLACED_STAGE_HPP

#include <cstdint>

#include <vq/core/config.hpp>
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

}  // namespace vq::inline v1

#endif
