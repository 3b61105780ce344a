// The 8-bit integer product on registers: multiply_panel for each instruction set.
//
//   avx512_vnni    vpdpbusd: 4 steps of 16 columns an instruction; unsigned a (see product_codes)
//   avx512, avx2   widened to 16 bits, vpmaddwd: two products of at most 2^15 each in int32
//   neon_dotprod   sdot; signed a
//   neon           smull into 16 bits (one product of at most 2^14), pairs added into 32 bits; signed a
//
// No step can saturate or overflow, whatever the codes. All share one loop over panels, rows and
// segments; an instruction set says how a block of 16 columns by 4 steps of k is loaded, multiplied
// and stored. The sums of a tile stay in registers for the whole depth and, where finish.hpp knows
// the stage, until they are codes. Rows are dealt out evenly: 49 are 5 tiles of 5 and 4 of 6.
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
#include <vq/simd/finish.hpp>
#include <vq/simd/held.hpp>

namespace vq::inline v1::simd {

// For one instruction set and one type of codes:
//   block, sums              16 columns of b for 4 steps of k; their 16 accumulators
//   tile_blocks, tile_rows   how many blocks and, of those, rows are in registers at once
//   load(b), spread(bits)    a block; four codes of a for all columns
//   begin(start)             sums
//   add(sums, codes, block)  multiplies and accumulates
//   store(sums, c)
template <class A, class Arch>
struct panel_block;

#if defined(__AVX512VNNI__)

template <std::derived_from<avx512_vnni> Arch>
struct panel_block<std::uint8_t, Arch> {
  struct sums {
    __m512i v;
  };
  static constexpr int tile_blocks = 4;
  static constexpr int tile_rows(int) { return 6; }

  VQ_INLINE static __m512i load(const std::int8_t* b) { return held(_mm512_loadu_si512(b)); }
  VQ_INLINE static __m512i spread(std::int32_t bits) { return _mm512_set1_epi32(bits); }
  VQ_INLINE static sums begin(const std::int32_t* start) { return {_mm512_loadu_si512(start)}; }
  VQ_INLINE static void add(sums& s, __m512i a, __m512i b) { s.v = _mm512_dpbusd_epi32(s.v, a, b); }
  VQ_INLINE static __m512i total(const sums& s) { return s.v; }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { _mm512_storeu_si512(c, s.v); }
};

#endif
#if defined(__x86_64__)

template <class A>
struct panel_block<A, avx512> {
  struct block {
    __m512i v[2];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m512i v[2];
  };
  static constexpr int tile_blocks = 2;
  static constexpr int tile_rows(int blocks) { return blocks == 2 ? 4 : 6; }

  VQ_INLINE static block load(const std::int8_t* b) {
    const auto* from = reinterpret_cast<const __m256i*>(b);
    return {{held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from))),
             held(_mm512_cvtepi8_epi16(_mm256_loadu_si256(from + 1)))}};
  }
  VQ_INLINE static __m512i spread(std::int32_t bits) {
    const __m256i codes = _mm256_set1_epi32(bits);
    return std::is_signed_v<A> ? _mm512_cvtepi8_epi16(codes) : _mm512_cvtepu8_epi16(codes);
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    const auto* from = reinterpret_cast<const __m256i*>(start);
    return {{_mm512_cvtepu32_epi64(_mm256_loadu_si256(from)),
             _mm512_cvtepu32_epi64(_mm256_loadu_si256(from + 1))}};
  }
  VQ_INLINE static void add(sums& s, __m512i a, const block& b) {
    s.v[0] = _mm512_add_epi32(s.v[0], _mm512_madd_epi16(a, b.v[0]));
    s.v[1] = _mm512_add_epi32(s.v[1], _mm512_madd_epi16(a, b.v[1]));
  }
  VQ_INLINE static __m512i total(const sums& s) {
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return _mm512_add_epi32(_mm512_permutex2var_epi32(s.v[0], even, s.v[1]),
                            _mm512_permutex2var_epi32(s.v[0], odd, s.v[1]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) { _mm512_storeu_si512(c, total(s)); }
};

template <class A>
struct panel_block<A, avx2> {
  struct block {
    __m256i v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    __m256i v[4];
  };
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
  VQ_INLINE static sums begin(const std::int32_t* start) {
    const auto* from = reinterpret_cast<const __m128i*>(start);
    return {{_mm256_cvtepu32_epi64(_mm_loadu_si128(from)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 1)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 2)),
             _mm256_cvtepu32_epi64(_mm_loadu_si128(from + 3))}};
  }
  VQ_INLINE static void add(sums& s, __m256i a, const block& b) {
    s.v[0] = _mm256_add_epi32(s.v[0], _mm256_madd_epi16(a, b.v[0]));
    s.v[1] = _mm256_add_epi32(s.v[1], _mm256_madd_epi16(a, b.v[1]));
    s.v[2] = _mm256_add_epi32(s.v[2], _mm256_madd_epi16(a, b.v[2]));
    s.v[3] = _mm256_add_epi32(s.v[3], _mm256_madd_epi16(a, b.v[3]));
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 2; ++i) {  // 8 columns each; hadd works in 128-bit halves
      const __m256i halves = _mm256_hadd_epi32(s.v[2 * i], s.v[2 * i + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(c + 8 * i),
                          _mm256_permute4x64_epi64(halves, 0xd8));
    }
  }
};

