// Products of bfloat16 activations with packed weights by vdpbf16ps, on pairs that vpermw looks up. It
// sees 5 bits of each index: the table holds the 16 levels twice, so that the next code's lowest bit
// does not matter, and lookups need shifts but no masks.
#ifndef VQ_SIMD_WEIGHT_ONLY_BF16_HPP
#define VQ_SIMD_WEIGHT_ONLY_BF16_HPP

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/weight_only.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/weight_only_stream.hpp>

#if defined(__AVX512BF16__)
namespace vq::inline v1::simd {

VQ_INLINE void add_pairs(__m512& sum, __m512i b, __m512i x) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(x));
}

// Levels rounded to bfloat16, twice; with zero points, the numbers 0..15, -16..-1.
VQ_INLINE __m512i pair_table(const weight_only& w) {
  __m512 low = _mm512_loadu_ps(w.levels), high = low;
  if (w.zero_points) high = _mm512_sub_ps(high, _mm512_set1_ps(16.f));
  const auto narrow = [](__m512 x) {  // to nearest even, for finite numbers
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(up, 16));
  };
  return _mm512_inserti64x4(_mm512_castsi256_si512(narrow(low)), narrow(high), 1);
}

template <int Rows>
struct pair_rows {
  using value = bfloat16;
  static constexpr int rows = Rows;
  static constexpr std::size_t sets = Rows == 1 ? 2 : 1;
  __m512i table;
  __m512 sum[sets][std::size_t{Rows}][4];

  VQ_INLINE void start(int r, const std::int32_t*, index_type) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum[0][r][j] = _mm512_setzero_ps();
      if (sets == 2) sum[sets - 1][r][j] = _mm512_setzero_ps();
    }
  }
  // One byte further lie the pairs 2 and 3.
  VQ_INLINE void step(const std::uint8_t* codes, some_rows<bfloat16> x) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      __m512i even[std::size_t{Rows}], odd[std::size_t{Rows}];
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        even[r] = held(spread_word(x.first + r * x.step + 4 * i));
        odd[r] = held(spread_word(x.first + r * x.step + 4 * i + 2));
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i word = load_bytes(codes + 64 * j + i);
        add(sum[0], j, word, even);
        add(sum[sets - 1], j, _mm512_srli_epi32(word, 4), odd);
      }
    }
  }
  VQ_INLINE __m512 take(int r, int j) const {
    if constexpr (sets == 1) return sum[0][r][j];
    return _mm512_add_ps(sum[0][r][j], sum[sets - 1][r][j]);
  }

 private:
  VQ_INLINE void add(__m512 (&to)[std::size_t{Rows}][4], int j, __m512i index,
                     const __m512i (&x)[std::size_t{Rows}]) const {
    const __m512i level = _mm512_permutexvar_epi16(index, table);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) add_pairs(to[r][j], level, x[r]);
  }
};

template <>
struct weight_unit<bfloat16, avx512_bf16> {
  using V = floats<avx512_bf16>;
  using sum = __m512;
  static constexpr int vectors = 4;
  static constexpr index_type k_of_word = 2;

  static constexpr bool streams(const weight_only& w) { return w.bits == 4 && !w.zero_points; }
  VQ_INLINE static void stream(const weight_only& w, const std::uint8_t* record,
                               const activation_rows<bfloat16>& x, float* sums) {
    const __m512i table = pair_table(w);
    with_rows(x.count, [&](auto rows) {
      stream_rows(pair_rows<decltype(rows)::value>{table, {}}, w, record, x, sums);
    });
  }

  VQ_INLINE static const std::byte* decode(const weight_only& w, const std::uint8_t* record,
                                           index_type first, index_type steps, std::byte* panel) {
    const std::uint8_t* codes = record + first * w.step_bytes();
    if (w.bits == 8) {
      decode_bytes(codes, steps, panel);
      return panel;
    }
    const __m512i table = pair_table(w);
    if (!w.zero_points) {
      for (index_type s = 0; s < steps; ++s, codes += 256, panel += 1024) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m512i first_two = load_bytes(codes + 64 * j);
          const __m512i last_two = load_bytes(codes + 64 * j + 1);
          put(panel, 0, j, first_two, table);
          put(panel, 1, j, _mm512_srli_epi32(first_two, 4), table);
          put(panel, 2, j, last_two, table);
          put(panel, 3, j, _mm512_srli_epi32(last_two, 4), table);
        }
      }
      return panel - steps * 1024;
    }
    const __m512i mask = _mm512_set1_epi16(15);
    const std::uint8_t* from = record + w.code_bytes() + 64 * scale_bytes(w.scales);
    __m512i zero[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * j));
      zero[j] = _mm512_mullo_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(0x00010001));
    }
    for (index_type s = 0; s < steps; ++s, codes += 256, panel += 1024) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i word = load_bytes(codes + 64 * j);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          const __m512i code =
              _mm512_and_si512(_mm512_srli_epi32(word, static_cast<unsigned>(4 * i)), mask);
          put(panel, i, j, _mm512_sub_epi16(code, zero[j]), table);
        }
      }
    }
    return panel - steps * 1024;
  }

  struct row_block {
    const std::byte* first;
    index_type step;
  };
  VQ_INLINE static row_block rows(const activation_rows<bfloat16>& x, index_type m, index_type,
                                  index_type k, index_type, std::byte*) {
    return {reinterpret_cast<const std::byte*>(x.first + m * x.step + k), 2 * x.step};
  }

  VQ_INLINE static sum start(const std::int32_t*, index_type) { return _mm512_setzero_ps(); }
  VQ_INLINE static __m512i load(const std::byte* b) { return held(load_bytes(b)); }
  VQ_INLINE static __m512i spread(const std::byte* x) { return held(spread_word(x)); }
  VQ_INLINE static void add(sum& s, __m512i x, __m512i b) { add_pairs(s, b, x); }
  VQ_INLINE static V to_floats(sum s) { return s; }

 private:
  VQ_INLINE static void put(std::byte* panel, int pair, int j, __m512i index, __m512i table) {
    _mm512_storeu_si512(panel + 256 * pair + 64 * j, _mm512_permutexvar_epi16(index, table));
  }
  // Integers up to 128 are bfloat16 numbers: the upper halves of two floats.
  VQ_INLINE static void decode_bytes(const std::uint8_t* codes, index_type steps,
                                     std::byte* panel) {
    const auto upper = [](__m512i code) {
      const __m512i centred = _mm512_sub_epi32(code, _mm512_set1_epi32(128));
      return _mm512_castps_si512(_mm512_cvtepi32_ps(centred));
    };
    const __m512i mask = _mm512_set1_epi32(255);
    for (index_type s = 0; s < steps; ++s, codes += 512, panel += 1024) {
      for (int h = 0; h < 2; ++h) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          const __m512i word = load_bytes(codes + 256 * h + 64 * j);
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {  // bytes i and i + 2: k and k + 1, of pair h + 2 * i
            const __m512i low = upper(
                _mm512_and_si512(_mm512_srli_epi32(word, static_cast<unsigned>(8 * i)), mask));
            const __m512i high = upper(
                _mm512_and_si512(_mm512_srli_epi32(word, static_cast<unsigned>(8 * i + 16)), mask));
            _mm512_storeu_si512(panel + 256 * (h + 2 * i) + 64 * j,
                                _mm512_or_si512(high, _mm512_srli_epi32(low, 16)));
          }
        }
      }
    }
  }
};

}  // namespace vq::inline v1::simd
#endif

#endif
