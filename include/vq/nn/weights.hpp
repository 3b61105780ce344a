// Weights in the order in which the kernels read them. Packing happens once, when a model is
// loaded (or at compile time, for firmware): it also sums the weights of every output, from which
// each call makes up for the zero point of the activations.
//
//   const vq::packed_sizes need = vq::packed_size(w.extents(), groups);
//   std::vector<std::int8_t> codes(need.codes);
//   std::vector<std::int32_t> sums(need.sums);
//   auto packed = vq::pack_weights(w, groups, codes, sums);     // result<packed_weights>
//
// w has the extents (outputs, inputs / groups, kernel height, kernel width), in any memory order
// (OIHW, OHWI), or (outputs, inputs) for a linear layer. uint8 codes are stored as code - 128.
// Zero points of weights (uint8 models of ONNX) are honoured, at the price of one more pass over
// the activations; symmetric weights need none.
#ifndef VQ_NN_WEIGHTS_HPP
#define VQ_NN_WEIGHTS_HPP

#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/nn/conv_shape.hpp>
#include <vq/nn/gemm.hpp>
#include <vq/quantizer/requantize.hpp>

namespace vq::inline v1 {

// A view; codes, sums and zero points belong to the caller and must outlive it.
struct packed_weights {
  const std::int8_t* codes = nullptr;
  const std::int32_t* sums = nullptr;  // of the stored codes of each output
  channel_values<std::int32_t> zero_points = {};
  std::int32_t offset = 0;  // stored code = code - offset
  index_type outputs = 0;
  index_type inputs = 0;  // of one group
  size2d kernel = {};
  index_type groups = 1;

  // One filter per channel.
  constexpr bool depthwise() const noexcept {
    return groups > 1 && inputs == 1 && outputs == groups;
  }
  constexpr index_type taps() const noexcept { return kernel.height * kernel.width; }
  constexpr index_type depth() const noexcept { return taps() * inputs; }
  // Of the stored codes.
  constexpr std::int32_t zero_point(index_type output) const noexcept {
    return (zero_points.empty() ? 0 : zero_points[output]) - offset;
  }
  constexpr bool has_zero_points() const noexcept {
    const index_type distinct = zero_points.size > 1 ? outputs : 1;
    for (index_type n = 0; n < distinct; ++n) {
      if (zero_point(n) != 0) return true;
    }
    return false;
  }

  // The layout: `jobs` runs of the kernel (one for each group, or one for all channels of a
  // depthwise convolution), each for `columns` outputs in panels (gemm.hpp).
  constexpr index_type jobs() const noexcept { return depthwise() ? 1 : groups; }
  constexpr index_type columns() const noexcept { return outputs / jobs(); }
  constexpr index_type padded_columns() const noexcept {
    return depthwise() ? taps::padded(outputs) : panel::round_up(columns(), panel::columns);
  }
  constexpr index_type padded_depth() const noexcept {
    return depthwise() ? kernel.width * panel::round_up(kernel.height, panel::group)
                       : taps() * panel::round_up(inputs, panel::group);
  }
  constexpr index_type job_step() const noexcept { return padded_columns() * padded_depth(); }

