// The values of a stored tensor as floats, a piece at a time, by the wide kernels.
//
//   read_floats(vq::dtype::f16, bytes, begin, buffer);        // buffer.size() values from `begin` on
//   for_each_floats(type, bytes, [&](index_type begin, std::span<const float> values) { ... });
//
// The bytes may lie anywhere: files by other programs align nothing.
#ifndef TOOL_FLOATS_HPP
#define TOOL_FLOATS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <vq/core/convert.hpp>
#include <vq/io/dtype.hpp>
#include <vq/simd.hpp>

namespace tool {

using vq::index_type;

constexpr bool holds_floats(vq::dtype type) noexcept {
  return type == vq::dtype::f16 || type == vq::dtype::bf16 || type == vq::dtype::f32 ||
         type == vq::dtype::f64;
}

// Values [begin, begin + to.size()) of a tensor that holds_floats.
inline void read_floats(vq::dtype type, std::span<const std::byte> bytes, index_type begin,
                        std::span<float> to) {
  const auto copy = [&]<class T>(std::type_identity<T>) {
    constexpr std::size_t piece = 2048;
    const std::byte* from = bytes.data() + static_cast<std::size_t>(begin) * sizeof(T);
    if constexpr (vq::narrow_float<T>) {
      if (reinterpret_cast<std::uintptr_t>(from) % alignof(T) == 0) {
        const std::span values(reinterpret_cast<const T*>(from), to.size());
        static_cast<void>(vq::to_floats(vq::simd::native, values, to));
        return;
      }
    }
    if constexpr (std::is_same_v<T, float>) {
      std::memcpy(to.data(), from, to.size_bytes());
    } else {
      T buffer[piece];
      for (std::size_t at = 0; at < to.size(); at += piece) {
        const std::size_t count = std::min(piece, to.size() - at);
        std::memcpy(buffer, from + at * sizeof(T), count * sizeof(T));
        std::transform(buffer, buffer + count, to.begin() + static_cast<std::ptrdiff_t>(at),
                       [](T value) { return static_cast<float>(value); });
      }
    }
  };
  if (to.empty()) return;
  switch (type) {
    case vq::dtype::f16:
      return copy(std::type_identity<vq::half>{});
    case vq::dtype::bf16:
      return copy(std::type_identity<vq::bfloat16>{});
    case vq::dtype::f64:
      return copy(std::type_identity<double>{});
    default:
      return copy(std::type_identity<float>{});
  }
}

// f(begin, values) over [begin, begin + count), in pieces that stay in the cache.
template <class F>
void for_each_floats(vq::dtype type, std::span<const std::byte> bytes, index_type begin,
                     index_type count, F f) {
  constexpr index_type piece = 8192;
  float buffer[piece];
  for (index_type at = 0; at < count; at += piece) {
    const std::span values(buffer, static_cast<std::size_t>(std::min(piece, count - at)));
    read_floats(type, bytes, begin + at, values);
    f(begin + at, std::span<const float>(values));
  }
}

}  // namespace tool

#endif
