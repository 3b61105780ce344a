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

// A quantized weight in memory.
template <a_quantizer Q>
struct quantized_weight {
  quantizer_description description;
  std::vector<typename Q::stored_type> codes;
  std::vector<typename Q::param_type> params;  // empty where nested
  std::vector<std::uint8_t> scale_codes;       // where the scales are quantized themselves
  std::vector<scale_param> nested_scales;
  float nested_offset = 0;
};

// `format` is the name that a menu knows Q by, `type` what the values were before they became
// floats; `name` is for messages. Errors: size_mismatch, bad_argument (no values), not_finite.
template <execution E, a_quantizer Q, parallel_for P = serial_t>
result<quantized_weight<Q>, failure> quantize_weight(E e, const Q& q, std::string format,
                                                     std::span<const float> values,
                                                     std::span<const index_type> shape, dtype type,
                                                     std::string_view name,
                                                     const P& parallel = serial) {
  if (auto wrong = check_values(values.size(), shape, name)) return *std::move(wrong);
  quantized_weight<Q> w;
  w.description = describe_quantizer<Q>(std::move(format), shape, type);
  const tensor_view<const float, 2> view{values.data(), as_matrix(shape)};
  const sizes need = q.required(view);
  w.codes.resize(static_cast<std::size_t>(need.codes));
  w.params.resize(static_cast<std::size_t>(need.params));
  status s = fit_quantize(e, q, view, w.params, w.codes, parallel);
  if (s == status::not_finite) return failure{s, not_finite_sentence(name, values)};
  if constexpr (has_nested_scales<Q>) {
    const sizes scales = required_scales(q, view);
    w.scale_codes.resize(static_cast<std::size_t>(scales.codes));
    w.nested_scales.resize(static_cast<std::size_t>(scales.params));
    nested_scales nested{w.scale_codes, w.nested_scales};
    // Scales are scales: one instance serves all formats with this storage.
    using any_format = quantizer<nf4, per_block<64>, typename Q::storage_type>;
    if (s == status::ok) s = quantize_scales(e, any_format{}, w.params, nested);
    w.nested_offset = nested.offset;
    w.params.clear();
  }
  if (s != status::ok) {
    return failure{s, sentence("tensor ", in_quotes(name), ": ", describe(s))};
  }
  return w;
}

// Calls f(tensor_info, bytes) for every tensor of a weight, in the order of tensors_of.
template <a_quantizer Q, class F>
void for_each_tensor(const std::string& weight, const quantized_weight<Q>& w, F f) {
  const quantizer_description& d = w.description;
  const auto form = detail::form_of<Q>(d.format, d.shape, d.type);
  const std::string json = to_json(d);
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
  std::vector<std::span<const std::byte>> parts{std::as_bytes(std::span(w.codes))};
  const auto add = [&parts](auto values) { parts.push_back(std::as_bytes(values)); };
  if constexpr (has_nested_scales<Q>) {
    add(std::span(w.scale_codes));
    add(std::span(w.nested_scales));
    add(std::span(dynamic_table::levels));
    add(std::span(&w.nested_offset, 1));
  } else if constexpr (affine_policy<typename Q::policy_type>) {
    for (const affine_param& p : w.params) {
      scales.push_back(p.scale);
      zero_points.push_back(p.zero_point);
    }
    add(std::span(scales));
    if (!form.limits.symmetric) add(std::span(zero_points));
  } else {
    add(std::span(w.params));
  }
  if (!form.levels.empty()) add(form.levels);
  add(std::span(json));
  const std::vector<tensor_info> infos = detail::tensors_of(form, weight);
  for (std::size_t i = 0; i < infos.size(); ++i) f(infos[i], parts[i]);
}

}  // namespace vq::inline v1

#endif
