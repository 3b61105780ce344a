// A weight in any format of the library, in memory: quantized here, written by whoever owns a file.
//
//   using Q = vq::quantizer<vq::uniform<4>, vq::per_group<32>>;
//   auto w = vq::quantize_weight(vq::simd::native, Q{}, "int4-group32", floats, shape,
//                                vq::dtype::f16, "fc1.weight");
//   if (!w) return report(vq::describe(w.error()));
//   vq::for_each_tensor("fc1.weight", *w, [&](const vq::tensor_info& t, auto bytes) { ... });
//
// The tensors are those of quantized_checkpoint.hpp.
#ifndef VQ_IO_QUANTIZED_WEIGHT_HPP
#define VQ_IO_QUANTIZED_WEIGHT_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/core/execution.hpp>
#include <vq/core/parallel.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/quantizer_description.hpp>
#include <vq/io/stored_form.hpp>
#include <vq/io/stored_statistics.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fit_quantize.hpp>

namespace vq::inline v1 {

// Formats with the same C++ types of codes and parameters share this type and what is done with it.
template <class Code, class Param>
struct quantized_values {
  detail::stored_form form;
  std::vector<Code> codes;
  std::vector<Param> params;              // empty where nested
  std::vector<std::uint8_t> scale_codes;  // where the scales are quantized themselves
  std::vector<scale_param> nested_scales;
  float nested_offset = 0;

  explicit quantized_values(detail::stored_form f)
      : form(std::move(f)),
        codes(static_cast<std::size_t>(form.need.codes)),
        params(static_cast<std::size_t>(form.need.params)) {}
};

// A quantized weight in memory.
template <a_quantizer Q>
using quantized_weight = quantized_values<typename Q::stored_type, typename Q::param_type>;

namespace detail {

// Scales are scales: one instance serves all formats with this storage.
template <class Storage, execution E, class Code>
status quantize_scales_of(E e, quantized_values<Code, scale_param>& w) {
  w.scale_codes.resize(w.params.size());
  w.nested_scales.resize(static_cast<std::size_t>(w.form.nested_params()));
  nested_scales nested{w.scale_codes, w.nested_scales};
  const status s = quantize_scales(e, quantizer<nf4, per_block<64>, Storage>{}, w.params, nested);
  w.nested_offset = nested.offset;
  w.params.clear();
  return s;
}

// What to say of a weight that was not quantized.
inline failure not_quantized(status s, std::string_view name, std::span<const float> values) {
  if (s == status::not_finite) return {s, not_finite_sentence(name, values)};
  return {s, sentence("tensor ", in_quotes(name), ": ", describe(s))};
}

}  // namespace detail

// `format` is the name that a menu knows Q by, `type` what the values were before they became
// floats; `name` is for messages. Errors: size_mismatch, bad_argument (no values), not_finite.
template <execution E, a_quantizer Q, parallel_for P = serial_t>
result<quantized_weight<Q>, failure> quantize_weight(E e, const Q& q, std::string format,
                                                     std::span<const float> values,
                                                     std::span<const index_type> shape, dtype type,
                                                     std::string_view name,
                                                     const P& parallel = serial) {
  if (auto wrong = check_values(values.size(), shape, name)) return *std::move(wrong);
  quantized_weight<Q> w(detail::form_of<Q>(std::move(format), shape, type));
  const tensor_view<const float, 2> view{values.data(), as_matrix(shape)};
  status s = fit_quantize(e, q, view, w.params, w.codes, parallel);
  if constexpr (has_nested_scales<Q>) {
    if (s == status::ok) s = detail::quantize_scales_of<typename Q::storage_type>(e, w);
  }
  if (s != status::ok) return detail::not_quantized(s, name, values);
  return w;
}

// Calls f(tensor_info, bytes) for every tensor of a weight, in the order of tensors_of.
template <class Code, class Param, class F>
void for_each_tensor(const std::string& weight, const quantized_values<Code, Param>& w, F f) {
  using kind = detail::stored_types::parameters;
  const std::string json = to_json(w.form.description);
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(w.codes))};
  const auto add = [&parts](auto values) { parts.push_back(std::as_bytes(values)); };
  if constexpr (std::is_same_v<Param, affine_param>) {
    for (const affine_param& p : w.params) {
      scales.push_back(p.scale);
      zero_points.push_back(p.zero_point);
    }
  }
  if (w.form.kind == kind::nested) {
    add(std::span(w.scale_codes));
    add(std::span(w.nested_scales));
    add(std::span(dynamic_table::levels));
    add(std::span(&w.nested_offset, 1));
  } else if (w.form.kind == kind::raw || scales.empty()) {
    add(std::span(w.params));
  } else {
    add(std::span(scales));
    if (w.form.kind == kind::zero_points) add(std::span(zero_points));
  }
  if (!w.form.levels.empty()) add(w.form.levels);
  add(std::span(json));
  const std::vector<tensor_info> infos = detail::tensors_of(w.form, weight);
  for (std::size_t i = 0; i < infos.size(); ++i) f(infos[i], parts[i]);
}

}  // namespace vq::inline v1

#endif
