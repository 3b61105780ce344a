// Linear layer whose inputs have codes in planes (nn/code_planes.hpp), in integers up to the scales:
//
//   acc_p[m][o] = sum over k of plane[p][x[m][k]] * w[o][k]               exact, in int32
//   y[m][o]     = float((acc_0 * scale_0 + acc_1 * scale_1 - offset * sum of w[o]) * weight_scale[o])
//                 + bias[o], what float() takes in double
//
// For attention probabilities (x, one code a byte) times values (w, packed per head) and for what
// follows a GELU with twin codes. The same floats for every execution.
#ifndef VQ_NN_PLANAR_LINEAR_HPP
#define VQ_NN_PLANAR_LINEAR_HPP

#include <cstdint>
#include <span>

#include <vq/nn/code_planes.hpp>
#include <vq/nn/linear.hpp>

namespace vq::inline v1 {

namespace detail {

// The planes of a number of rows and their sums, one after the other in the workspace.
struct planar_plan {
  index_type sums = 0;      // int32, of one plane
  index_type expanded = 0;  // int32 that hold the bytes of one plane
  index_type product = 0;   // of linear()
  constexpr index_type total() const noexcept { return 2 * sums + expanded + product; }
};

template <execution E>
constexpr planar_plan plan_planar(E e, index_type rows, const packed_weights& w) noexcept {
  const tensor_view<const std::uint8_t, 2> x{nullptr, {rows, w.inputs}};
  return {rows * w.outputs, (rows * w.inputs + 3) / 4, linear_workspace(e, x, w)};
}

}  // namespace detail

// How many int32 planar_linear() needs as its workspace.
template <execution E>
constexpr index_type planar_linear_workspace(E e, index_type rows,
                                             const packed_weights& w) noexcept {
  return detail::plan_planar(e, rows, w).total();
}

// x (rows, inputs) and y (rows, outputs) contiguous. weight_scales: one or one per output; bias: one
// per output, or none. size_mismatch, too_few_params, too_little_workspace.
template <execution E>
status planar_linear(E e, std::span<const std::uint8_t> x, index_type rows,
                     const code_planes& planes, const packed_weights& w,
                     std::span<const float> weight_scales, std::span<const float> bias,
                     std::span<float> y, std::span<std::int32_t> workspace) noexcept {
  if (static_cast<index_type>(x.size()) != rows * w.inputs ||
      static_cast<index_type>(y.size()) != rows * w.outputs || w.taps() != 1 || w.groups != 1) {
    return status::size_mismatch;
  }
  const auto serves = [&](std::span<const float> values) {
    return static_cast<index_type>(values.size()) >= w.outputs;
  };
  if (!(weight_scales.size() == 1 || serves(weight_scales)) || !(bias.empty() || serves(bias))) {
    return status::too_few_params;
  }
  const detail::planar_plan plan = detail::plan_planar(e, rows, w);
  if (static_cast<index_type>(workspace.size()) < plan.total()) {
    return status::too_little_workspace;
  }

  std::int32_t* const sums = workspace.data();
  auto* const bytes = reinterpret_cast<std::uint8_t*>(sums + 2 * plan.sums);
  for (int p = 0; p < planes.count; ++p) {
    const std::uint8_t* const table = planes.plane[p];
    for (std::size_t i = 0; i < x.size(); ++i) bytes[i] = table[x[i]];
    const status s =
        linear(e, tensor_view<const std::uint8_t, 2>{bytes, {rows, w.inputs}}, 0, w, {},
               to_accumulators{}, {sums + p * plan.sums, {rows, w.outputs}},
               workspace.subspan(static_cast<std::size_t>(2 * plan.sums + plan.expanded)));
    if (s != status::ok) return s;
  }
  for (index_type m = 0; m < rows; ++m) {
    for (index_type o = 0; o < w.outputs; ++o) {
      const index_type at = m * w.outputs + o;
      const auto output = static_cast<std::size_t>(o);
      double value = static_cast<double>(sums[at]) * static_cast<double>(planes.scale[0]);
      if (planes.count == 2) {
        value += static_cast<double>(sums[plan.sums + at]) * static_cast<double>(planes.scale[1]);
      }
      value -= static_cast<double>(sum_of_weights(w, o)) * static_cast<double>(planes.offset);
      value *= static_cast<double>(weight_scales[weight_scales.size() == 1 ? 0 : output]);
      const auto rounded = static_cast<float>(value);
      y[static_cast<std::size_t>(at)] = bias.empty() ? rounded : rounded + bias[output];
    }
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
