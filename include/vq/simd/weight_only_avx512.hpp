// Products with packed weights on AVX-512: what weight_only.hpp leaves to instruction sets.
//
//   avx512         float activations, one row: half a shift, vpermps and a product for 16 weights
//   avx512_vnni    int8 activations: levels + 128 as unsigned bytes times signed codes (vpdpbusd);
//                  sums start from -128 times the sum of the codes of the segment
//   avx512_bf16    pairs of bfloat16 (vdpbf16ps), looked up by vpermw
//
// vpermw sees 5 bits of each index: the table holds the 16 levels twice, so that the next code's
// lowest bit does not matter; vpermb sees 6 bits. Lookups so need shifts but no masks. For up to 4
// rows codes are decoded in registers; they are read once, in order, and asked for ahead of time.
#ifndef VQ_SIMD_WEIGHT_ONLY_AVX512_HPP
#define VQ_SIMD_WEIGHT_ONLY_AVX512_HPP

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
#include <vq/simd/weight_only_decode.hpp>

#if defined(__AVX512F__) && defined(__AVX512BW__)
namespace vq::inline v1::simd {

VQ_INLINE __m512i load_bytes(const void* from) { return _mm512_loadu_si512(from); }
VQ_INLINE __m512i spread_word(const void* from) {
  std::int32_t word;
  std::memcpy(&word, from, 4);
  return _mm512_set1_epi32(word);
}
// Keeps a value in its register: GCC would rather load it from memory again for every use.
VQ_INLINE __m512i keep(__m512i x) {
  asm("" : "+v"(x));
  return x;
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

// The value of a row's activation for all columns, kept in its register: GCC would rather load it
// again for every use.
VQ_INLINE __m512 spread_float(const float* from) {
  __m512 value = _mm512_set1_ps(*from);
  asm("" : "+v"(value));
  return value;
}

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

#if defined(__AVX512VNNI__)
// sum += b * x, unsigned by signed bytes. In assembly: GCC 12 copies the sums of the intrinsic from
// register to register, and with 24 of them to memory and back.
VQ_INLINE void add_bytes(__m512i& sum, __m512i b, __m512i x) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(b), "v"(x));
}

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <std::derived_from<simd::avx512_vnni> Arch>
struct kernel<quantize_activations, simd::on<Arch>> {
  [[gnu::flatten]] std::int32_t operator()(const float* x, index_type count, affine_param p,
                                           std::int8_t* codes) const noexcept {
    using V = simd::floats<Arch>;
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i in_step =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
    __m512i sums = _mm512_setzero_si512();
    for (index_type k = 0; k < count; k += 64) {
      const index_type left = count - k;
      const std::uint64_t mask = left < 64 ? (std::uint64_t{1} << left) - 1 : ~std::uint64_t{0};
      __m512i wide[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        const auto part = static_cast<__mmask16>(mask >> (16 * i) & 0xffff);
        const V values = _mm512_maskz_loadu_ps(part, x + k + 16 * i);
        wide[i] = _mm512_cvtps_epi32(uniform<8>{}.encode(values, p));
      }
      const __m512i packed = _mm512_packs_epi16(_mm512_packs_epi32(wide[0], wide[1]),
                                                _mm512_packs_epi32(wide[2], wide[3]));
      const __m512i narrow = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(order, packed), in_step);
      simd::add_bytes(sums, _mm512_set1_epi8(1), narrow);
      _mm512_mask_storeu_epi8(codes + k, mask, narrow);
    }
    return _mm512_reduce_add_epi32(sums);
  }
};

}  // namespace vq::inline v1

namespace vq::inline v1::simd {

template <class Arch>
concept permutes_bytes = std::derived_from<Arch, avx512_bf16>;

// Levels + 128, for the low and the high nibble of each byte.
template <class Arch>
struct byte_table {
  __m512i levels;

  VQ_INLINE explicit byte_table(const weight_only& w) {
    const __m128i once = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w.integer_levels));
    levels = _mm512_broadcast_i32x4(_mm_xor_si128(once, _mm_set1_epi8(-128)));
  }
  VQ_INLINE __m512i low(__m512i codes) const {
#if defined(__AVX512VBMI__)
    if constexpr (permutes_bytes<Arch>) return _mm512_permutexvar_epi8(codes, levels);
#endif
    return _mm512_shuffle_epi8(levels, _mm512_and_si512(codes, _mm512_set1_epi8(15)));
  }
  VQ_INLINE __m512i high(__m512i codes) const { return low(_mm512_srli_epi32(codes, 4)); }
};

// One row has two sums for each column, so that no product waits for another.
template <class Arch, int Bits, int Rows>
struct byte_rows {
  using value = std::int8_t;
  static constexpr int rows = Rows;
  static constexpr std::size_t sets = Rows == 1 ? 2 : 1;
  byte_table<Arch> table;
  __m512i sum[sets][std::size_t{Rows}][4];

