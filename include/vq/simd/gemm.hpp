// The 8-bit integer product on registers: multiply_panel for each instruction set.
//
//   avx512_vnni    vpdpbusd: 4 steps of 16 columns an instruction; signed a is taken as a + 128
//   avx512, avx2   widened to 16 bits, vpmaddwd: two products of at most 2^15 each in int32
//   neon_dotprod   sdot; unsigned a is taken as a - 128
//   neon           smull into 16 bits (one product of at most 2^14), pairs added into 32 bits
//
// No step can saturate or overflow, whatever the codes. All share one loop over rows, columns and
// segments; an instruction set says how a block of 16 columns by 4 steps of k is loaded, multiplied
// and stored.
#ifndef VQ_SIMD_GEMM_HPP
#define VQ_SIMD_GEMM_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include <vq/nn/gemm.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

#if defined(__x86_64__)
// Keeps a value in its register: GCC would rather load it from memory again for every use, and a
// load of 64 bytes costs as much as the instruction that it feeds.
template <class V>
VQ_INLINE V held(V x) {
  asm("" : "+v"(x));
  return x;
}
#endif

// For one instruction set and one type of codes:
//   block, sums              16 columns of b for 4 steps of k; their 16 accumulators
//   shift                    what is added to the codes of a (see multiply_panel)
//   tile_blocks, tile_rows   how many blocks and rows are in registers at once
//   load(b), spread(bits)    a block; four codes of a for all columns
//   add(sums, codes, block)  multiplies and accumulates
//   store(sums, start, c)    c[n] = start[n] + sums[n]
template <class A, class Arch>
struct panel_block;

#if defined(__x86_64__)

template <class A>
struct panel_block<A, avx512_vnni> {
  struct sums {
    __m512i v = _mm512_setzero_si512();
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 128 : 0; }
  static constexpr int tile_blocks = 4;
  static constexpr int tile_rows(int blocks) { return blocks == 4 ? 4 : 8; }

  VQ_INLINE static __m512i load(const std::int8_t* b) { return held(_mm512_loadu_si512(b)); }
  VQ_INLINE static __m512i spread(std::int32_t bits) {
    const __m512i codes = _mm512_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm512_xor_si512(codes, _mm512_set1_epi8(-128)) : codes;
  }
  VQ_INLINE static void add(sums& s, __m512i a, __m512i b) { s.v = _mm512_dpbusd_epi32(s.v, a, b); }
  VQ_INLINE static void store(const sums& s, const std::int32_t* start, std::int32_t* c) {
    _mm512_storeu_si512(c, _mm512_add_epi32(s.v, _mm512_loadu_si512(start)));
  }
};

template <class A>
struct panel_block<A, avx512_bf16> : panel_block<A, avx512_vnni> {};

template <class A>
struct panel_block<A, avx512> {
  struct block {
    __m512i v[2];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m512i v[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  };
  static constexpr std::int32_t shift() noexcept { return 0; }
  static constexpr int tile_blocks = 2;
  static constexpr int tile_rows(int blocks) { return blocks == 2 ? 4 : 8; }

  VQ_INLINE static block load(const std::int8_t* b) {
    const auto* from = reinterpret_cast<const __m256i*>(b);
    return {{held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from))),
             held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from + 1)))}};
  }
  VQ_INLINE static __m512i spread(std::int32_t bits) {
    const __m256i codes = _mm256_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm512_cvtepi8_epi16(codes) : _mm512_cvtepu8_epi16(codes);
  }
  VQ_INLINE static void add(sums& s, __m512i a, const block& b) {
    s.v[0] = _mm512_add_epi32(s.v[0], _mm512_madd_epi16(a, b.v[0]));
    s.v[1] = _mm512_add_epi32(s.v[1], _mm512_madd_epi16(a, b.v[1]));
  }
  VQ_INLINE static void store(const sums& s, const std::int32_t* start, std::int32_t* c) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const __m512i sum = _mm512_add_epi32(_mm512_permutex2var_epi32(s.v[0], even, s.v[1]),
                                         _mm512_permutex2var_epi32(s.v[0], odd, s.v[1]));
    _mm512_storeu_si512(c, _mm512_add_epi32(sum, _mm512_loadu_si512(start)));
  }
};

