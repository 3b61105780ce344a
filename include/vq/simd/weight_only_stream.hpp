// Products of few rows with packed weights on AVX-512: codes are decoded in registers, read once and
// in order, and asked for ahead of time. Units say what is multiplied: here floats (half a shift,
// vpermps and a product for 16 weights), bytes in weight_only_vnni.hpp, pairs of bfloat16 in
// weight_only_bf16.hpp.
#ifndef VQ_SIMD_WEIGHT_ONLY_STREAM_HPP
#define VQ_SIMD_WEIGHT_ONLY_STREAM_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/weight_only.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/weight_only_decode.hpp>

#if defined(__AVX512F__) && defined(__AVX512BW__)
namespace vq::inline v1::simd {

VQ_INLINE __m512i load_bytes(const void* from) { return _mm512_loadu_si512(from); }
VQ_INLINE __m512i spread_word(const void* from) {
  std::int32_t word;
  std::memcpy(&word, from, 4);
  return _mm512_set1_epi32(word);
}
// What follows `bytes` bytes: into the second cache early, which keeps more of memory's requests in
// flight than the first can, and into the first in time.
VQ_INLINE void prefetch(const std::uint8_t* at, index_type bytes) {
  for (index_type line = 0; line < bytes; line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(at) + line + 8192, _MM_HINT_T1);
    _mm_prefetch(reinterpret_cast<const char*>(at) + line + 2048, _MM_HINT_T0);
  }
}

// `count` numbers, a multiple of 8.
VQ_INLINE void widen(const bfloat16* x, index_type count, float* to) {
  for (index_type k = 0; k < count; k += 8) {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + k));
    const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16);
    _mm256_storeu_ps(to + k, _mm256_castsi256_ps(wide));
  }
}

// The value of a row's activation for all columns.
VQ_INLINE __m512 spread_float(const float* from) { return held(_mm512_set1_ps(*from)); }

// Rows of a segment as a unit takes them, from k on.
template <class Value>
struct some_rows {
  const Value* first;
  index_type step;
};

// 1 to 4 rows. A unit has sums for them, and
//   value                 what it multiplies: float, bfloat16 or int8
//   start(row, sums, i)   clears the sums of a row; sums[i] is that of its codes in the segment
//   step(codes, x)        adds a step of 8 k
//   take(row, j)          the sums of 16 columns as floats
template <class Unit, class A>
VQ_INLINE void stream_rows(Unit unit, const weight_only& w, const std::uint8_t* record,
                           const activation_rows<A>& x, float* sums) {
  using value = typename Unit::value;
  constexpr int rows = Unit::rows;
#pragma GCC unroll 16
  for (int i = 0; i < 4 * rows; ++i) _mm512_storeu_ps(sums + 16 * i, _mm512_setzero_ps());
  const index_type depth = w.depth(), record_bytes = w.record_bytes(), bytes = w.step_bytes();
  const index_type segments = w.segments();
  index_type segment = 0;
  for (index_type begin = 0; begin < depth; begin += w.block, record += record_bytes) {
    const index_type count = depth - begin < w.block ? depth - begin : w.block;
    const std::uint8_t* codes = record;
    prefetch(record + w.code_bytes(), record_bytes - w.code_bytes());
    for (index_type from = 0; from < count; from += weight_only::longest, ++segment) {
      const index_type length =
          count - from < weight_only::longest ? count - from : weight_only::longest;
      some_rows<value> values;
      float widened[std::is_same_v<A, value> ? 1 : rows * weight_only::longest];
      if constexpr (std::is_same_v<A, value>) {
        values = {x.first + begin + from, x.step};
      } else {
        for (int r = 0; r < rows; ++r) {
          widen(x.first + r * x.step + begin + from, length, widened + r * weight_only::longest);
        }
        values = {widened, weight_only::longest};
      }
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) unit.start(r, x.sums, r * segments + segment);
      for (index_type k = 0; k < length; k += weight_only::step, codes += bytes) {
        prefetch(codes, bytes);
        unit.step(codes, values);
        values.first += weight_only::step;
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512 scale = scales_at(w, record, 16 * j);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
          float* const to = sums + r * weight_only::columns + 16 * j;
          _mm512_storeu_ps(to, _mm512_fmadd_ps(unit.take(r, j), scale, _mm512_loadu_ps(to)));
        }
      }
    }
  }
}

// Calls f with the number of rows as a constant.
template <class F>
VQ_INLINE void with_rows(index_type rows, F f) {
  if (rows == 1) f(std::integral_constant<int, 1>{});
  if (rows == 2) f(std::integral_constant<int, 2>{});
  if (rows == 3) f(std::integral_constant<int, 3>{});
  if (rows == 4) f(std::integral_constant<int, 4>{});
}

// Codes of 4 bits, activations that are multiplied as floats.
template <int Rows>
struct float_rows {
  using value = float;
  static constexpr int rows = Rows;
  __m512 table;
  __m512 sum[std::size_t{Rows}][4];

  VQ_INLINE void start(int r, const std::int32_t*, index_type) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[r][j] = _mm512_setzero_ps();
  }
  // vpermps sees 4 bits of a word: those of every other code begin a byte.
  VQ_INLINE void step(const std::uint8_t* codes, some_rows<float> x) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m512 low[std::size_t{Rows}], high[std::size_t{Rows}];
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        low[r] = spread_float(x.first + r * x.step + i % 2 * 4 + i / 2);
        high[r] = spread_float(x.first + r * x.step + i % 2 * 4 + i / 2 + 2);
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i word = load_bytes(codes + 64 * j + i);
        add(j, word, low);
        add(j, _mm512_srli_epi32(word, 4), high);
      }
    }
  }
  VQ_INLINE __m512 take(int r, int j) const { return sum[r][j]; }

 private:
  VQ_INLINE void add(int j, __m512i index, const __m512 (&x)[std::size_t{Rows}]) {
    const __m512 level = _mm512_permutexvar_ps(index, table);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) sum[r][j] = _mm512_fmadd_ps(level, x[r], sum[r][j]);
  }
};

template <class A, class Arch>
struct float_unit_avx512 : float_unit<A, Arch> {
  static constexpr bool streams(const weight_only& w) { return w.bits == 4 && !w.zero_points; }
  VQ_INLINE static void stream(const weight_only& w, const std::uint8_t* record,
                               const activation_rows<A>& x, float* sums) {
    float levels[16];
    levels_for<A>(w, levels);
    const __m512 table = _mm512_loadu_ps(levels);
    with_rows(x.count, [&](auto rows) {
      stream_rows(float_rows<decltype(rows)::value>{table, {}}, w, record, x, sums);
    });
  }
};

template <std::derived_from<avx512> Arch>
struct weight_unit<float, Arch> : float_unit_avx512<float, Arch> {};
template <std::derived_from<avx512> Arch>
struct weight_unit<bfloat16, Arch> : float_unit_avx512<bfloat16, Arch> {};

}  // namespace vq::inline v1::simd
#endif

#endif