  VQ_INLINE void start(int r, const std::int32_t* sums_of_codes, index_type i) {
    const __m512i first = _mm512_set1_epi32(-128 * sums_of_codes[i]);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum[0][r][j] = first;
      if (sets == 2) sum[sets - 1][r][j] = _mm512_setzero_si512();
    }
  }
  VQ_INLINE void step(const std::uint8_t* codes, some_rows<std::int8_t> x) {
    __m512i even[std::size_t{Rows}], odd[std::size_t{Rows}];
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      even[r] = keep(spread_word(x.first + r * x.step));
      odd[r] = keep(spread_word(x.first + r * x.step + 4));
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i word = load_bytes(codes + 64 * j);
      const __m512i low = Bits == 8 ? word : table.low(word);
      const __m512i high = Bits == 8 ? load_bytes(codes + 256 + 64 * j) : table.high(word);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        add_bytes(sum[0][r][j], low, even[r]);
        add_bytes(sum[sets - 1][r][j], high, odd[r]);
      }
    }
  }
  VQ_INLINE __m512 take(int r, int j) const {
    if constexpr (sets == 1) return _mm512_cvtepi32_ps(sum[0][r][j]);
    return _mm512_cvtepi32_ps(_mm512_add_epi32(sum[0][r][j], sum[sets - 1][r][j]));
  }
};

template <std::derived_from<avx512_vnni> Arch>
struct weight_unit<std::int8_t, Arch> {
  using V = floats<Arch>;
  using sum = __m512i;
  static constexpr int vectors = 4;
  static constexpr index_type k_of_word = 4;

  static constexpr bool streams(const weight_only& w) { return !w.zero_points; }
  VQ_INLINE static void stream(const weight_only& w, const std::uint8_t* record,
                               const activation_rows<std::int8_t>& x, float* sums) {
    const byte_table<Arch> table(w);
    with_rows(x.count, [&](auto rows) {
      constexpr int count = decltype(rows)::value;
      if (w.bits == 4) {
        stream_rows(byte_rows<Arch, 4, count>{table, {}}, w, record, x, sums);
      } else {
        stream_rows(byte_rows<Arch, 8, count>{table, {}}, w, record, x, sums);
      }
    });
  }

  VQ_INLINE static const std::byte* decode(const weight_only& w, const std::uint8_t* record,
                                           index_type first, index_type steps, std::byte* panel) {
    const std::uint8_t* codes = record + first * w.step_bytes();
    if (w.bits == 8) return reinterpret_cast<const std::byte*>(codes);
    const byte_table<Arch> table(w);
    __m512i zero[4] = {};
    if (w.zero_points) {
      const std::uint8_t* from = record + w.code_bytes() + 64 * scale_bytes(w.scales);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16 * j));
        zero[j] = _mm512_mullo_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(0x01010101));
      }
    }
    std::byte* to = panel;
    for (index_type s = 0; s < steps; ++s, codes += 256, to += 512) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i word = load_bytes(codes + 64 * j);
        _mm512_storeu_si512(to + 64 * j, _mm512_sub_epi8(table.low(word), zero[j]));
        _mm512_storeu_si512(to + 256 + 64 * j, _mm512_sub_epi8(table.high(word), zero[j]));
      }
    }
    return panel;
  }

  struct row_block {
    const std::byte* first;
    index_type step;
  };
  VQ_INLINE static row_block rows(const activation_rows<std::int8_t>& x, index_type m, index_type,
                                  index_type k, index_type, std::byte*) {
    return {reinterpret_cast<const std::byte*>(x.first + m * x.step + k), x.step};
  }

  VQ_INLINE static sum start(const std::int32_t* sums_of_codes, index_type i) {
    return _mm512_set1_epi32(-128 * sums_of_codes[i]);
  }
  VQ_INLINE static __m512i load(const std::byte* b) { return keep(load_bytes(b)); }
  VQ_INLINE static __m512i spread(const std::byte* x) { return keep(spread_word(x)); }
  VQ_INLINE static void add(sum& s, __m512i x, __m512i b) { add_bytes(s, b, x); }
  VQ_INLINE static V to_floats(sum s) { return _mm512_cvtepi32_ps(s); }
};
#endif

#if defined(__AVX512BF16__)
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
        even[r] = keep(spread_word(x.first + r * x.step + 4 * i));
        odd[r] = keep(spread_word(x.first + r * x.step + 4 * i + 2));
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
  VQ_INLINE static __m512i load(const std::byte* b) { return keep(load_bytes(b)); }
  VQ_INLINE static __m512i spread(const std::byte* x) { return keep(spread_word(x)); }
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
#endif

}  // namespace vq::inline v1::simd
#endif

#endif
