// What the products with packed weights need of every instruction set: 16 floats looked up by
// index, scales of any format, and a panel decoded to floats.
#ifndef VQ_SIMD_WEIGHT_ONLY_DECODE_HPP
#define VQ_SIMD_WEIGHT_ONLY_DECODE_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/weight_only_panels.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/lane.hpp>

namespace vq::inline v1::simd {

// 32 registers instead of 16.
template <class Arch>
inline constexpr bool many_registers = lanes_of<Arch> == 16;
#if defined(__aarch64__)
template <std::derived_from<neon> Arch>
inline constexpr bool many_registers<Arch> = true;
#endif

// a * b + c, rounded once where there is an instruction for it.
template <class Arch>
VQ_INLINE floats<Arch> multiply_add(floats<Arch> a, floats<Arch> b, floats<Arch> c) {
#if defined(__AVX512F__)  // xsimd 8 has none for it
  if constexpr (std::derived_from<Arch, avx512>) return _mm512_fmadd_ps(a, b, c);
#endif
#if defined(__FMA__)
  if constexpr (std::derived_from<Arch, avx2>) return _mm256_fmadd_ps(a, b, c);
#endif
  return xsimd::fma(a, b, c);
}

// entries[i & 15] for each lane.
template <class Arch>
struct table_of_16 {
  using V = floats<Arch>;
  using I = ints<Arch>;

  VQ_INLINE explicit table_of_16(const float* from) {
#if defined(__AVX512F__)
    if constexpr (std::derived_from<Arch, avx512>) {
      low = V::load_unaligned(from);
      return;
    }
#endif
#if defined(__AVX2__)
    if constexpr (std::derived_from<Arch, avx2>) {
      low = V::load_unaligned(from);
      high = V::load_unaligned(from + 8);
      return;
    }
#endif
    entries = from;
  }
  VQ_INLINE V at(I index) const {
#if defined(__AVX512F__)
    if constexpr (std::derived_from<Arch, avx512>) return _mm512_permutexvar_ps(index, low);
#endif
#if defined(__AVX2__)
    if constexpr (std::derived_from<Arch, avx2>) {
      const __m256 top = _mm256_castsi256_ps(_mm256_slli_epi32(index, 28));
      return _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index),
                              _mm256_permutevar8x32_ps(high, index), top);
    }
#endif
    std::int32_t each[lanes_of<Arch>];
    float found[lanes_of<Arch>];
    index.store_unaligned(each);
    for (std::size_t i = 0; i < lanes_of<Arch>; ++i) found[i] = entries[each[i] & 15];
    return V::load_unaligned(found);
  }

 private:
  V low, high;
  const float* entries = nullptr;
};

#if defined(__AVX512F__)
// 16 scales of a record as floats.
VQ_INLINE __m512 scales_at(const weight_only& w, const std::uint8_t* record, index_type column) {
  const std::uint8_t* from = record + w.code_bytes();
  if (w.scales == scale_format::float32) return _mm512_loadu_ps(from + 4 * column);
  const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * column));
  if (w.scales == scale_format::half) return _mm512_cvtph_ps(narrow);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}
#endif

// The scales of a record, as floats.
template <class Arch>
VQ_INLINE void load_scales(const weight_only& w, const std::uint8_t* record, float* to) {
  const std::uint8_t* from = record + w.code_bytes();
  if (w.scales == scale_format::float32) {
    std::memcpy(to, from, 4 * weight_only::columns);
    return;
  }
#if defined(__AVX512F__)
  if constexpr (std::derived_from<Arch, avx512>) {
    for (index_type n = 0; n < weight_only::columns; n += 16) {
      _mm512_storeu_ps(to + n, scales_at(w, record, n));
    }
    return;
  }
#endif
#if defined(__F16C__)
  if constexpr (std::derived_from<Arch, avx2>) {
    if (w.scales == scale_format::half) {
      for (index_type n = 0; n < weight_only::columns; n += 8) {
        const auto* eight = reinterpret_cast<const __m128i*>(from + 2 * n);
        _mm256_storeu_ps(to + n, _mm256_cvtph_ps(_mm_loadu_si128(eight)));
      }
      return;
    }
  }
#endif
  for (index_type n = 0; n < weight_only::columns; ++n) {
    std::uint16_t bits;
    std::memcpy(&bits, from + 2 * n, 2);
    if (w.scales == scale_format::half) {
      to[n] = half::from_bits(bits).to_float();
    } else {
      const std::uint32_t wide = std::uint32_t{bits} << 16;
      std::memcpy(to + n, &wide, 4);
    }
  }
}

// Levels as products of A take them.
template <class A>
VQ_INLINE void levels_for(const weight_only& w, float (&levels)[16]) {
  for (int i = 0; i < 16; ++i) {
    if constexpr (std::is_same_v<A, std::int8_t>) {
      levels[i] = static_cast<float>(w.integer_levels[i]);
    } else if constexpr (std::is_same_v<A, bfloat16>) {
      levels[i] = bfloat16(w.levels[i]).to_float();
    } else {
      levels[i] = w.levels[i];
    }
  }
}

