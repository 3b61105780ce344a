// LLM.int8(): a linear layer with 8-bit weights and float activations whose outlier columns stay
// floats.
//
//   columns where some |x| >= threshold        y += x * w, as floats
//   the rest of row m, absmax[m] over |x| < threshold:
//     code = round_even(x * (127 / absmax[m]))
//     y    = acc * w_absmax[o] * (absmax[m] / 127^2) + bias[o]
//
//   auto w = vq::pack_weights<std::int8_t>(codes, packed, sums);           // when loading
//   std::vector<std::byte> workspace(vq::llm_int8_workspace(vq::simd::native, x, *w));
//   vq::status s = vq::llm_int8_linear(vq::simd::native, 6.f, x, *w, w_absmax, bias, y, workspace);
//
// A few features of large transformers are many times larger than the others and would take the
// whole range of their row; there are about 6 of them in 1000, and 6 is the published threshold. A
// threshold of 0 switches the split off. The codes, absmax and columns are those of bitsandbytes'
// portable backend; the outliers are multiplied there in 16 bit, here in floats. The integer part
// is exact, and everything is the same for every execution and number of threads.
// Source: Dettmers et al. 2022 (arXiv 2208.07339), section 3.2.
#ifndef VQ_NN_LLM_INT8_HPP
#define VQ_NN_LLM_INT8_HPP

#include <cstddef>
#include <cstdint>
#include <span>

#include <vq/nn/linear.hpp>
#include <vq/policy/vectorwise_int8.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/placed_stage.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

// Codes and absmax of the rows of x, and in `outlier_columns` the rising indices of the columns that
// were left out (their codes are 0). Returns how many. Spans: x.size() codes, one absmax a row, one
// index a column. Errors: too_few_codes, too_few_params, not_finite (NaN; infinity where there is no
// threshold, which otherwise makes it an outlier).
template <execution E>
result<index_type> quantize_rows(E, const tensor_view<const float, 2>& x, float threshold,
                                 std::span<std::int8_t> codes, std::span<scale_param> absmax,
                                 std::span<index_type> outlier_columns) noexcept {
  constexpr index_type chunk = 512;
  constexpr vectorwise_int8 policy;
  const index_type rows = x.extent(0), columns = x.extent(1);
  if (static_cast<index_type>(codes.size()) < x.size()) return status::too_few_codes;
  if (static_cast<index_type>(absmax.size()) < rows ||
      static_cast<index_type>(outlier_columns.size()) < columns) {
    return status::too_few_params;
  }
  const auto is_outlier = [threshold](float value) {
    return threshold > 0 && op::abs(value) >= threshold;
  };
  const auto flag = [&](index_type k) -> index_type& {
    return outlier_columns[static_cast<std::size_t>(k)];
  };
  // Calls f(first column, values, count) for pieces of a row.
  const auto for_each_piece = [&](index_type row, auto keep, auto f) {
    float buffer[chunk];
    for (index_type begin = 0; begin < columns; begin += chunk) {
      const index_type count = columns - begin < chunk ? columns - begin : chunk;
      for (index_type i = 0; i < count; ++i) {
        const float value = x(row, begin + i);
        buffer[i] = keep(value, begin + i) ? value : 0.f;
      }
      f(begin, static_cast<const float*>(buffer), count);
    }
  };

  for (index_type k = 0; k < columns; ++k) flag(k) = 0;
  for (index_type row = 0; row < rows; ++row) {
    observed all;
    for_each_piece(
        row,
        [&](float value, index_type k) {
          if (!is_outlier(value)) return true;
          flag(k) = 1;
          return false;
        },
        [&](index_type, const float* values, index_type count) {
          all = hull(all, kernel<find_absmax, E>{}(values, count));
        });
    if (!all.finite) return status::not_finite;
    absmax[static_cast<std::size_t>(row)] = policy.fit(all.seen);
  }
  for (index_type row = 0; row < rows; ++row) {
    for_each_piece(
        row, [&](float, index_type k) { return flag(k) == 0; },
        [&](index_type begin, const float* values, index_type count) {
          kernel<encode_strip<vectorwise_int8, bytes>, E>{}(
              policy, absmax.data(), {row * columns + begin, count, 1, row}, values, codes.data());
        });
  }
  index_type found = 0;
  for (index_type k = 0; k < columns; ++k) {
    if (flag(k) != 0) outlier_columns[static_cast<std::size_t>(found++)] = k;
  }
  return found;
}

namespace detail {

// Bytes of a workspace, part after part from an address that is a multiple of `alignment`.
struct llm_int8_plan {
  static constexpr index_type alignment = 64;
  index_type codes = 0, absmax = 0, rows = 0, scales = 0, columns = 0, product = 0;