#elif defined(__aarch64__)

#if defined(__ARM_FEATURE_DOTPROD)

template <>
struct panel_block<std::int8_t, neon_dotprod> {
  struct block {
    int8x16_t v[4];
  };
  struct sums {
    int32x4_t v[4];
  };
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 5; }

  VQ_INLINE static block load(const std::int8_t* b) {
    return {{vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)}};
  }
  VQ_INLINE static int8x16_t spread(std::int32_t bits) {
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    return {{vld1q_s32(start), vld1q_s32(start + 4), vld1q_s32(start + 8), vld1q_s32(start + 12)}};
  }
  VQ_INLINE static void add(sums& s, int8x16_t a, const block& b) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) s.v[i] = vdotq_s32(s.v[i], a, b.v[i]);
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) vst1q_s32(c + 4 * i, s.v[i]);
  }
};

#endif

template <>
struct panel_block<std::int8_t, neon> {
  struct block {
    int8x16_t v[4];
  };
  struct sums {  // a column takes two neighbouring lanes
    int32x4_t v[8];
  };
  static constexpr int tile_blocks = 1;
  static constexpr int tile_rows(int) { return 2; }

  VQ_INLINE static block load(const std::int8_t* b) {
    return {{vld1q_s8(b), vld1q_s8(b + 16), vld1q_s8(b + 32), vld1q_s8(b + 48)}};
  }
  VQ_INLINE static int8x16_t spread(std::int32_t bits) {
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
  }
  VQ_INLINE static sums begin(const std::int32_t* start) {
    sums s;
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      s.v[i] = vreinterpretq_s32_u64(
          vmovl_u32(vld1_u32(reinterpret_cast<const std::uint32_t*>(start) + 2 * i)));
    }
    return s;
  }
  VQ_INLINE static void add(sums& s, int8x16_t a, const block& b) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      s.v[2 * i] = vpadalq_s16(s.v[2 * i], vmull_s8(vget_low_s8(a), vget_low_s8(b.v[i])));
      s.v[2 * i + 1] = vpadalq_s16(s.v[2 * i + 1], vmull_high_s8(a, b.v[i]));
    }
  }
  VQ_INLINE static void store(const sums& s, std::int32_t* c) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) vst1q_s32(c + 4 * i, vpaddq_s32(s.v[2 * i], s.v[2 * i + 1]));
  }
};

#endif

template <class A, class Arch>
concept has_panel_block = requires { panel_block<A, Arch>::tile_blocks; };

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <byte_code X, class Arch>
  requires(!simd::has_panel_block<X, Arch> && simd::has_panel_block<std::uint8_t, Arch>)
struct product_codes<X, simd::on<Arch>> {
  using type = std::uint8_t;
};
template <byte_code X, class Arch>
  requires(!simd::has_panel_block<X, Arch> && simd::has_panel_block<std::int8_t, Arch>)
struct product_codes<X, simd::on<Arch>> {
  using type = std::int8_t;
};

template <byte_code A, output_stage Stage, class Arch>
  requires simd::has_panel_block<A, Arch>
struct kernel<multiply_panel<A, Stage>, simd::on<Arch>> {
  using unit = simd::panel_block<A, Arch>;
  using output_type = typename Stage::output_type;
  using finish = simd::finish<Stage, Arch>;

  [[gnu::flatten]] void operator()(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                   const output_rows<output_type>& to) const noexcept {
    // Panel after panel for all rows; where all panels together stay in the L1, a few rows after
    // the other for all panels, so that whole rows are written at a time.
    index_type rows = a.count;
    if (b.padded_columns > panel::width && b.padded_columns * b.depth <= l1) {
      rows = a.run == 0 ? few_rows : (few_rows + a.run - 1) / a.run * a.run;
    }
    for (index_type m = 0; m < a.count; m += rows) {
      const index_type count = rows < a.count - m ? rows : a.count - m;
      all_panels(a.part(m, count), b, stage, to.part(m, a.run));
    }
  }