template <class A>
struct panel_block<A, avx2> {
  struct block {
    __m256i v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m256i v[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};
  };
  static constexpr std::int32_t shift() noexcept { return 0; }
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 2; }

  VQ_INLINE static block load(const std::int8_t* b) {
    const auto* from = reinterpret_cast<const __m128i*>(b);
    return {{held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 1))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 2))),
             held(_mm256_cvtepi8_epi16(_mm_loadu_si128(from + 3)))}};
  }
  VQ_INLINE static __m256i spread(std::int32_t bits) {
    const __m128i codes = _mm_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm256_cvtepi8_epi16(codes) : _mm256_cvtepu8_epi16(codes);
  }
  VQ_INLINE static void add(sums& s, __m256i a, const block& b) {
    s.v[0] = _mm256_add_epi32(s.v[0], _mm256_madd_epi16(a, b.v[0]));
    s.v[1] = _mm256_add_epi32(s.v[1], _mm256_madd_epi16(a, b.v[1]));
    s.v[2] = _mm256_add_epi32(s.v[2], _mm256_madd_epi16(a, b.v[2]));
    s.v[3] = _mm256_add_epi32(s.v[3], _mm256_madd_epi16(a, b.v[3]));
  }
  VQ_INLINE static void store(const sums& s, const std::int32_t* start, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 2; ++i) {  // 8 columns each; hadd works in 128-bit halves
      const __m256i halves = _mm256_hadd_epi32(s.v[2 * i], s.v[2 * i + 1]);
      const __m256i sum = _mm256_permute4x64_epi64(halves, 0xd8);
      const auto* from = reinterpret_cast<const __m256i*>(start + 8 * i);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + 8 * i),
                          _mm256_add_epi32(sum, _mm256_loadu_si256(from)));
    }
  }
};

#elif defined(__aarch64__)

template <class A>
struct panel_block<A, neon_dotprod> {
  struct block {
    int8x16_t v[4];
  };
  struct sums {
    int32x4_t v[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 0 : -128; }
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 4; }

  VQ_INLINE static block load(const std::int8_t* b) {
    return {{vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)}};
  }
  VQ_INLINE static int8x16_t spread(std::int32_t bits) {
    const int8x16_t codes = vreinterpretq_s8_s32(vdupq_n_s32(bits));
    return std::is_signed_v<A> ? codes : veorq_s8(codes, vdupq_n_s8(-128));
  }
  VQ_INLINE static void add(sums& s, int8x16_t a, const block& b) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) s.v[i] = vdotq_s32(s.v[i], a, b.v[i]);
  }
  VQ_INLINE static void store(const sums& s, const std::int32_t* start, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) vst1q_s32(c + 4 * i, vaddq_s32(s.v[i], vld1q_s32(start + 4 * i)));
  }
};

template <class A>
struct panel_block<A, neon> {
  struct block {
    int8x16_t v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    int32x4_t v[8] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0),
                      vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  };
  static constexpr std::int32_t shift() noexcept { return std::is_signed_v<A> ? 0 : -128; }
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 2; }

  VQ_INLINE static block load(const std::int8_t* b) {
    return {{vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)}};
  }
  VQ_INLINE static int8x16_t spread(std::int32_t bits) {
    const int8x16_t codes = vreinterpretq_s8_s32(vdupq_n_s32(bits));
    return std::is_signed_v<A> ? codes : veorq_s8(codes, vdupq_n_s8(-128));
  }
  VQ_INLINE static void add(sums& s, int8x16_t a, const block& b) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      s.v[2 * i] = vpadalq_s16(s.v[2 * i], vmull_s8(vget_low_s8(a), vget_low_s8(b.v[i])));
      s.v[2 * i + 1] = vpadalq_s16(s.v[2 * i + 1], vmull_high_s8(a, b.v[i]));
    }
  }
  VQ_INLINE static void store(const sums& s, const std::int32_t* start, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      const int32x4_t sum = vpaddq_s32(s.v[2 * i], s.v[2 * i + 1]);
      vst1q_s32(c + 4 * i, vaddq_s32(sum, vld1q_s32(start + 4 * i)));
    }
  }
};

