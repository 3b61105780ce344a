// How the codes of a quantizer lie in memory.
//
//   plain               two codes a byte (high nibble first) for 4 bits, dense bits below 4,
//                       otherwise one code per int8_t, uint8_t, int16_t or uint16_t
//   stored_as<Layout>   any layout of core/code_layout.hpp, e.g. stored_as<bit_packed<6>>
//
//   double_quantized<Group>   as plain, with quantized scales: quantizer/double_quantized.hpp
//
// The first two keep one param_type per parameter. A storage of one's own is a type with
// `layout<Policy>`.
#ifndef VQ_QUANTIZER_STORAGE_HPP
#define VQ_QUANTIZER_STORAGE_HPP

#include <type_traits>

#include <vq/core/code_layout.hpp>
#include <vq/policy/concepts.hpp>

namespace vq::inline v1 {

struct plain {
  template <class Policy>
  using layout =
      std::conditional_t<(Policy::bits > 4), bytes,
                         std::conditional_t<Policy::bits == 4, nibbles_high_first,
                                            bit_packed<Policy::bits <= 8 ? Policy::bits : 8>>>;
};

template <code_layout Layout>
struct stored_as {
  template <class>
  using layout = Layout;
};

template <class S, class Policy>
concept storage_for = code_layout<typename S::template layout<Policy>>;

}  // namespace vq::inline v1

#endif
