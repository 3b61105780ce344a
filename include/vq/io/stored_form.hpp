// What the tensors of a weight in our own layout (quantized_checkpoint.hpp) depend on, as values, so
// that most of the work is compiled once and not once for every format.
//
//   using Q = vq::quantizer<vq::uniform<4>, vq::per_group<32>>;
//   auto tensors = vq::tensors_of<Q>("fc1.weight", "int4-group32", shape, vq::dtype::f16);
//
// All sizes follow from the format and the shape: they are known before the values are.
#ifndef VQ_IO_STORED_FORM_HPP
#define VQ_IO_STORED_FORM_HPP

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/core/code_layout.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/quantizer_description.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/quantizer.hpp>

namespace vq::inline v1 {

namespace detail {

struct stored_form {
  enum class parameters { scales, zero_points, nested, raw };

  quantizer_description description;
  dtype code_type = dtype::u8;
  std::vector<index_type> codes_shape;
  bool codes_may_be_none = false;  // of the format, though they are of the C++ type
  bool codes_are_signed = false;
  parameters kind = parameters::scales;
  index_type params = 0;
  index_type param_bytes = 0;
  index_type nested_group = 1;  // scales of one nested scale
  code_limits limits{};         // of zero points
  std::span<const float> levels;

  index_type nested_params() const noexcept { return (params + nested_group - 1) / nested_group; }
};

template <a_quantizer Q>
stored_form form_of(std::string format, std::span<const index_type> shape, dtype type) {
  using policy = typename Q::policy_type;
  using stored_type = typename Q::stored_type;
  using kind = stored_form::parameters;
  constexpr bool one_each = std::is_same_v<typename Q::layout_type, bytes>;
  const sizes need = Q::required(as_matrix(shape));
  stored_form form;
  form.description = describe_quantizer<Q>(std::move(format), shape, type);
  form.code_type = dtype_of<stored_type>::value;
  if (one_each) {
    form.codes_shape.assign(shape.begin(), shape.end());
  } else {
    form.codes_shape = {need.codes};
  }
  form.codes_may_be_none = one_each && policy::bits < 8 * static_cast<int>(sizeof(stored_type));
  form.codes_are_signed = std::is_signed_v<stored_type>;
  form.params = need.params;
  form.param_bytes = sizeof(typename Q::param_type);
  if constexpr (has_nested_scales<Q>) {
    form.kind = kind::nested;
    form.nested_group = form.description.scale_group;
  } else if constexpr (affine_policy<policy>) {
    form.limits = policy::limits;
    form.kind = form.limits.symmetric ? kind::scales : kind::zero_points;
  } else {
    form.kind = std::is_same_v<typename Q::param_type, scale_param> ? kind::scales : kind::raw;
  }
  if constexpr (requires { policy::table::levels; }) form.levels = policy::table::levels;
  return form;
}

inline std::vector<tensor_info> tensors_of(const stored_form& form, const std::string& weight) {
  using kind = stored_form::parameters;
  std::vector<tensor_info> tensors{{weight + ".codes", form.code_type, form.codes_shape}};
  const auto add = [&](const char* suffix, dtype type, std::vector<index_type> shape) {
    tensors.push_back({weight + suffix, type, std::move(shape)});
  };
  switch (form.kind) {
    case kind::nested:
      add(".scales", dtype::u8, {form.params});
      add(".nested_scales", dtype::f32, {form.nested_params()});
      add(".nested_levels", dtype::f32, {256});
      add(".nested_offset", dtype::f32, {1});
      break;
    case kind::raw:
      add(".params", dtype::u8, {form.params, form.param_bytes});
      break;
    default:
      add(".scales", dtype::f32, {form.params});
      if (form.kind == kind::zero_points) add(".zero_points", dtype::i32, {form.params});
  }
  const auto length = [](const auto& values) { return static_cast<index_type>(values.size()); };
  if (!form.levels.empty()) add(".levels", dtype::f32, {length(form.levels)});
  add(".quantizer", dtype::u8, {length(to_json(form.description))});
  return tensors;
}

}  // namespace detail

// The tensors that a weight of `shape` becomes, before it is quantized.
template <a_quantizer Q>
std::vector<tensor_info> tensors_of(const std::string& weight, std::string format,
                                    std::span<const index_type> shape, dtype type) {
  return detail::tensors_of(detail::form_of<Q>(std::move(format), shape, type), weight);
}

}  // namespace vq::inline v1

#endif
