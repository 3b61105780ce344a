// Linear layer with float activations that are quantized in the call, and int8 weights:
//
//   x[m][k] ~ (code - Z[m]) * scale[m]                 8 bits, from the minimum and maximum of row m
//   y[m][o] = sum over k of (code - Z[m]) * (w[o][k] - Zw[o]) * w_scale[o] * scale[m] + bias[o]
//
//   auto w = vq::pack_weights<std::int8_t>(codes, packed, sums);             // when loading
//   std::vector<std::byte> workspace(vq::linear_workspace(vq::simd::native, vq::dynamic_int8, x, *w));
//   vq::status s = vq::linear(vq::simd::native, vq::dynamic_int8, x, *w, w_scales, bias, y, workspace);
//
// For layers whose activations have no range that a calibration could find (transformers): dynamic
// quantization, row-wise or per token. The sums are exact integers, and the floats are the same for
// every execution and number of threads:
//
//   |error| <= sum over k of |w| * scale[m] / 2 + (|bias| + sum over k of |x * w|) * 2^-22
//
// with w the weights as floats: half a step of each activation, and the roundings of the last floats.
// A row is read twice while it lies in the cache and written once, as bytes; zero points are taken
// out of the sums where they leave the registers (to_float_by_row). Rows that are one run of memory
// (a contiguous x) are quantized by wide kernels.
#ifndef VQ_NN_DYNAMIC_LINEAR_HPP
#define VQ_NN_DYNAMIC_LINEAR_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <vq/nn/dynamic_int8.hpp>
#include <vq/nn/linear.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fit_quantize.hpp>
#include <vq/quantizer/placed_stage.hpp>

namespace vq::inline v1 {

namespace detail {

// In codes of the type that the kernels of E multiply: none is copied.
template <execution E>
struct dynamic_rows {
  using A = typename product_codes<std::uint8_t, E>::type;
  using codes_type =
      std::conditional_t<std::is_same_v<A, std::int8_t>, signed_codes, unsigned_codes>;
  using quantizer_type = quantizer<uniform<8, asymmetric, full, codes_type>, per_token<0>>;
};

// Bytes of a workspace, part after part from an address that is a multiple of `alignment`.
struct dynamic_linear_plan {
  static constexpr index_type alignment = 64;

  index_type codes = 0;
  index_type rows = 0;
  index_type sums = 0;
  index_type product = 0;

  static constexpr index_type whole(index_type bytes) noexcept {
    return (bytes + alignment - 1) / alignment * alignment;
  }
  constexpr index_type total() const noexcept { return alignment + codes + rows + sums + product; }
};

template <execution E>
constexpr dynamic_linear_plan plan_dynamic_linear(E e, const tensor_view<const float, 2>& x,
                                                  const packed_weights& w,
                                                  index_type workers) noexcept {
  using A = typename dynamic_rows<E>::A;
  constexpr index_type word = sizeof(std::int32_t);
  constexpr index_type param = sizeof(affine_param);
  const tensor_view<const A, 2> codes{nullptr, x.extents()};
  return {.codes = dynamic_linear_plan::whole(x.size()),
          .rows = dynamic_linear_plan::whole(x.extent(0) * param),
          .sums = dynamic_linear_plan::whole(w.outputs * word),
          .product = linear_workspace(e, codes, w, workers) * word};
}

}  // namespace detail

// How many bytes linear() needs as its workspace.
template <execution E>
constexpr index_type linear_workspace(E e, dynamic_int8_t, const tensor_view<const float, 2>& x,
                                      const packed_weights& w, index_type workers = 1) noexcept {
  return detail::plan_dynamic_linear(e, x, w, workers).total();
}

// x (rows, inputs), y (rows, outputs); one weight scale for all outputs or one for each; bias: one
// float per output, or none. not_finite: a row with NaN or infinity has no scale, and y is not
// written then; size_mismatch, too_few_params, too_little_workspace.
template <execution E, parallel_for Parallel = serial_t>
status linear(E e, dynamic_int8_t, const tensor_view<const float, 2>& x, const packed_weights& w,
              channel_values<float> weight_scales, channel_values<float> bias,
              const tensor_view<float, 2>& y, std::span<std::byte> workspace,
              const Parallel& parallel = {}) noexcept {
  using A = typename detail::dynamic_rows<E>::A;
  const index_type rows = x.extent(0);
  if (w.taps() != 1 || w.groups != 1 || x.extent(1) != w.inputs ||
      y.extents() != shape_type<2>{rows, w.outputs}) {
    return status::size_mismatch;
  }
  const auto plan = detail::plan_dynamic_linear(e, x, w, parallel.workers());
  if (static_cast<index_type>(workspace.size()) < plan.total()) {
    return status::too_little_workspace;
  }
  std::byte* at = workspace.data();
  at += (0 - reinterpret_cast<std::uintptr_t>(at)) % plan.alignment;
  auto* const codes = reinterpret_cast<A*>(at);
  auto* const params = reinterpret_cast<affine_param*>(at += plan.codes);
  auto* const sums = reinterpret_cast<std::int32_t*>(at += plan.rows);
  auto* const product = reinterpret_cast<std::int32_t*>(at += plan.sums);

  const to_float_by_row stage{
      .scales = weight_scales,
      .bias = bias,
      .sums = std::span<const std::int32_t>(sums, static_cast<std::size_t>(w.outputs)),
      .rows = params,
      .output = y.data_handle(),
      .row_step = rows > 1 ? y.stride(0) : 1,
      .channel_step = y.stride(1)};
  if (const status s = stage.check(w.outputs); s != status::ok) return s;
  if (y.empty()) return status::ok;
  for (index_type o = 0; o < w.outputs; ++o) sums[o] = sum_of_weights(w, o);
  if (const status s = fit_quantize(e, typename detail::dynamic_rows<E>::quantizer_type{}, x,
                                    std::span(params, static_cast<std::size_t>(rows)),
                                    std::span(codes, static_cast<std::size_t>(x.size())), parallel);
      s != status::ok) {
    return s;
  }
  return linear(e, tensor_view<const A, 2>{codes, x.extents()}, 0, w, {}, stage, y,
                std::span(product, static_cast<std::size_t>(plan.product) / sizeof(*product)),
                parallel);
}

}  // namespace vq::inline v1

#endif