 private:
  static constexpr index_type l1 = 32 * 1024;
  static constexpr index_type few_rows = 48;

  VQ_INLINE static void all_panels(const code_rows<A>& a, const code_panels& b, const Stage& stage,
                                   const output_rows<output_type>& to) {
    for (index_type n = 0; n < to.channels; n += panel::width) {
      const index_type left = panel::width_at(n, to.channels);
      const finish last(stage, to.first_channel + n, left, to.channel_step);
      const index_type width = panel::width_at(n, b.padded_columns);
      const job work{a, b.codes + n * b.depth, width * panel::group, b.start + n, to, last};
      constexpr int many = unit::tile_blocks;
      index_type j = 0;
      for (; (j + many) * panel::columns <= width; j += many) rows<many>(work, n, j);
      if constexpr (many > 2) {
        if ((j + 3) * panel::columns <= width) rows<3>(work, n, j), j += 3;
        if ((j + 2) * panel::columns <= width) rows<2>(work, n, j), j += 2;
      }
      if (many > 1 && (j + 1) * panel::columns <= width) rows<1>(work, n, j);
    }
  }

  struct job {
    const code_rows<A>& a;
    const std::int8_t* b;
    index_type b_step;  // from 4 steps of k to the next 4
    const std::int32_t* start;
    const output_rows<output_type>& to;
    const finish& last;
  };

  template <std::size_t Blocks>
  VQ_INLINE static void rows(const job& work, index_type n, index_type block) {
    constexpr index_type most = unit::tile_rows(Blocks);
    auto from = work.a.rows();
    auto out = work.to.rows(work.a.count, work.a.run);
    out.at = out.begin += (n + block * panel::columns) * work.to.channel_step;
    index_type tiles = (work.a.count + most - 1) / most, left = work.a.count;
    for (; tiles > 0; --tiles) {
      const index_type count = (left + tiles - 1) / tiles;
      left -= count;
      some_rows<most, Blocks>(count, work, block, from, out);
    }
  }
  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void some_rows(index_type count, const job& work, index_type block,
                                  row_cursor<const A>& from, row_cursor<output_type>& out) {
    if (count == index_type{Rows}) return tile<Rows, Blocks>(work, block, from, out);
    if constexpr (Rows > 1) some_rows<Rows - 1, Blocks>(count, work, block, from, out);
  }

  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void tile(const job& work, index_type block, row_cursor<const A>& from,
                             row_cursor<output_type>& out) {
    const code_rows<A>& a = work.a;
    const A* row[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) row[r] = from.next();
    typename unit::sums sums[Rows][Blocks];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
      for (int j = 0; j < int{Blocks}; ++j) {
        sums[r][j] = unit::begin(work.start + (block + j) * panel::columns);
      }
    }
    const std::int8_t* b = work.b + block * panel::columns * panel::group;
    for (index_type i = 0; i < a.outer; ++i) {
      for (index_type j = 0; j < a.inner; ++j) {
        index_type at = i * a.outer_step + j * a.inner_step;
        index_type left = a.depth;
        for (; left >= panel::group; left -= panel::group) {
          step<Rows, Blocks>(sums, row, at, panel::group, b);
          at += panel::group;
          b += work.b_step;
        }
        if (left > 0) {
          step<Rows, Blocks>(sums, row, at, left, b);
          b += work.b_step;
        }
      }
    }
    output_type* to[Rows];
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) to[r] = out.next();
    work.last.template store<unit, Rows, Blocks>(sums, block * panel::columns, to);
  }

  // The next `count` <= 4 steps of k.
  template <std::size_t Rows, std::size_t Blocks>
  VQ_INLINE static void step(typename unit::sums (&sums)[Rows][Blocks], const A* const (&row)[Rows],
                             index_type at, index_type count, const std::int8_t* b) {
    decltype(unit::load(b)) block[Blocks];
#pragma GCC unroll 8
    for (int j = 0; j < int{Blocks}; ++j) {
      block[j] = unit::load(b + j * panel::columns * panel::group);
      __builtin_prefetch(b + j * panel::columns * panel::group + 1024);  // for panels beyond the L1
    }
#pragma GCC unroll 8
    for (int r = 0; r < int{Rows}; ++r) {
      const auto spread = unit::spread(bits(row[r] + at, count));
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
