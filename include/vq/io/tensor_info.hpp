// What is known of a stored tensor without its bytes: a name, an element type, a shape.
//
//   vq::tensor_info t{"conv1.weight", vq::dtype::f16, {16, 3, 3, 3}};
//   t.size();          // 432 elements
//   t.stored_bytes();  // 864
//
// A model is a list of them, whether it was read from a checkpoint (safetensors_header.hpp,
// checkpoint.hpp) or derived from a configuration alone. What stands in a header or was given to a
// writer has been checked by bytes_of_shape, so that size() and stored_bytes() cannot overflow.
#ifndef VQ_IO_TENSOR_INFO_HPP
#define VQ_IO_TENSOR_INFO_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <vq/core/config.hpp>
#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/failure.hpp>

namespace vq::inline v1 {

struct tensor_info {
  std::string name;
  dtype type = dtype::f32;
  std::vector<index_type> shape;  // empty: a single value

  index_type size() const noexcept {  // number of elements
    index_type product = 1;
    for (const index_type extent : shape) product *= extent;
    return product;
  }
  std::uint64_t stored_bytes() const noexcept {  // of all elements; F4 and F6 in whole bytes
    return (static_cast<std::uint64_t>(size()) * static_cast<std::uint64_t>(bits_of(type)) + 7) / 8;
  }
};

// A weight as it is quantized: output channels times everything else.
constexpr shape_type<2> as_matrix(std::span<const index_type> shape) noexcept {
  shape_type<2> extents{1, 1};
  for (std::size_t i = 0; i < shape.size(); ++i) extents[i == 0 ? 0 : 1] *= shape[i];
  return extents;
}

// Bytes that a shape of a type takes, or the rule it breaks. Dimensions are multiplied in order and
// each product is checked, so [0, huge] is empty and [huge, 2, 0] is refused.
inline result<std::uint64_t, std::string> bytes_of_shape(std::span<const index_type> shape,
                                                         dtype type) {
  constexpr auto largest = static_cast<std::uint64_t>((std::numeric_limits<index_type>::max)());
  std::uint64_t count = 1;
  for (const index_type extent : shape) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (extent < 0) return std::string("shape has a negative dimension");
    if (factor != 0 && count > largest / factor) return std::string("shape overflows");
    count *= factor;
  }
  const auto bits = static_cast<std::uint64_t>(bits_of(type));
  if (count > largest / bits) return std::string("shape overflows");
  if (count * bits % 8 != 0) {
    return sentence("shape of ", name_of(type), " takes ", count * bits, " bits, not whole bytes");
  }
  return count * bits / 8;
}

// "[16, 3, 3, 3]", as messages show a shape.
inline std::string spelled(std::span<const index_type> shape) {
  std::string text = "[";
  for (const index_type extent : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(extent);
  }
  return text + "]";
}

}  // namespace vq::inline v1

#endif
