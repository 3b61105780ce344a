// A weight in any format of the library, in a file: found by name, judged, decoded where it lies.
//
//   auto d = vq::find_description(file, "fc1.weight");     // d->format finds Q in a menu
//   auto read = vq::find_quantized<Q>(file, "fc1.weight");
//   if (!read) return report(vq::describe(read.error()));
//   vq::status s = vq::load_floats(vq::simd::native, *read, 0, floats);
//
// The tensors are those of quantized_checkpoint.hpp. Checked are that the description is that of Q,
// that every tensor has its size, that scales are finite, zero points and codes are codes of the
// format, and levels are its levels.
#ifndef VQ_IO_QUANTIZED_WEIGHT_VIEW_HPP
#define VQ_IO_QUANTIZED_WEIGHT_VIEW_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/quantizer_description.hpp>
#include <vq/io/safetensors_header.hpp>
#include <vq/io/stored_form.hpp>
#include <vq/io/stored_statistics.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

// A weight of a file that was found to be sound. What does not depend on the format is the base.
template <class Code, class Param>
struct stored_values {
  quantizer_description description{};
  std::vector<Param> params{};    // recovered where they were quantized
  std::span<const Code> codes{};  // where the file lies, or in `copy`
  std::shared_ptr<const std::vector<Code>> copy{};

  const std::vector<index_type>& shape() const noexcept { return description.shape; }
  shape_type<2> matrix() const noexcept { return as_matrix(description.shape); }
  index_type size() const noexcept { return volume(matrix()); }
};
template <a_quantizer Q>
struct quantized_weight_view : stored_values<typename Q::stored_type, typename Q::param_type> {};

// True where a weight has a description of a quantizer beside it.
template <tensor_source S>
bool is_quantized(const S& source, std::string_view weight) {
  return source.find(sentence(weight, ".quantizer")) != nullptr;
}

// What the weight is: its `format` finds the type in a menu. Errors: not_found, type_mismatch,
// bad_format.
template <tensor_source S>
result<quantizer_description, failure> find_description(const S& source, std::string_view weight) {
  const std::string name = sentence(weight, ".quantizer");
  const std::string where = sentence(source.name(), ": tensor ", in_quotes(name));
  const tensor_entry* text = source.find(name);
  if (text == nullptr) return failure{status::not_found, where + ": is not in the file"};
  if (text->type != dtype::u8) {
    return failure{status::type_mismatch,
                   sentence(where, ": dtype ", name_of(text->type), " where U8 is needed")};
  }
  return parse_quantizer_description(
      {reinterpret_cast<const char*>(text->bytes.data()), text->bytes.size()}, where);
}