  static constexpr index_type whole(index_type bytes) noexcept {
    return (bytes + alignment - 1) / alignment * alignment;
  }
  constexpr index_type total() const noexcept {
    return alignment + codes + absmax + rows + scales + columns + product;
  }
};

template <execution E>
constexpr llm_int8_plan plan_llm_int8(E e, const tensor_view<const float, 2>& x,
                                      const packed_weights& w, index_type workers) noexcept {
  constexpr index_type word = 4;
  const tensor_view<const std::int8_t, 2> codes{nullptr, x.extents()};
  return {.codes = llm_int8_plan::whole(x.size()),
          .absmax = llm_int8_plan::whole(x.extent(0) * word),
          .rows = llm_int8_plan::whole(x.extent(0) * index_type{sizeof(affine_param)}),
          .scales = llm_int8_plan::whole(w.outputs * word),
          .columns = llm_int8_plan::whole(x.extent(1) * index_type{sizeof(index_type)}),
          .product = linear_workspace(e, codes, w, workers) * word};
}

}  // namespace detail

// How many bytes llm_int8_linear() needs as its workspace.
template <execution E>
constexpr index_type llm_int8_workspace(E e, const tensor_view<const float, 2>& x,
                                        const packed_weights& w, index_type workers = 1) noexcept {
  return detail::plan_llm_int8(e, x, w, workers).total();
}

// x (rows, inputs), y (rows, outputs); one absmax for every output; bias: one float per output, or
// none. size_mismatch, too_few_params, too_little_workspace, not_finite.
template <execution E, parallel_for Parallel = serial_t>
status llm_int8_linear(E e, float threshold, const tensor_view<const float, 2>& x,
                       const packed_weights& w, std::span<const scale_param> w_absmax,
                       channel_values<float> bias, const tensor_view<float, 2>& y,
                       std::span<std::byte> workspace, const Parallel& parallel = {}) noexcept {
  const index_type rows = x.extent(0);
  if (w.taps() != 1 || w.groups != 1 || x.extent(1) != w.inputs ||
      y.extents() != shape_type<2>{rows, w.outputs}) {
    return status::size_mismatch;
  }
  if (static_cast<index_type>(w_absmax.size()) < w.outputs) return status::too_few_params;
  const auto plan = detail::plan_llm_int8(e, x, w, parallel.workers());
  if (static_cast<index_type>(workspace.size()) < plan.total()) return status::too_little_workspace;
  std::byte* at = workspace.data();
  at += (0 - reinterpret_cast<std::uintptr_t>(at)) % plan.alignment;
  auto* const codes = reinterpret_cast<std::int8_t*>(at);
  auto* const absmax = reinterpret_cast<scale_param*>(at += plan.codes);
  auto* const params = reinterpret_cast<affine_param*>(at += plan.absmax);
  auto* const scales = reinterpret_cast<float*>(at += plan.rows);
  auto* const columns = reinterpret_cast<index_type*>(at += plan.scales);
  auto* const product = reinterpret_cast<std::int32_t*>(at += plan.columns);
  const auto count = [](index_type n) { return static_cast<std::size_t>(n); };

  static constexpr std::int32_t no_sum[1] = {0};
  for (index_type o = 0; o < w.outputs; ++o) scales[o] = w_absmax[count(o)].scale;
  const to_float_by_row stage{.scales = std::span<const float>(scales, count(w.outputs)),
                              .bias = bias,
                              .sums = std::span<const std::int32_t>(no_sum),
                              .rows = params,
                              .output = y.data_handle(),
                              .row_step = rows > 1 ? y.stride(0) : 1,
                              .channel_step = y.stride(1)};
  if (const status s = stage.check(w.outputs); s != status::ok) return s;
  if (y.empty()) return status::ok;
  const auto found =
      quantize_rows(e, x, threshold, std::span(codes, count(x.size())),
                    std::span(absmax, count(rows)), std::span(columns, count(x.extent(1))));
  if (!found) return found.error();
  for (index_type m = 0; m < rows; ++m)
    params[m] = {absmax[m].scale * vectorwise_int8::one_product, 0};
  const status s = linear(e, tensor_view<const std::int8_t, 2>{codes, x.extents()}, 0, w, {}, stage,
                          y, std::span(product, count(plan.product) / sizeof(*product)), parallel);
  if (s != status::ok || *found == 0) return s;
  parallel(rows, [&](index_type m, index_type) {
    for (index_type o = 0; o < w.outputs; ++o) {
      float sum = 0;
      for (index_type i = 0; i < *found; ++i) {
        const auto code = static_cast<float>(w.codes[w.place_of(o, 0, columns[i])]);
        sum += x(m, columns[i]) * vectorwise_int8{}.decode(code, scale_param{scales[o]});
      }
      y(m, o) += sum;
    }
  });
  return status::ok;
}

}  // namespace vq::inline v1

#endif
