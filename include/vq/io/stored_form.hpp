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

// What follows from the format alone.
struct stored_types {
  enum class parameters { scales, zero_points, nested, raw };

  dtype code_type = dtype::u8;
  bool one_code_each = true;       // in the shape of the weight
  bool codes_may_be_none = false;  // of the format, though they are of the C++ type
  bool codes_are_signed = false;
  parameters kind = parameters::scales;
  index_type param_bytes = 0;
  code_limits limits{};  // of zero points
  std::span<const float> levels{};
};

template <a_quantizer Q>
constexpr stored_types stored_types_of() noexcept {
  using policy = typename Q::policy_type;
  using stored_type = typename Q::stored_type;
  using kind = stored_types::parameters;
  stored_types types;
  types.code_type = dtype_of<stored_type>::value;
  types.one_code_each = std::is_same_v<typename Q::layout_type, bytes>;
  types.codes_may_be_none =
      types.one_code_each && policy::bits < 8 * static_cast<int>(sizeof(stored_type));
  types.codes_are_signed = std::is_signed_v<stored_type>;
  types.param_bytes = sizeof(typename Q::param_type);
  if constexpr (has_nested_scales<Q>) {
    types.kind = kind::nested;
  } else if constexpr (affine_policy<policy>) {
    types.limits = policy::limits;
    types.kind = types.limits.symmetric ? kind::scales : kind::zero_points;
  } else {
    types.kind = std::is_same_v<typename Q::param_type, scale_param> ? kind::scales : kind::raw;
  }
  if constexpr (requires { policy::table::levels; }) types.levels = policy::table::levels;
  return types;
}

// A weight in a format: how many there are of what.
struct stored_form : stored_types {
  quantizer_description description;
  std::vector<index_type> codes_shape;
  sizes need{};

  index_type nested_params() const noexcept {
    return (need.params + description.scale_group - 1) / description.scale_group;
  }
};

inline stored_form form_of(const stored_types& types, quantizer_description description,
                           const sizes& need) {
  std::vector<index_type> codes{need.codes};
  if (types.one_code_each) codes = description.shape;
  return {types, std::move(description), std::move(codes), need};
}

template <a_quantizer Q>
stored_form form_of(std::string format, std::span<const index_type> shape, dtype type) {
  static constexpr stored_types types = stored_types_of<Q>();
  return form_of(types, describe_quantizer<Q>(std::move(format), shape, type),
                 Q::required(as_matrix(shape)));
}

inline std::vector<tensor_info> tensors_of(const stored_form& form, const std::string& weight) {
  using kind = stored_types::parameters;
  std::vector<tensor_info> tensors{{weight + ".codes", form.code_type, form.codes_shape}};
  const auto add = [&](const char* suffix, dtype type, std::vector<index_type> shape) {
    tensors.push_back({weight + suffix, type, std::move(shape)});
  };
  switch (form.kind) {
    case kind::nested:
      add(".scales", dtype::u8, {form.need.params});
      add(".nested_scales", dtype::f32, {form.nested_params()});
      add(".nested_levels", dtype::f32, {256});
      add(".nested_offset", dtype::f32, {1});
      break;
    case kind::raw:
      add(".params", dtype::u8, {form.need.params, form.param_bytes});
      break;
    default:
      add(".scales", dtype::f32, {form.need.params});
      if (form.kind == kind::zero_points) add(".zero_points", dtype::i32, {form.need.params});
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
