// Which values of a weight belong to one channel, and the few things that folding does to them.
//
//   weight                    output channel o                      input channel i
//   (O, I/g, ...) forward     W(o, :, ...), one run                 W(rows of its group, i % (I/g), ...)
//   (I, O/g, ...) transposed  W(rows of its group, o % (O/g), ...)  W(i, :, ...), one run
//
// Linear layers are the case without a kernel window, depthwise convolutions the case g = O. All
// positions are flat ones, so the strides of a view (channels last, say) do not matter.
#ifndef VQ_FOLD_CHANNEL_HPP
#define VQ_FOLD_CHANNEL_HPP

#include <array>
#include <cstddef>
#include <limits>
#include <span>

#include <vq/core/math.hpp>
#include <vq/core/op.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

// How a convolution reads its input: groups 1 is an ordinary one, groups = channels depthwise.
struct convolution_input {
  index_type groups = 1;
  // The most zeros added on any side. Borders that are reflected, repeated or wrapped around count
  // as none: they treat every channel like its inside.
  index_type zero_padding = 0;
};

// `count` runs of `length` neighbours in flat order, the first at `begin`, `step` from one to the
// next.
struct channel_runs {
  index_type begin = 0;
  index_type length = 0;
  index_type count = 1;
  index_type step = 0;

  template <class F>
  constexpr void for_each(F f) const noexcept {
    for (index_type run = 0; run < count; ++run) f(begin + run * step, length);
  }
};

// W(channel, :, ...).
template <std::size_t Rank>
constexpr channel_runs first_axis_channel(const std::array<index_type, Rank>& shape,
                                          index_type channel) noexcept {
  const index_type row = volume(shape, 1);
  return {channel * row, row, 1, 0};
}

// The second axis counts the channels of one group, the first axis is cut into `groups` equal
// parts: channel c lies in W(part c / columns, c % columns, ...).
template <std::size_t Rank>
constexpr channel_runs second_axis_channel(const std::array<index_type, Rank>& shape,
                                           index_type channel, index_type groups) noexcept {
  const index_type window = volume(shape, 2);
  const index_type rows = shape[0] / groups, columns = shape[1];
  const index_type group = channel / columns, column = channel % columns;
  return {(group * rows * columns + column) * window, window, rows, columns * window};
}

// True where x, rounded to float, is a finite float.
constexpr bool fits_float(double x) noexcept {
  return math::abs(x) <= static_cast<double>((std::numeric_limits<float>::max)());
}

// The largest magnitude, 0 for none; infinite when a value is NaN or infinite.
template <readable_view V>
constexpr float largest_magnitude(const V& weight, const channel_runs& runs) noexcept {
  float largest = 0;
  runs.for_each([&](index_type begin, index_type length) {
    for_each_chunk(weight, begin, length, [&](index_type, const float* values, index_type count) {
      for (index_type i = 0; i < count; ++i) {
        const float magnitude = op::abs(values[i]);
        if (magnitude <= (std::numeric_limits<float>::max)()) {
          largest = (op::max)(largest, magnitude);
        } else {
          largest = std::numeric_limits<float>::infinity();
        }
      }
    });
  });
  return largest;
}

// What output `row` of a layer W(O, I/g, ...) adds when input channel i holds the constant
// value_of(i) everywhere: the sum of W(row, i, ...) value_of(i). Borders padded with zeros differ.
template <readable_view V, class ValueOf>
constexpr double response_to_constant(const V& weight, index_type row, index_type groups,
                                      ValueOf value_of) noexcept {
  const auto& shape = weight.extents();
  const index_type columns = shape[1], window = volume(shape, 2);
  const index_type first_channel = row / (shape[0] / groups) * columns;
  double sum = 0;
  for (index_type column = 0; column < columns; ++column) {
    double total = 0;
    for_each_chunk(weight, (row * columns + column) * window, window,
                   [&](index_type, const float* values, index_type count) {
                     for (index_type i = 0; i < count; ++i) total += static_cast<double>(values[i]);
                   });
    sum += total * value_of(first_channel + column);
  }
  return sum;
}

// Multiplies every value by `factor`, computed in double and rounded once.
template <int Rank>
constexpr void multiply(const tensor_view<float, Rank>& weight, const channel_runs& runs,
                        double factor) noexcept {
  constexpr index_type chunk = 64;
  float buffer[chunk] = {};
  runs.for_each([&](index_type begin, index_type length) {
    for (index_type done = 0; done < length; done += chunk) {
      const index_type count = length - done < chunk ? length - done : chunk;
      const std::span<float> values(buffer, static_cast<std::size_t>(count));
      weight.read(begin + done, values);
      for (float& value : values) value = static_cast<float>(static_cast<double>(value) * factor);
      weight.write(begin + done, values);
    }
  });
}

}  // namespace vq::inline v1

#endif
