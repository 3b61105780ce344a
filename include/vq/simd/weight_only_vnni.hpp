// Products of int8 activations with packed weights by vpdpbusd: levels + 128 as unsigned bytes times
// signed codes. Sums start from -128 times the sum of the codes of the segment.
#ifndef VQ_SIMD_WEIGHT_ONLY_VNNI_HPP
#define VQ_SIMD_WEIGHT_ONLY_VNNI_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/nn/weight_only.hpp>
#include <vq/simd/dot_product.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/held.hpp>
#include <vq/simd/weight_only_stream.hpp>

#if defined(__AVX512VNNI__)
namespace vq::inline v1 {

template <std::derived_from<simd::avx512_vnni> Arch>
struct kernel<quantize_activations, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const float* x, index_type count, affine_param p,
                                   index_type group, std::int8_t* codes,
                                   std::int32_t* sums) const noexcept {
    using V = simd::floats<Arch>;
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i in_step =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15));
    std::int32_t sums_of_four[weight_only::longest / 4];
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
      __m512i fours = _mm512_setzero_si512();
      simd::dot_product<std::uint8_t, Arch>::add(fours, _mm512_set1_epi8(1), narrow);
      _mm512_storeu_si512(sums_of_four + k / 4, fours);
      _mm512_mask_storeu_epi8(codes + k, mask, narrow);
    }
    const std::int32_t* four = sums_of_four;
    for (index_type k = 0; k < count; k += group) {
      const std::int32_t* const end = four + (count - k < group ? count - k : group) / 4;
      std::int32_t sum = 0;
      for (; four != end; ++four) sum += *four;
      *sums++ = sum;
    }
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
      even[r] = held(spread_word(x.first + r * x.step));
      odd[r] = held(spread_word(x.first + r * x.step + 4));
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m512i word = load_bytes(codes + 64 * j);
      const __m512i low = Bits == 8 ? word : table.low(word);
      const __m512i high = Bits == 8 ? load_bytes(codes + 256 + 64 * j) : table.high(word);
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        dot_product<std::uint8_t, Arch>::add(sum[0][r][j], low, even[r]);
        dot_product<std::uint8_t, Arch>::add(sum[sets - 1][r][j], high, odd[r]);
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
  VQ_INLINE static __m512i load(const std::byte* b) { return held(load_bytes(b)); }
  VQ_INLINE static __m512i spread(const std::byte* x) { return held(spread_word(x)); }
  VQ_INLINE static void add(sum& s, __m512i x, __m512i b) {
    dot_product<std::uint8_t, Arch>::add(s, b, x);
  }
  VQ_INLINE static V to_floats(sum s) { return _mm512_cvtepi32_ps(s); }
};

}  // namespace vq::inline v1::simd
#endif

#endif
