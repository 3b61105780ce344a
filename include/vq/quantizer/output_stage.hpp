// What becomes of an int32 accumulator: the last step of a product, a convolution or a pooling.
//
//   to_codes<Code, Multiplier>   code = clamp(Z + round(acc * M), lowest, highest)
//   to_float                     x = float(acc) * scale + bias
//   to_accumulators              acc itself
//
// An output stage is a value: per-channel constants, and a call operator that maps one accumulator
// of one channel. ReLU and ReLU6 are limits of the codes and cost nothing:
//
//   vq::to_codes<std::int8_t> stage{.multipliers = m, .zero_point = y.zero_point,
//                                   .codes = vq::relu(vq::uniform<8, vq::asymmetric>::limits, y)};
//
// A stage of one's own is a type with output_type, check(channels) and operator()(acc, channel).
// Stages that depend on the row, or on what lies where they write: placed_stage.hpp.
#ifndef VQ_QUANTIZER_OUTPUT_STAGE_HPP
#define VQ_QUANTIZER_OUTPUT_STAGE_HPP

#include <concepts>
#include <cstdint>
#include <limits>
#include <span>

#include <vq/core/config.hpp>
#include <vq/core/status.hpp>
#include <vq/quantizer/multiplier.hpp>

namespace vq::inline v1 {

// One value for all channels, one for each, or none at all; the memory is the caller's.
template <class T>
struct channel_values {
  const T* data = nullptr;
  index_type size = 0;

  constexpr channel_values() noexcept = default;
  template <class R>
    requires std::convertible_to<const R&, std::span<const T>>
  constexpr channel_values(const R& values) noexcept {
    const std::span<const T> all = values;
    data = all.data();
    size = static_cast<index_type>(all.size());
  }
  constexpr bool empty() const noexcept { return size == 0; }
  constexpr bool serve(index_type channels) const noexcept { return size == 1 || size >= channels; }
  constexpr const T& operator[](index_type channel) const noexcept {
    return data[size == 1 ? 0 : channel];
  }
};

// All codes of an integer type.
template <class Code>
inline constexpr code_limits all_codes = {(std::numeric_limits<Code>::min)(),
                                          (std::numeric_limits<Code>::max)(), 0, false};

// The code nearest to a value, halves to even: where an activation cuts.
constexpr std::int32_t code_of(float value, affine_param p, const code_limits& codes) noexcept {
  return affine::clamped(
      affine::round_even(static_cast<double>(value) / static_cast<double>(p.scale)) + p.zero_point,
      codes);
}
// The codes of values >= 0, and of values in [0, 6].
constexpr code_limits relu(code_limits codes, affine_param y) noexcept {
  codes.lowest = code_of(0, y, codes);
  return codes;
}
constexpr code_limits relu6(code_limits codes, affine_param y) noexcept {
  codes.highest = code_of(6, y, codes);
  return relu(codes, y);
}

template <std::integral Code, a_multiplier Multiplier = float_multiplier>
struct to_codes {
  using output_type = Code;

  channel_values<Multiplier> multipliers;
  std::int32_t zero_point = 0;
  code_limits codes = all_codes<Code>;
  channel_values<std::int32_t> highest = {};  // cuts single channels lower than codes.highest

  constexpr status check(index_type channels) const noexcept {
    if (!multipliers.serve(channels)) return status::too_few_params;
    if (!highest.empty() && !highest.serve(channels)) return status::too_few_params;
    constexpr std::int32_t far = std::int32_t{1} << 20;
    const bool fits = codes.lowest >= all_codes<Code>.lowest &&
                      codes.highest <= all_codes<Code>.highest && codes.lowest <= codes.highest &&
                      zero_point > -far && zero_point < far;
    return fits ? status::ok : status::bad_argument;
  }
  constexpr Code operator()(std::int32_t acc, index_type channel) const noexcept {
    const std::int32_t steps = multipliers[channel].rescale(acc, codes.lowest - zero_point,
                                                            highest_of(channel) - zero_point);
    return static_cast<Code>(steps + zero_point);
  }
  constexpr std::int32_t highest_of(index_type channel) const noexcept {
    const bool cut = !highest.empty() && highest[channel] < codes.highest;
    return cut ? highest[channel] : codes.highest;
  }
};

struct to_float {
  using output_type = float;

  channel_values<float> scales;     // x.scale * w.scale
  channel_values<float> bias = {};  // added to the float

  constexpr status check(index_type channels) const noexcept {
    const bool enough = scales.serve(channels) && (bias.empty() || bias.serve(channels));
    return enough ? status::ok : status::too_few_params;
  }
  constexpr float operator()(std::int32_t acc, index_type channel) const noexcept {
    const float x = static_cast<float>(acc) * scales[channel];
    return bias.empty() ? x : x + bias[channel];
  }
};

struct to_accumulators {
  using output_type = std::int32_t;

  constexpr status check(index_type) const noexcept { return status::ok; }
  constexpr std::int32_t operator()(std::int32_t acc, index_type) const noexcept { return acc; }
};

// A stage may also look at where its result goes (placed_stage.hpp).
template <class S>
concept a_placed_stage = requires(const S stage, const typename S::output_type* place) {
  { stage(std::int32_t{}, index_type{}, place) } noexcept;
};
template <class S>
concept output_stage = requires(const S stage, index_type channels) {
  typename S::output_type;
  { stage.check(channels) } noexcept -> std::same_as<status>;
  requires a_placed_stage<S> || requires(std::int32_t acc) {
    { stage(acc, channels) } noexcept -> std::same_as<typename S::output_type>;
  };
};
static_assert(output_stage<to_codes<std::int8_t>> && output_stage<to_float>);
static_assert(output_stage<to_codes<std::uint8_t, fixed_multiplier<>>>);
static_assert(output_stage<to_accumulators>);

// The result of `channel` that goes to `place`.
template <output_stage Stage>
constexpr typename Stage::output_type finished(
    const Stage& stage, std::int32_t acc, index_type channel,
    [[maybe_unused]] const typename Stage::output_type* place) noexcept {
  if constexpr (a_placed_stage<Stage>) {
    return stage(acc, channel, place);
  } else {
    return stage(acc, channel);
  }
}

}  // namespace vq::inline v1

#endif