#endif

template <class A, class Arch>
concept has_panel_block = requires { panel_block<A, Arch>::shift(); };

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code A, class Arch>
  requires simd::has_panel_block<A, Arch>
struct kernel<multiply_panel<A>, simd::on<Arch>> {
  using unit = simd::panel_block<A, Arch>;
  static constexpr std::int32_t shift() noexcept { return unit::shift(); }

  [[gnu::flatten]] void operator()(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                                   index_type blocks, const std::int32_t* start, std::int32_t* c,
                                   index_type c_step) const noexcept {
    if (a.depth % panel::group == 0) {
      columns<whole_groups>(a, b, b_step, blocks, start, c, c_step);
    } else {
      columns<ragged_end>(a, b, b_step, blocks, start, c, c_step);
    }
  }

 private:
  struct whole_groups {};
  struct ragged_end {};  // the last group of every segment has fewer codes than 4

  template <class End>
  VQ_INLINE static void columns(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                                index_type blocks, const std::int32_t* start, std::int32_t* c,
                                index_type c_step) {
    constexpr int many = unit::tile_blocks;
    index_type j = 0;
    for (; j + many <= blocks; j += many) {
      rows<End, many>(a, b + j * b_step, b_step, start + j * 16, c + j * 16, c_step);
    }
    for (; many > 1 && j < blocks; ++j) {
      rows<End, 1>(a, b + j * b_step, b_step, start + j * 16, c + j * 16, c_step);
    }
  }

  template <class End, std::size_t Blocks>
  VQ_INLINE static void rows(const code_rows<A>& a, const std::int8_t* b, index_type b_step,
                             const std::int32_t* start, std::int32_t* c, index_type c_step) {
    constexpr int many = unit::tile_rows(Blocks);
    index_type m = 0;
    for (; m + many <= a.count; m += many) {
      tile<End, many, Blocks>(a, m, b, b_step, start, c + m * c_step, c_step);
    }
    for (; m < a.count; ++m) tile<End, 1, Blocks>(a, m, b, b_step, start, c + m * c_step, c_step);
  }

  template <class End, std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void tile(const code_rows<A>& a, index_type m, const std::int8_t* b,
                             index_type b_step, const std::int32_t* start, std::int32_t* c,
                             index_type c_step) {
    typename unit::sums sums[Rows][Blocks];
    for (index_type i = 0; i < a.outer; ++i) {
      for (index_type j = 0; j < a.inner; ++j) {
        const A* codes = a.first + m * a.step + i * a.outer_step + j * a.inner_step;
        index_type left = a.depth;
        for (; left >= panel::group; left -= panel::group) {
          step(sums, codes, a.step, panel::group, b, b_step);
          codes += panel::group;
          b += 16 * panel::group;
        }
        if constexpr (std::is_same_v<End, ragged_end>) {
          step(sums, codes, a.step, left, b, b_step);
          b += 16 * panel::group;
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) {
        unit::store(sums[r][j], start + j * 16, c + r * c_step + j * 16);
      }
    }
  }

  // The next `count` <= 4 steps of k.
  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void step(typename unit::sums (&sums)[Rows][Blocks], const A* codes,
                             index_type a_step, index_type count, const std::int8_t* b,
                             index_type b_step) {
    decltype(unit::load(b)) block[Blocks];
#pragma GCC unroll 8
    for (int j = 0; j < int{Blocks}; ++j) block[j] = unit::load(b + j * b_step);
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
      const auto spread = unit::spread(bits(codes + r * a_step, count));
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) unit::add(sums[r][j], spread, block[j]);
    }
  }

  VQ_INLINE static std::int32_t bits(const A* codes, index_type count) {
    std::int32_t four = 0;
    if (count == panel::group) {
      std::memcpy(&four, codes, sizeof four);
    } else {
      while (count-- > 0) four = four << 8 | static_cast<std::uint8_t>(codes[count]);
    }
    return four;
  }
};

}  // namespace vq::inline v1

#endif
