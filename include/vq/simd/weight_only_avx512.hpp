// Products with packed weights on AVX-512: what weight_only.hpp leaves to instruction sets.
//
//   avx512         float activations, one row: half a shift, vpermps and a product for 16 weights
//   avx512_vnni    int8 activations: levels + 128 as unsigned bytes times signed codes (vpdpbusd);
//                  sums start from -128 times the sum of the codes of the segment
//   avx512_bf16    pairs of bfloat16 (vdpbf16ps), looked up by vpermw
//
// vpermw sees 5 bits of each index: the table holds the 16 levels twice, so that the next code's
// lowest bit does not matter; vpermb sees 6 bits. Lookups so need shifts but no masks. One row is
// read once, in order, and asked for ahead of time.
#ifndef VQ_SIMD_WEIGHT_ONLY_AVX512_HPP
#define VQ_SIMD_WEIGHT_ONLY_AVX512_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

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

// 16 scales of a record as floats.
VQ_INLINE __m512 scales_at(const weight_only& w, const std::uint8_t* record, index_type column) {
  const std::uint8_t* from = record + w.code_bytes();
  if (w.scales == scale_format::float32) return _mm512_loadu_ps(from + 4 * column);
  const __m256i narrow = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 2 * column));
  if (w.scales == scale_format::half) return _mm512_cvtph_ps(narrow);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

// What follows `bytes` bytes: into the second cache early, which keeps more of memory's requests in
// flight than the first can, and into the first in time.
VQ_INLINE void prefetch(const std::uint8_t* at, index_type bytes) {
  for (index_type line = 0; line < bytes; line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(at) + line + 8192, _MM_HINT_T1);
    _mm_prefetch(reinterpret_cast<const char*>(at) + line + 2048, _MM_HINT_T0);
  }
}

// `count` activations, a multiple of 8, as the unit takes them.
template <class Unit, class A>
VQ_INLINE const A* widen(const A* x, index_type, float*, const Unit&) {
  return x;
}
template <class A>
struct float_row;
VQ_INLINE const float* widen(const bfloat16* x, index_type count, float* to,
                             const float_row<bfloat16>&) {
  for (index_type k = 0; k < count; k += 8) {
    const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + k));
    const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(narrow), 16);
    _mm256_storeu_ps(to + k, _mm256_castsi256_ps(wide));
  }
  return to;
}

// One row: calls unit.step(codes, x) for every step of 8 k of a record, which adds to its sums;
// unit.take(j) gives them as floats and clears them.
template <class Unit, class A>
VQ_INLINE void stream_row(Unit unit, const weight_only& w, const std::uint8_t* record, const A* x,
                          const std::int32_t* segment_sums, float* sums) {
  __m512 all[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                   _mm512_setzero_ps()};
  const index_type depth = w.depth(), record_bytes = w.record_bytes(), bytes = w.step_bytes();
  for (index_type begin = 0; begin < depth; begin += w.block, record += record_bytes) {
    const index_type count = depth - begin < w.block ? depth - begin : w.block;
    const std::uint8_t* codes = record;
    prefetch(record + w.code_bytes(), record_bytes - w.code_bytes());
    for (index_type from = 0; from < count; from += weight_only::longest) {
      const index_type end =
          from + weight_only::longest < count ? from + weight_only::longest : count;
      float widened[weight_only::longest];
      const auto* values = widen(x + begin + from, end - from, widened, unit);
      unit.start(segment_sums);
      if (segment_sums != nullptr) ++segment_sums;
      for (index_type k = from; k < end; k += weight_only::step, codes += bytes) {
        prefetch(codes, bytes);
        unit.step(codes, values + (k - from));
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        all[j] = _mm512_fmadd_ps(unit.take(j), scales_at(w, record, 16 * j), all[j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) _mm512_storeu_ps(sums + 16 * j, all[j]);
}

// Codes of 4 bits, activations that are multiplied as floats.
template <class A>
struct float_row {
  __m512 table;
  __m512 sum[4];

  VQ_INLINE void start(const std::int32_t*) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[j] = _mm512_setzero_ps();
  }
  // vpermps sees 4 bits of a word: those of every other code begin a byte.
  VQ_INLINE void step(const std::uint8_t* codes, const float* x) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512 low = _mm512_set1_ps(x[i % 2 * 4 + i / 2]);
      const __m512 high = _mm512_set1_ps(x[i % 2 * 4 + i / 2 + 2]);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512i word = load_bytes(codes + 64 * j + i);
        add(sum[j], word, low);
        add(sum[j], _mm512_srli_epi32(word, 4), high);
      }
    }
  }
  VQ_INLINE __m512 take(int j) const { return sum[j]; }

 private:
  VQ_INLINE void add(__m512& to, __m512i index, __m512 x) const {
    to = _mm512_fmadd_ps(_mm512_permutexvar_ps(index, table), x, to);
  }
};

