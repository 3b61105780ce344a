// How codes lie in memory. A layout owns loading and storing; nothing else knows where a code is.
//
//   bytes                one code per element of the code type (int8_t, uint8_t, int16_t, ...)
//   nibbles_high_first   4-bit codes, element 2i in bits 7..4 of byte i (bitsandbytes)
//   bit_packed<Bits>     code i in bits [i*Bits, (i+1)*Bits) of a little-endian stream, no gaps
//   nibbles_low_first    4-bit codes, element 2i in bits 3..0 of byte i (ONNX, ggml pairs); this
//                        is bit_packed<4>
//
// store() takes codes in rising order: writing the first code of a byte clears the rest of it, so
// buffers need no preparation and unused bits at the end are zero. Signed codes are kept as two's
// complement of `Bits` bits and extended when they are loaded.
#ifndef VQ_CORE_CODE_LAYOUT_HPP
#define VQ_CORE_CODE_LAYOUT_HPP

#include <cstdint>
#include <type_traits>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// The low `Bits` bits of a pattern, as the number that Code understands.
template <class Code, int Bits>
constexpr Code code_from_bits(unsigned pattern) noexcept {
  constexpr unsigned top = 1u << (Bits - 1);
  pattern &= (top << 1) - 1;
  if constexpr (std::is_signed_v<Code>) {
    return static_cast<Code>(static_cast<int>(pattern ^ top) - static_cast<int>(top));
  } else {
    return static_cast<Code>(pattern);
  }
}

struct bytes {
  static constexpr const char* name = "bytes";
  template <class Code>
  using stored_type = Code;

  static constexpr index_type size(index_type codes) noexcept { return codes; }

  template <class Code>
  static constexpr Code load(const Code* stored, index_type i) noexcept {
    return stored[i];
  }
  template <class Code>
  static constexpr void store(Code* stored, index_type i, Code code) noexcept {
    stored[i] = code;
  }
};

struct nibbles_high_first {
  static constexpr const char* name = "nibbles_high_first";
  template <class>
  using stored_type = std::uint8_t;

  static constexpr index_type size(index_type codes) noexcept { return (codes + 1) / 2; }

  template <class Code>
  static constexpr Code load(const std::uint8_t* stored, index_type i) noexcept {
    const unsigned pair = stored[i >> 1];
    return code_from_bits<Code, 4>((i & 1) != 0 ? pair : pair >> 4);
  }
  template <class Code>
  static constexpr void store(std::uint8_t* stored, index_type i, Code code) noexcept {
    const unsigned nibble = static_cast<unsigned>(code) & 15u;
    std::uint8_t& pair = stored[i >> 1];
    pair = static_cast<std::uint8_t>((i & 1) != 0 ? (pair & 0xf0u) | nibble : nibble << 4);
  }
};

template <int Bits>
struct bit_packed {
  static_assert(Bits >= 1 && Bits <= 8, "bit_packed: codes must have from 1 to 8 bits");
  static constexpr const char* name = "bit_packed";
  template <class>
  using stored_type = std::uint8_t;

  static constexpr index_type size(index_type codes) noexcept { return (codes * Bits + 7) / 8; }

  template <class Code>
  static constexpr Code load(const std::uint8_t* stored, index_type i) noexcept {
    const index_type bit = i * Bits;
    const int shift = static_cast<int>(bit & 7);
    unsigned word = static_cast<unsigned>(stored[bit >> 3]) >> shift;
    if (shift + Bits > 8) word |= static_cast<unsigned>(stored[(bit >> 3) + 1]) << (8 - shift);
    return code_from_bits<Code, Bits>(word);
  }
  template <class Code>
  static constexpr void store(std::uint8_t* stored, index_type i, Code code) noexcept {
    const index_type bit = i * Bits;
    const int shift = static_cast<int>(bit & 7);
    const unsigned pattern = static_cast<unsigned>(code) & ((1u << Bits) - 1);
    std::uint8_t& first = stored[bit >> 3];
    const unsigned kept = shift == 0 ? 0u : first & ((1u << shift) - 1);
    first = static_cast<std::uint8_t>(kept | pattern << shift);
    if (shift + Bits > 8) {
      stored[(bit >> 3) + 1] = static_cast<std::uint8_t>(pattern >> (8 - shift));
    }
  }
};

using nibbles_low_first = bit_packed<4>;

template <class L>
concept code_layout = requires(typename L::template stored_type<std::int8_t>* stored) {
  L::name;
  L::size(index_type{});
  L::template load<std::int8_t>(stored, index_type{});
  L::store(stored, index_type{}, std::int8_t{});
};
static_assert(code_layout<bytes> && code_layout<nibbles_high_first> && code_layout<bit_packed<3>>);

}  // namespace vq::inline v1

#endif
