// Keeps a value in its register: GCC would rather load it from memory again for every use, and a
// load of a whole register costs as much as the dot product that it feeds.
#ifndef VQ_SIMD_HELD_HPP
#define VQ_SIMD_HELD_HPP

#include <xsimd/xsimd.hpp>

#include <vq/core/config.hpp>

namespace vq::inline v1::simd {

template <class V>
VQ_INLINE V held(V x) {
#if defined(__x86_64__)
  asm("" : "+v"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}
template <class T, class Arch>
VQ_INLINE xsimd::batch<T, Arch> held(xsimd::batch<T, Arch> x) {
  const typename xsimd::batch<T, Arch>::register_type value = x;
  return held(value);
}

}  // namespace vq::inline v1::simd

#endif
