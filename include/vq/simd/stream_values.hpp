// Streaming stores, on x86 with whole lines of 64 bytes; what lies before the first line and behind
// the last one is stored as usual.
#ifndef VQ_SIMD_STREAM_VALUES_HPP
#define VQ_SIMD_STREAM_VALUES_HPP

#if defined(__x86_64__)

#include <cstdint>
#include <immintrin.h>

#include <vq/core/stream_values.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1 {

template <class T, class Arch>
struct kernel<stream_values<T>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const T* from, T* to, index_type count,
                                   bool last) const noexcept {
    constexpr index_type line = 64 / static_cast<index_type>(sizeof(T));
    for (; count > 0 && reinterpret_cast<std::uintptr_t>(to) % 64 != 0; --count) *to++ = *from++;
    for (; count >= line; count -= line, from += line, to += line) {
#if defined(__AVX512F__)
      if constexpr (simd::floats<Arch>::size == 16) {
        _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
        continue;
      }
#endif
      const auto* part = reinterpret_cast<const __m128i*>(from);
      auto* into = reinterpret_cast<__m128i*>(to);
      for (int k = 0; k < 4; ++k) _mm_stream_si128(into + k, _mm_loadu_si128(part + k));
    }
    for (; count > 0; --count) *to++ = *from++;
    if (last) _mm_sfence();
  }
};

}  // namespace vq::inline v1

#endif

#endif
