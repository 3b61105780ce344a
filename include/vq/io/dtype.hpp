// The element types of the safetensors container.
//
// The enumerators stand in the order by which the reference writer sorts tensors, so comparing two
// of them compares as it does. F4 and F6 are smaller than a byte: a tensor of them must fill whole
// bytes. C64 is a pair of floats. BOOL has no C++ type here: a byte that is neither 0 nor 1 is no
// bool.
#ifndef VQ_IO_DTYPE_HPP
#define VQ_IO_DTYPE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include <vq/core/half.hpp>

namespace vq::inline v1 {

enum class dtype : std::uint8_t {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64,
};

struct dtype_facts {
  std::string_view name;  // as a header spells it
  int bits;
};

// Indexed by the enumerator.
inline constexpr std::array<dtype_facts, 22> dtype_table{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

constexpr std::string_view name_of(dtype t) noexcept {
  return dtype_table[static_cast<std::size_t>(t)].name;
}
constexpr int bits_of(dtype t) noexcept { return dtype_table[static_cast<std::size_t>(t)].bits; }

constexpr std::optional<dtype> dtype_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < dtype_table.size(); ++i) {
    if (dtype_table[i].name == name) return static_cast<dtype>(i);
  }
  return std::nullopt;
}

// The element type that stores a C++ type; only types with one are `storable`.
template <class T>
struct dtype_of {};
template <dtype Type>
using dtype_constant = std::integral_constant<dtype, Type>;

// clang-format off
template <> struct dtype_of<std::uint8_t> : dtype_constant<dtype::u8> {};
template <> struct dtype_of<std::int8_t> : dtype_constant<dtype::i8> {};
template <> struct dtype_of<std::uint16_t> : dtype_constant<dtype::u16> {};
template <> struct dtype_of<std::int16_t> : dtype_constant<dtype::i16> {};
template <> struct dtype_of<std::uint32_t> : dtype_constant<dtype::u32> {};
template <> struct dtype_of<std::int32_t> : dtype_constant<dtype::i32> {};
template <> struct dtype_of<std::uint64_t> : dtype_constant<dtype::u64> {};
template <> struct dtype_of<std::int64_t> : dtype_constant<dtype::i64> {};
template <> struct dtype_of<half> : dtype_constant<dtype::f16> {};
template <> struct dtype_of<bfloat16> : dtype_constant<dtype::bf16> {};
template <> struct dtype_of<float> : dtype_constant<dtype::f32> {};
template <> struct dtype_of<double> : dtype_constant<dtype::f64> {};
// clang-format on

template <class T>
concept storable = requires { dtype_of<T>::value; } && std::is_trivially_copyable_v<T>;

}  // namespace vq::inline v1

#endif
