// Codes on their way into a workspace, as the type that the kernels multiply: the top bit of each is
// flipped, a register at a time.
#ifndef VQ_SIMD_COPY_HPP
#define VQ_SIMD_COPY_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <vq/nn/gemm.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1 {

template <byte_code X, byte_code A, class Arch>
  requires requires { typename simd::floats<Arch>; }
struct kernel<copy_codes<X, A>, simd::on<Arch>> {
  static constexpr std::size_t register_size = simd::floats<Arch>::size * 4;
  static constexpr index_type width = register_size;
  typedef std::uint8_t bytes __attribute__((vector_size(register_size), aligned(1), may_alias));

  [[gnu::flatten]] void operator()(const X* from, index_type size, A* to) const noexcept {
    index_type i = 0;
    for (; i + width <= size; i += width) {
      simd::prefetch_write(to + i);
      copy(from + i, to + i);
    }
    if (i == size) return;
    if (size >= width) return copy(from + size - width, to + size - width);  // some bytes again
    X padded[register_size] = {};
    A flipped[register_size];
    std::memcpy(padded, from, static_cast<std::size_t>(size));
    copy(padded, flipped);
    std::memcpy(to, flipped, static_cast<std::size_t>(size));
  }

 private:
  VQ_INLINE static void copy(const X* from, A* to) {
    bytes codes = *reinterpret_cast<const bytes*>(from);
    if constexpr (!std::same_as<X, A>) codes ^= static_cast<std::uint8_t>(128);
    *reinterpret_cast<bytes*>(to) = codes;
  }
};

}  // namespace vq::inline v1

#endif
