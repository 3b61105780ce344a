// What a recipe says of a model, as the loader of its weights wants it.
#ifndef ENGINE_LANGUAGE_RECIPE_FORMATS_HPP
#define ENGINE_LANGUAGE_RECIPE_FORMATS_HPP

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include <vq/plan/assignment.hpp>

#include "engine/language/weight_loader.hpp"

namespace engine {

// One list for the whole program: making it visits every format.
std::span<const vq::weight_format> known_formats();

// Errors: those of vq::apply.
inline vq::result<vq::assignment, vq::failure> assign(const vq::recipe& recipe,
                                                      const vq::safetensors_file& weights) {
  return vq::apply(recipe, weights.tensors(), known_formats());
}

// Tensors that are not kept as they are.
inline tensor_formats formats_of(const vq::assignment& plan) {
  tensor_formats formats;
  for (const vq::assigned_tensor& t : plan.tensors) {
    if (t.format != vq::keep_format) formats[t.name] = t.format;
  }
  return formats;
}

// Those whose names begin with one of these: equal parts compute equal features.
inline tensor_formats formats_of_part(const tensor_formats& all,
                                      std::initializer_list<std::string_view> prefixes) {
  tensor_formats part;
  for (const auto& [name, format] : all) {
    for (const std::string_view prefix : prefixes) {
      if (name.starts_with(prefix)) part[name] = format;
    }
  }
  return part;
}

// Bytes of the whole model.
inline std::uint64_t bytes_of(const vq::assignment& plan) {
  std::uint64_t bytes = 0;
  for (const vq::assigned_tensor& t : plan.tensors) bytes += t.bytes;
  return bytes;
}

}  // namespace engine

#endif