template <class A, class Arch>
struct float_unit_avx512 : float_unit<A, Arch> {
  static constexpr bool streams(const weight_only& w) { return w.bits == 4 && !w.zero_points; }
  VQ_INLINE static void stream(const weight_only& w, const std::uint8_t* record,
                               const activation_rows<A>& x, float* sums) {
    float levels[16];
    levels_for<A>(w, levels);
    stream_row(float_row<A>{_mm512_loadu_ps(levels), {}}, w, record, x.first, nullptr, sums);
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

template <class Arch>
struct byte_row {
  byte_table<Arch> table;
  __m512i sum[2][4];

  VQ_INLINE void start(const std::int32_t* sum_of_codes) {
    const __m512i shift = _mm512_slli_epi32(spread_word(sum_of_codes), 7);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum[0][j] = _mm512_setzero_si512();
      sum[1][j] = _mm512_sub_epi32(_mm512_setzero_si512(), shift);
    }
  }
  VQ_INLINE void step(const std::uint8_t* codes, const std::int8_t* x) {
    const __m512i even = spread_word(x), odd = spread_word(x + 4);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i word = load_bytes(codes + 64 * j);
      add_bytes(sum[0][j], table.low(word), even);
      add_bytes(sum[1][j], table.high(word), odd);
    }
  }
  VQ_INLINE __m512 take(int j) const {
    return _mm512_cvtepi32_ps(_mm512_add_epi32(sum[0][j], sum[1][j]));
  }
};

// Codes of 8 bits.
template <class Arch>
struct whole_byte_row : byte_row<Arch> {
  VQ_INLINE void step(const std::uint8_t* codes, const std::int8_t* x) {
    const __m512i even = spread_word(x), odd = spread_word(x + 4);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      add_bytes(this->sum[0][j], load_bytes(codes + 64 * j), even);
      add_bytes(this->sum[1][j], load_bytes(codes + 256 + 64 * j), odd);
    }
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
    const byte_row<Arch> row{byte_table<Arch>(w), {}};
    if (w.bits == 4) {
      stream_row(row, w, record, x.first, x.sums, sums);
    } else {
      stream_row(whole_byte_row<Arch>{row}, w, record, x.first, x.sums, sums);
    }
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

  VQ_INLINE static sum start(const std::int32_t* sum_of_codes) {
    return _mm512_set1_epi32(-128 * *sum_of_codes);
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

struct pair_row {
  __m512i table;
  __m512 sum[2][4];

  VQ_INLINE void start(const std::int32_t*) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sum[0][j] = sum[1][j] = _mm512_setzero_ps();
  }
  VQ_INLINE void step(const std::uint8_t* codes, const bfloat16* x) {
    __m512i spread[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) spread[i] = spread_word(x + 2 * i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      // One byte further lie the pairs 2 and 3.
      const __m512i first = load_bytes(codes + 64 * j), second = load_bytes(codes + 64 * j + 1);
      add(sum[0][j], first, spread[0]);
      add(sum[1][j], _mm512_srli_epi32(first, 4), spread[1]);
      add(sum[0][j], second, spread[2]);
      add(sum[1][j], _mm512_srli_epi32(second, 4), spread[3]);
    }
  }
  VQ_INLINE __m512 take(int j) const { return _mm512_add_ps(sum[0][j], sum[1][j]); }

 private:
  VQ_INLINE void add(__m512& to, __m512i index, __m512i x) const {
    add_pairs(to, _mm512_permutexvar_epi16(index, table), x);
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
    stream_row(pair_row{pair_table(w), {}}, w, record, x.first, nullptr, sums);
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

  VQ_INLINE static sum start(const std::int32_t*) { return _mm512_setzero_ps(); }
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
