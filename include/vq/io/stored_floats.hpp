// Stored bytes to floats and back, a part of a tensor at a time.
//
//   std::vector<float> row(4096);
//   vq::status s = vq::load_floats(vq::simd::native, *file.find("w"), 7 * 4096, row);
//   s = vq::store_floats(vq::simd::native, row, vq::dtype::bf16, bytes);
//
// F32, F16 and BF16 are exact when loaded, F64 is rounded to the nearest float; storing rounds to
// the nearest value of the type, halves to even. Bytes may lie at any address.
#ifndef VQ_IO_STORED_FLOATS_HPP
#define VQ_IO_STORED_FLOATS_HPP

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include <vq/core/convert.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/half.hpp>
#include <vq/core/status.hpp>
#include <vq/io/dtype.hpp>
#include <vq/io/safetensors_header.hpp>

namespace vq::inline v1 {

namespace detail {

// Calls f(T{}) with the type behind a dtype that holds floats; false for any other.
template <class F>
bool with_float_type(dtype type, F f) {
  switch (type) {
    case dtype::f32:
      f(float{});
      return true;
    case dtype::f16:
      f(half{});
      return true;
    case dtype::bf16:
      f(bfloat16{});
      return true;
    case dtype::f64:
      f(double{});
      return true;
    default:
      return false;
  }
}

// Calls f(begin, count) for pieces of [0, size) that fit a buffer of 1024.
template <class F>
void for_each_piece(std::size_t size, F f) {
  constexpr std::size_t piece = 1024;
  for (std::size_t begin = 0; begin < size; begin += piece)
    f(begin, (std::min)(piece, size - begin));
}

}  // namespace detail

constexpr bool holds_floats(dtype type) noexcept {
  return type == dtype::f32 || type == dtype::f16 || type == dtype::bf16 || type == dtype::f64;
}

// All of `bytes` (a whole number of values). Errors: type_mismatch (not F32, F16, BF16 or F64),
// size_mismatch.
template <execution E>
status load_floats(E e, std::span<const std::byte> bytes, dtype type, std::span<float> out) {
  status s = status::ok;
  const bool known = detail::with_float_type(type, [&]<class T>(T) {
    if (bytes.size() != out.size() * sizeof(T)) {
      s = status::size_mismatch;
    } else if constexpr (std::is_same_v<T, float>) {
      if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    } else {
      detail::for_each_piece(out.size(), [&](std::size_t begin, std::size_t count) {
        T values[1024];
        std::memcpy(values, bytes.data() + begin * sizeof(T), count * sizeof(T));
        if constexpr (narrow_float<T>) {
          s = to_floats(e, std::span<const T>(values, count), out.subspan(begin, count));
        } else {
          for (std::size_t i = 0; i < count; ++i) out[begin + i] = static_cast<float>(values[i]);
        }
      });
    }
  });
  return known ? s : status::type_mismatch;
}

// Elements [first, first + out.size()) of a tensor.
template <execution E>
status load_floats(E e, const tensor_entry& tensor, index_type first, std::span<float> out) {
  const auto count = static_cast<index_type>(out.size());
  if (first < 0 || count > tensor.size() - first) return status::size_mismatch;
  if (!holds_floats(tensor.type)) return status::type_mismatch;
  const auto size = static_cast<std::size_t>(bits_of(tensor.type) / 8);
  return load_floats(
      e, tensor.bytes.subspan(static_cast<std::size_t>(first) * size, out.size() * size),
      tensor.type, out);
}

// Errors: as of load_floats.
template <execution E>
status store_floats(E e, std::span<const float> values, dtype type, std::span<std::byte> bytes) {
  status s = status::ok;
  const bool known = detail::with_float_type(type, [&]<class T>(T) {
    if (bytes.size() != values.size() * sizeof(T)) {
      s = status::size_mismatch;
    } else if constexpr (std::is_same_v<T, float>) {
      if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    } else {
      detail::for_each_piece(values.size(), [&](std::size_t begin, std::size_t count) {
        T narrow[1024];
        if constexpr (narrow_float<T>) {
          s = from_floats(e, values.subspan(begin, count), std::span<T>(narrow, count));
        } else {
          for (std::size_t i = 0; i < count; ++i) narrow[i] = static_cast<T>(values[begin + i]);
        }
        std::memcpy(bytes.data() + begin * sizeof(T), narrow, count * sizeof(T));
      });
    }
  });
  return known ? s : status::type_mismatch;
}

}  // namespace vq::inline v1

#endif
