// A weight format as a recipe knows it: a name and a size, without the code that quantizes.
//
// plan/weight_formats.hpp makes them from a menu of quantizers. Four more need no quantizer:
// "keep" leaves a tensor as it is, "f32", "f16" and "bf16" convert it.
#ifndef VQ_PLAN_WEIGHT_FORMAT_HPP
#define VQ_PLAN_WEIGHT_FORMAT_HPP

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <vq/core/tensor_view.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

struct weight_format {
  std::string name;
  int bits = 0;               // of a code
  bool bitsandbytes = false;  // a checkpoint of bitsandbytes can hold it
  std::uint64_t (*stored_bytes)(const shape_type<2>&) = nullptr;  // codes, scales, tables
};

inline constexpr std::string_view keep_format = "keep";

// The element type that a format converts to, for f32, f16 and bf16.
constexpr std::optional<dtype> converted_type(std::string_view format) noexcept {
  if (format == "f32") return dtype::f32;
  if (format == "f16") return dtype::f16;
  if (format == "bf16") return dtype::bf16;
  return std::nullopt;
}
constexpr bool is_unquantized(std::string_view format) noexcept {
  return format == keep_format || converted_type(format).has_value();
}

// Null where the name is unknown.
inline const weight_format* find_format(std::span<const weight_format> formats,
                                        std::string_view name) noexcept {
  const auto at = std::ranges::find(formats, name, &weight_format::name);
  return at == formats.end() ? nullptr : &*at;
}

// The sentence that refuses an unknown name, with the names that begin like it.
inline std::string unknown_format(std::span<const weight_format> formats, std::string_view name) {
  std::string similar;
  for (std::size_t length = name.size(); length > 0 && similar.empty(); --length) {
    for (const weight_format& f : formats) {
      if (f.name.starts_with(name.substr(0, length))) similar += sentence(", ", f.name);
    }
  }
  std::string text = sentence("the format ", in_quotes(name), " is unknown; ");
  return text += sentence("known are keep, f32, f16, bf16", similar,
                          similar.empty() ? " and those of the menu" : "");
}

}  // namespace vq::inline v1

#endif