namespace detail {

// A tensor P.suffix that holds no floats: `size` values of a type, as bytes.
template <tensor_source S>
result<const tensor_entry*, failure> find_part(const S& source, std::string_view weight,
                                               const tensor_info& want) {
  const auto refuse = [&](status code, const auto&... rule) {
    return failure{code, sentence(source.name(), ": tensor ", in_quotes(want.name), ": ", rule...)};
  };
  const tensor_entry* tensor = source.find(want.name);
  if (tensor == nullptr) {
    return refuse(status::not_found, "is missing, though ", in_quotes(weight), " needs it");
  }
  if (tensor->type != want.type) {
    return refuse(status::type_mismatch, "dtype ", name_of(tensor->type), " where ",
                  name_of(want.type), " is needed");
  }
  if (tensor->shape != want.shape) {
    return refuse(status::size_mismatch, "shape ", spelled(tensor->shape), " where ",
                  spelled(want.shape), " is needed");
  }
  return tensor;
}

// Parameters as they are stored; what a format has not is empty.
struct stored_params {
  std::vector<float> scales;
  std::vector<std::int32_t> zero_points;
  std::span<const std::byte> raw;
};

template <tensor_source S>
result<stored_params, failure> find_params(const S& source, std::string_view weight,
                                           const stored_form& form) {
  using kind = stored_types::parameters;
  const auto floats = [&](std::string_view suffix, index_type size) {
    return find_statistics(source, weight, sentence(weight, suffix), size);
  };
  const auto part = [&](std::string_view suffix, dtype type, std::vector<index_type> shape) {
    return find_part(source, weight, {sentence(weight, suffix), type, std::move(shape)});
  };
  const auto refuse = [&](std::string_view suffix, const auto&... rule) {
    return failure{
        status::bad_format,
        sentence(source.name(), ": tensor ", in_quotes(sentence(weight, suffix)), ": ", rule...)};
  };
  if (!form.levels.empty()) {
    const auto levels = floats(".levels", static_cast<index_type>(form.levels.size()));
    if (!levels) return levels.error();
    if (!std::equal(levels->begin(), levels->end(), form.levels.begin())) {
      return refuse(".levels", "these are not the levels of the format");
    }
  }
  stored_params params;
  if (form.kind == kind::raw) {
    const auto raw = part(".params", dtype::u8, {form.need.params, form.param_bytes});
    if (!raw) return raw.error();
    params.raw = (*raw)->bytes;
    return params;
  }
  if (form.kind == kind::nested) {
    const auto codes = part(".scales", dtype::u8, {form.need.params});
    if (!codes) return codes.error();
    const auto levels = floats(".nested_levels", 256);
    if (!levels) return levels.error();
    const auto absmax = floats(".nested_scales", form.nested_params());
    if (!absmax) return absmax.error();
    const auto offset = floats(".nested_offset", 1);
    if (!offset) return offset.error();
    const auto group = static_cast<std::size_t>(form.description.scale_group);
    for (std::size_t i = 0; i < (*codes)->bytes.size(); ++i) {
      const auto code = std::to_integer<std::size_t>((*codes)->bytes[i]);
      const float rest = (*levels)[code] * (*absmax)[i / group];
      params.scales.push_back(rest + offset->front());
    }
    return params;
  }
  auto scales = floats(".scales", form.need.params);
  if (!scales) return scales.error();
  params.scales = *std::move(scales);
  params.zero_points.assign(params.scales.size(), form.limits.zero);
  if (form.kind != kind::zero_points) return params;
  const auto zeros = part(".zero_points", dtype::i32, {form.need.params});
  if (!zeros) return zeros.error();
  for (std::size_t i = 0; i < params.zero_points.size(); ++i) {
    std::int32_t& zero = params.zero_points[i];
    std::memcpy(&zero, (*zeros)->bytes.data() + i * sizeof(zero), sizeof(zero));
    if (zero < form.limits.lowest || zero > form.limits.highest) {
      return refuse(".zero_points", "value ", i, " is ", zero, ", no code of the format");
    }
  }
  return params;
}

// The codes of a weight, with all that its description says about them.
template <tensor_source S>
result<const tensor_entry*, failure> find_codes(const S& source, std::string_view weight,
                                                const quantizer_description& found,
                                                const stored_form& form) {
  if (form.description != found) {
    return failure{status::bad_format,
                   sentence(source.name(), ": tensor ", in_quotes(weight), ": is described as ",
                            to_json(found), " where ", to_json(form.description), " is read")};
  }
  const tensor_info want{sentence(weight, ".codes"), form.code_type, form.codes_shape};
  const auto codes = find_part(source, weight, want);
  if (!codes || !form.codes_may_be_none) return codes;
  // A table has no entry for them.
  const int bits = static_cast<int>(form.description.bits);
  const int lowest = form.codes_are_signed ? -(1 << (bits - 1)) : 0;
  const std::size_t size = static_cast<std::size_t>(bits_of(form.code_type)) / 8;
  for (std::size_t at = 0; at < (*codes)->bytes.size(); at += size) {
    int code = std::to_integer<int>((*codes)->bytes[at]);
    if (size == 2) code |= std::to_integer<int>((*codes)->bytes[at + 1]) << 8;
    const int sign = 1 << (8 * static_cast<int>(size) - 1);
    if (form.codes_are_signed) code = (code ^ sign) - sign;
    if (code < lowest || code >= lowest + (1 << bits)) {
      return failure{status::bad_format,
                     sentence(source.name(), ": tensor ", in_quotes(want.name), ": value ",
                              at / size, " is ", code, ", no code of ", bits, " bits")};
    }
  }
  return codes;
}

// Values [first, first + count): compiled once for all granularities.
template <class Policy, class Layout, execution E>
void load_codes(const slices& cut, const typename Policy::param_type* params,
                const typename decode_strip<Policy, Layout>::stored_type* codes, index_type first,
                index_type count, float* out) {
  cut.for_each_strip(first, count, [&](strip s) {
    kernel<decode_strip<Policy, Layout>, E>{}({}, params, s, codes, out + (s.begin - first));
  });
}

// `form_of` makes the form of the format from what the file says of the weight.
template <class Code, class Param, tensor_source S>
result<stored_values<Code, Param>, failure> find_values(
    const S& source, std::string_view weight,
    stored_form (*form_of)(std::string, std::span<const index_type>, dtype)) {
  auto found = find_description(source, weight);
  if (!found) return found.error();
  const stored_form form = form_of(found->format, found->shape, found->type);
  const auto codes = find_codes(source, weight, *found, form);
  if (!codes) return codes.error();
  const auto params = find_params(source, weight, form);
  if (!params) return params.error();

  stored_values<Code, Param> w;
  w.description = *std::move(found);
  const std::span<const std::byte> stored = (*codes)->bytes;
  const std::size_t count = stored.size() / sizeof(Code);
  if (reinterpret_cast<std::uintptr_t>(stored.data()) % alignof(Code) == 0) {
    w.codes = {reinterpret_cast<const Code*>(stored.data()), count};
  } else {
    auto copy = std::make_shared<std::vector<Code>>(count);
    std::memcpy(copy->data(), stored.data(), stored.size());
    w.codes = *copy;
    w.copy = std::move(copy);
  }
  w.params.resize(static_cast<std::size_t>(form.need.params));
  if (!params->raw.empty()) {
    std::memcpy(static_cast<void*>(w.params.data()), params->raw.data(), params->raw.size());
  }
  for (std::size_t i = 0; i < params->scales.size(); ++i) {
    if constexpr (requires { w.params[i].scale; }) w.params[i].scale = params->scales[i];
    if constexpr (std::is_same_v<Param, affine_param>) {
      w.params[i].zero_point = params->zero_points[i];
    }
  }
  return w;
}

}  // namespace detail

// Errors: not_found, bad_format, type_mismatch, size_mismatch, not_finite.
template <a_quantizer Q, tensor_source S>
result<quantized_weight_view<Q>, failure> find_quantized(const S& source, std::string_view weight) {
  auto values = detail::find_values<typename Q::stored_type, typename Q::param_type>(
      source, weight, &detail::form_of<Q>);
  if (!values) return values.error();
  return quantized_weight_view<Q>{*std::move(values)};
}

// Values [first, first + out.size()). Errors: size_mismatch.
template <execution E, a_quantizer Q>
status load_floats(E, const quantized_weight_view<Q>& w, index_type first, std::span<float> out) {
  const auto count = static_cast<index_type>(out.size());
  if (first < 0 || count > w.size() - first) return status::size_mismatch;
  detail::load_codes<typename Q::policy_type, typename Q::layout_type, E>(
      Q::cut(w.matrix()), w.params.data(), w.codes.data(), first, count, out.data());
  return status::ok;
}

}  // namespace vq::inline v1

#endif
