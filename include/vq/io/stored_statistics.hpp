// Scales and tables that lie beside the codes of a quantized weight, found by name and judged.
//
//   auto absmax = vq::find_statistics(file, "fc1.weight", "fc1.weight.absmax", 176);
//   if (!absmax) return report(vq::describe(absmax.error()));
//
// Anything that finds stored tensors by name will do as the source: a safetensors_file, a
// checkpoint whose shards may hold a weight and its scales apart.
#ifndef VQ_IO_STORED_STATISTICS_HPP
#define VQ_IO_STORED_STATISTICS_HPP

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/io/failure.hpp>
#include <vq/io/safetensors_header.hpp>

namespace vq::inline v1 {

template <class S>
concept tensor_source = requires(const S& source, std::string_view name) {
  { source.find(name) } -> std::convertible_to<const tensor_entry*>;
  { source.name() } -> std::convertible_to<std::string_view>;
};

// values.size() where all are finite.
inline std::size_t first_not_finite(std::span<const float> values) noexcept {
  return static_cast<std::size_t>(
      std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); }) -
      values.begin());
}

// What to say of a weight that cannot be quantized.
inline std::string not_finite_sentence(std::string_view name, index_type at, index_type size) {
  return sentence("tensor ", in_quotes(name), ": value ", at, " of ", size, " is NaN or infinite");
}
inline std::string not_finite_sentence(std::string_view name, std::span<const float> values) {
  return not_finite_sentence(name, static_cast<index_type>(first_not_finite(values)),
                             static_cast<index_type>(values.size()));
}

// Why `values` values of this shape cannot be a weight: size_mismatch, bad_argument (no values).
inline std::optional<failure> check_values(std::size_t values, std::span<const index_type> shape,
                                           std::string_view name) {
  const auto size = bytes_of_shape(shape, dtype::u8);
  if (!size || *size != values) {
    return failure{status::size_mismatch,
                   sentence("tensor ", in_quotes(name), ": shape ", spelled(shape),
                            " does not hold ", values, " values")};
  }
  if (values > 0) return std::nullopt;
  return failure{status::bad_argument, sentence("tensor ", in_quotes(name), ": has no values")};
}

// The floats of tensor `name`, exactly `size` finite ones. `owner` is the weight that needs them.
// Errors: not_found, type_mismatch, size_mismatch, not_finite.
template <tensor_source S>
result<std::vector<float>, failure> find_statistics(const S& source, std::string_view owner,
                                                    std::string_view name, index_type size) {
  const auto refuse = [&](status code, const auto&... rule) {
    return failure{code, sentence(source.name(), ": tensor ", in_quotes(name), ": ", rule...)};
  };
  const tensor_entry* tensor = source.find(name);
  if (tensor == nullptr) {
    return refuse(status::not_found, "is missing, though ", in_quotes(owner), " needs it");
  }
  if (tensor->type != dtype::f32) {
    return refuse(status::type_mismatch, "dtype ", name_of(tensor->type), " where F32 is needed");
  }
  if (tensor->size() != size) {
    return refuse(status::size_mismatch, "has ", tensor->size(), " values where ", size,
                  " are needed");
  }
  std::vector<float> values(static_cast<std::size_t>(size));
  if (size > 0) std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  if (const std::size_t bad = first_not_finite(values); bad != values.size()) {
    return refuse(status::not_finite, "value ", bad, " of ", size, " is NaN or infinite");
  }
  return values;
}

}  // namespace vq::inline v1

#endif
