// Accumulators through an output stage (output_stage.hpp): tile by tile, for kernels that cannot do
// it in their registers, and whole tensors.
#ifndef VQ_QUANTIZER_REQUANTIZE_HPP
#define VQ_QUANTIZER_REQUANTIZE_HPP

#include <cstdint>

#include <vq/core/execution.hpp>
#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/quantizer/output_stage.hpp>
#include <vq/quantizer/placed_stage.hpp>

namespace vq::inline v1 {

// A tile of accumulators and where its results go. Steps are in elements; the channels of the
// accumulators are neighbours, and each row can be read up to the next multiple of 16 channels.
template <class Output>
struct stage_tile {
  const std::int32_t* acc = nullptr;
  index_type acc_step = 0;  // from row to row
  index_type rows = 0;
  index_type first_channel = 0;
  index_type channels = 0;
  Output* out = nullptr;
  index_type out_step = 0;          // from row to row
  index_type out_channel_step = 1;  // from channel to channel
};

template <output_stage Stage>
struct requantize_tile {
  constexpr void operator()(const Stage& stage,
                            const stage_tile<typename Stage::output_type>& t) const noexcept {
    for (index_type row = 0; row < t.rows; ++row) {
      const std::int32_t* acc = t.acc + row * t.acc_step;
      auto* out = t.out + row * t.out_step;
      for (index_type c = 0; c < t.channels; ++c) {
        auto* const place = out + c * t.out_channel_step;
        *place = finished(stage, acc[c], t.first_channel + c, place);
      }
    }
  }
};

// Puts a whole tensor of accumulators, (N, C) or (N, C, ...), through a stage.
// size_mismatch where the shapes differ; what check() of the stage says.
template <execution E, int Rank, output_stage Stage>
constexpr status requantize(E, const tensor_view<const std::int32_t, Rank>& acc, const Stage& stage,
                            const tensor_view<typename Stage::output_type, Rank>& out) noexcept {
  static_assert(Rank >= 2, "requantize: axis 1 of the accumulators is the channel");
  if (acc.extents() != out.extents()) return status::size_mismatch;
  const index_type channels = acc.extent(1);
  if (const status s = stage.check(channels); s != status::ok) return s;
  if (acc.empty()) return status::ok;

  constexpr index_type tile = 64;
  const index_type rows = acc.size() / channels;
  for (index_type row = 0; row < rows; ++row) {
    index_type from = 0, to = 0, rest = row;
    for (int axis = Rank; axis-- > 0;) {
      if (axis == 1) continue;
      from += rest % acc.extent(axis) * acc.stride(axis);
      to += rest % acc.extent(axis) * out.stride(axis);
      rest /= acc.extent(axis);
    }
    for (index_type c = 0; c < channels; c += tile) {
      std::int32_t buffer[tile] = {};
      const index_type count = channels - c < tile ? channels - c : tile;
      for (index_type i = 0; i < count; ++i) {
        buffer[i] = acc.data_handle()[from + (c + i) * acc.stride(1)];
      }
      kernel<requantize_tile<Stage>, E>{}(
          stage, {buffer, tile, 1, c, count, out.data_handle() + to + c * out.stride(1), 0,
                  out.stride(1)});
    }
  }
  return status::ok;
}
template <int Rank, output_stage Stage>
constexpr status requantize(const tensor_view<const std::int32_t, Rank>& acc, const Stage& stage,
                            const tensor_view<typename Stage::output_type, Rank>& out) noexcept {
  return requantize(scalar, acc, stage, out);
}

}  // namespace vq::inline v1

#endif