  // Where output n of a job stands among its padded columns.
  constexpr index_type place_of(index_type n) const noexcept {
    const index_type begin = n / panel::width * panel::width;
    const index_type width = panel::width_at(begin, padded_columns());
    return begin + (depthwise() ? taps::place(n - begin, width) : n - begin);
  }
  // Where the code of (output, tap, input) lies.
  constexpr index_type place_of(index_type output, index_type tap,
                                index_type input) const noexcept {
    const index_type n = place_of(output % columns()), begin = n / panel::width * panel::width;
    const index_type row = tap / kernel.width, column = tap % kernel.width;
    const index_type k = depthwise() ? column * panel::round_up(kernel.height, panel::group) + row
                                     : tap * panel::round_up(inputs, panel::group) + input;
    return output / columns() * job_step() + begin * padded_depth() +
           k / panel::group * panel::group * panel::width_at(begin, padded_columns()) +
           (n - begin) * panel::group + k % panel::group;
  }
};

struct packed_sizes {
  index_type codes = 0;
  index_type sums = 0;
};

namespace detail {

constexpr packed_weights packed_shape(const shape_type<4>& w, index_type groups) noexcept {
  packed_weights p;
  p.outputs = w[0];
  p.inputs = w[1];
  p.kernel = {w[2], w[3]};
  p.groups = groups;
  return p;
}

}  // namespace detail

// `groups` must divide the outputs, w[0].
constexpr packed_sizes packed_size(const shape_type<4>& w, index_type groups = 1) noexcept {
  const packed_weights p = detail::packed_shape(w, groups);
  return {p.jobs() * p.job_step(), p.outputs};
}
constexpr packed_sizes packed_size(const shape_type<2>& w) noexcept {
  return packed_size({w[0], w[1], 1, 1});
}

// bad_argument where the groups do not divide the outputs, too_few_codes and too_few_params where
// the spans are shorter than packed_size() says, overflow where inputs * taps is so large that an
// accumulator might not fit an int32: above 65,793, or 33,025 if weights have zero points.
template <byte_code W>
constexpr result<packed_weights> pack_weights(
    const std::type_identity_t<tensor_view<const W, 4>>& w, index_type groups,
    std::span<std::int8_t> codes, std::span<std::int32_t> sums,
    channel_values<std::int32_t> zero_points = {}) noexcept {
  if (w.empty()) return status::size_mismatch;
  if (groups < 1 || w.extent(0) % groups != 0) return status::bad_argument;
  packed_weights p = detail::packed_shape(w.extents(), groups);
  const packed_sizes need = packed_size(w.extents(), groups);
  if (static_cast<index_type>(codes.size()) < need.codes) return status::too_few_codes;
  if (static_cast<index_type>(sums.size()) < need.sums) return status::too_few_params;
  if (!zero_points.empty() && !zero_points.serve(p.outputs)) return status::too_few_params;
  p.codes = codes.data();
  p.sums = sums.data();
  p.zero_points = zero_points;
  p.offset = std::is_signed_v<W> ? 0 : 128;
  const std::int32_t widest = p.has_zero_points() ? 255 : 128;
  if (p.depth() > (std::numeric_limits<std::int32_t>::max)() / (255 * widest)) {
    return status::overflow;
  }

  for (index_type i = 0; i < need.codes; ++i) codes[static_cast<std::size_t>(i)] = 0;
  for (index_type o = 0; o < p.outputs; ++o) {
    std::int32_t sum = 0;
    for (index_type tap = 0; tap < p.taps(); ++tap) {
      const index_type row = tap / p.kernel.width, column = tap % p.kernel.width;
      for (index_type i = 0; i < p.inputs; ++i) {
        const std::int32_t code = w(o, i, row, column) - p.offset;
        codes[static_cast<std::size_t>(p.place_of(o, tap, i))] = static_cast<std::int8_t>(code);
        sum += code;
      }
    }
    sums[static_cast<std::size_t>(o)] = sum;
  }
  return p;
}
template <byte_code W>
constexpr result<packed_weights> pack_weights(
    const std::type_identity_t<tensor_view<const W, 2>>& w, std::span<std::int8_t> codes,
    std::span<std::int32_t> sums, channel_values<std::int32_t> zero_points = {}) noexcept {
  return pack_weights<W>(
      {w.data_handle(), {w.extent(0), w.extent(1), 1, 1}, {w.stride(0), w.stride(1), 0, 0}}, 1,
      codes, sums, zero_points);
}

// The sum of (w - Zw) of output n.
constexpr std::int32_t sum_of_weights(const packed_weights& w, index_type n) noexcept {
  const std::int32_t depth = static_cast<std::int32_t>(w.depth());
  return w.sums[n] - wrapping_mul(depth, w.zero_point(n));
}

// What the accumulators of output n start from:
//
//   bias + sum over k of (x - Zx)(w - Zw) = start + sum of x w - Zw * sum of x
constexpr std::int32_t start_of(const packed_weights& w, index_type n, std::int32_t bias,
                                std::int32_t x_zero_point) noexcept {
  return wrapping_add(bias, wrapping_mul(-x_zero_point, sum_of_weights(w, n)));
}

}  // namespace vq::inline v1

#endif