// Rows of 64 floats for each k, in the order of A's activations.
template <class Arch, class A>
struct float_panel {
  using V = floats<Arch>;
  using I = ints<Arch>;
  static constexpr index_type width = lane<V>::size;
  static constexpr index_type columns = weight_only::columns;

  VQ_INLINE static void decode(const weight_only& w, const std::uint8_t* record, index_type first,
                               index_type steps, std::byte* panel) {
    float levels[16];
    levels_for<A>(w, levels);
    const table_of_16<Arch> table(levels);
    float zeros[columns];
    for (index_type n = 0; n < columns; ++n) zeros[n] = 0;
    if (w.zero_points) {
      const std::uint8_t* from = record + w.code_bytes() + columns * scale_bytes(w.scales);
      for (index_type n = 0; n < columns; ++n) zeros[n] = from[n];
    }
    const std::uint8_t* codes = record + first * w.step_bytes();
    auto* to = reinterpret_cast<float*>(panel);
    for (index_type s = 0; s < steps; ++s, codes += w.step_bytes(), to += 8 * columns) {
      for (index_type n = 0; n < columns; n += width) {
        if (w.bits == 4) {
          const I words = load(codes + 4 * n);
          const V zero = V::load_unaligned(zeros + n);
#pragma GCC unroll 8
          for (int i = 0; i < 8; ++i) {
            const V level = table.at((words >> (4 * i)) & I(15));
            (level - zero).store_unaligned(to + row(i % 4 * 2 + i / 4) * columns + n);
          }
        } else {
          for (int h = 0; h < 2; ++h) {
            const I words = load(codes + 4 * (h * columns + n));
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
              const V code = xsimd::to_float(((words >> (8 * i)) & I(255)) - I(128));
              const int k = i % 2 * 4 + i / 2 + 2 * h;
              code.store_unaligned(to + row(k) * columns + n);
            }
          }
        }
      }
    }
  }

 private:
  VQ_INLINE static I load(const std::uint8_t* words) {
    return I::load_unaligned(reinterpret_cast<const std::int32_t*>(words));
  }
  // Of the k-th of 8 activations.
  VQ_INLINE static constexpr index_type row(int k) {
    if constexpr (std::is_same_v<A, std::int8_t>) {
      return k / 2 % 2 * 4 + weight_only::place_in_four(k);
    } else {
      return k;
    }
  }
};

// Weights as floats: what a unit without instructions of its own for A is made of.
template <class A, class Arch>
struct float_unit {
  using V = floats<Arch>;
  using sum = V;
  static constexpr int vectors = many_registers<Arch> ? 4 : 2;
  static constexpr index_type k_of_word = 1;  // steps of k that the tile takes at a time

  static constexpr bool streams(const weight_only&) { return false; }
  VQ_INLINE static void stream(const weight_only&, const std::uint8_t*, const activation_rows<A>&,
                               float*) {}

  // `steps` steps of 8 k, from step `first` of the record on; returns where they are.
  VQ_INLINE static const std::byte* decode(const weight_only& w, const std::uint8_t* record,
                                           index_type first, index_type steps, std::byte* panel) {
    float_panel<Arch, A>::decode(w, record, first, steps, panel);
    return panel;
  }

  // `count` rows of x as the tile reads them, from k on.
  struct row_block {
    const std::byte* first;
    index_type step;  // bytes
  };
  VQ_INLINE static row_block rows(const activation_rows<A>& x, index_type m, index_type count,
                                  index_type k, index_type length, std::byte* widened) {
    const A* from = x.first + m * x.step + k;
    if constexpr (std::is_same_v<A, float>) {
      return {reinterpret_cast<const std::byte*>(from), 4 * x.step};
    } else {
      auto* to = reinterpret_cast<float*>(widened);
      for (index_type r = 0; r < count; ++r) {
        for (index_type i = 0; i < length; ++i) {
          if constexpr (std::is_same_v<A, std::int8_t>) {
            to[r * weight_only::longest + i] = static_cast<float>(from[r * x.step + i]);
          } else {
            to[r * weight_only::longest + i] =
                std::bit_cast<float>(std::uint32_t{from[r * x.step + i].bits} << 16);
          }
        }
      }
      return {widened, 4 * weight_only::longest};
    }
  }

  VQ_INLINE static sum start(const std::int32_t*, index_type) { return V(0.f); }
  VQ_INLINE static V load(const std::byte* b) {
    return held(V::load_unaligned(reinterpret_cast<const float*>(b)));
  }
  VQ_INLINE static V spread(const std::byte* x) {
    float value;
    std::memcpy(&value, x, 4);
    return V(value);
  }
  VQ_INLINE static void add(sum& s, V x, V b) { s = multiply_add<Arch>(x, b, s); }
  VQ_INLINE static V to_floats(sum s) { return s; }
};

// How products of A are carried out; instruction sets specialize it.
template <class A, class Arch>
struct weight_unit : float_unit<A, Arch> {};

}  // namespace vq::inline v1::simd

#endif
