// Registers of 4-bit codes, two to a byte: the packing that xsimd lacks, one instruction set after
// the other.
//
//   nibble_packer<Arch, Layout, Code>
//     store(code, out)          four registers of int32 codes as 4 * width nibbles, in order
//     store(code, next, out)    eight of them (AVX-512)
//     store(code, out, count)   the first `count` of them; the others must be zero
//
//   nibble_table<Arch, Layout, Out>   16 values, rounded to Out (float, half, bfloat16)
//     nibble_table(value)       the value of nibble p at position p
//     look_up(in, out)          the values of the next `step` nibbles
//
// Both begin at the first code of a byte. A NaN among the values stays one when it is rounded, with
// whatever payload.
#ifndef VQ_SIMD_NIBBLES_HPP
#define VQ_SIMD_NIBBLES_HPP

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/core/code_layout.hpp>
#include <vq/core/half.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/lane.hpp>

namespace vq::inline v1::simd {

template <class Layout>
concept nibble_layout =
    std::same_as<Layout, nibbles_high_first> || std::same_as<Layout, nibbles_low_first>;

// Where in the little-endian bits of its byte pair, quad, ... element i begins.
template <nibble_layout Layout>
constexpr int nibble_shift(int i) noexcept {
  return std::same_as<Layout, nibbles_high_first> ? 4 * (i ^ 1) : 4 * i;
}

// What the 16 nibbles stand for, in registers of floats.
template <class Arch>
struct nibble_values {
  static constexpr std::size_t count = 16 / floats<Arch>::size;
  floats<Arch> part[count];
};

template <class Arch, nibble_layout Layout, class Code>
struct nibble_packer;

template <class Arch, class Layout, class Code>
concept packs_nibbles =
    nibble_layout<Layout> && requires { nibble_packer<Arch, Layout, Code>::width; };

// The general form: a table in memory, one value at a time.
template <class Arch, nibble_layout Layout, class Out>
struct nibble_table {
  static constexpr index_type step = 8;

  VQ_INLINE explicit nibble_table(const nibble_values<Arch>& value) noexcept {
    float all[16];
    for (std::size_t k = 0; k < nibble_values<Arch>::count; ++k) {
      value.part[k].store_unaligned(all + k * floats<Arch>::size);
    }
    for (int p = 0; p < 16; ++p) values_[p] = static_cast<Out>(all[p]);
  }
  VQ_INLINE void look_up(const std::uint8_t* in, Out* out) const noexcept {
    for (int i = 0; i < 8; ++i) out[i] = values_[in[i / 2] >> nibble_shift<Layout>(i % 2) & 15];
  }

 private:
  Out values_[16];
};

#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

template <std::derived_from<avx512> Arch, nibble_layout Layout, class Code>
struct nibble_packer<Arch, Layout, Code> {
  using I = ints<Arch>;
  static constexpr index_type width = 16;

  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), pack(code));
  }
  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out, index_type count) noexcept {
    const std::uint32_t bytes = static_cast<std::uint32_t>((count + 1) / 2);
    _mm256_mask_storeu_epi8(out, bytes == 32 ? ~0u : (1u << bytes) - 1, pack(code));
  }

  VQ_INLINE static void store(const I (&code)[4], const I (&next)[4], std::uint8_t* out) noexcept {
    // Two bytes of each register in each 128-bit lane.
    alignas(64) constexpr std::uint16_t order[32] = {0,  8,  16, 24, 1,  9,  17, 25, 2,  10, 18,
                                                     26, 3,  11, 19, 27, 4,  12, 20, 28, 5,  13,
                                                     21, 29, 6,  14, 22, 30, 7,  15, 23, 31};
    const __m512i bytes = _mm512_packus_epi16(pairs_of(code), pairs_of(next));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(_mm512_load_si512(order), bytes));
  }

 private:
  VQ_INLINE static __m256i pack(const I (&code)[4]) noexcept {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_cvtepi16_epi8(_mm512_permutexvar_epi32(order, pairs_of(code)));
  }
  // A pair in each word; each 128-bit lane has four codes of each register.
  VQ_INLINE static __m512i pairs_of(const I (&code)[4]) noexcept {
    __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(code[0], code[1]),
                                       _mm512_packs_epi32(code[2], code[3]));
    if constexpr (std::is_signed_v<Code>) {
      bytes = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
    }
    constexpr short weights = std::same_as<Layout, nibbles_high_first> ? 0x0110 : 0x1001;
    return _mm512_maddubs_epi16(bytes, _mm512_set1_epi16(weights));
  }
};

template <std::derived_from<avx512> Arch, nibble_layout Layout>
struct nibble_table<Arch, Layout, float> {
  static constexpr index_type step = 16;

  VQ_INLINE explicit nibble_table(const nibble_values<Arch>& value) noexcept
      : values_(value.part[0]) {}

  // Every element shifts its nibble down; the lookup ignores the bits above.
  VQ_INLINE void look_up(const std::uint8_t* in, float* out) const noexcept {
    std::int32_t low = 0, high = 0;
    std::memcpy(&low, in, sizeof low);
    std::memcpy(&high, in + 4, sizeof high);
    const __m512i both = _mm512_mask_set1_epi32(_mm512_set1_epi32(low), 0xff00, high);
    constexpr auto at = [](int i) { return nibble_shift<Layout>(i % 8); };
    const __m512i shifts =
        _mm512_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(0), at(1),
                          at(2), at(3), at(4), at(5), at(6), at(7));
    _mm512_storeu_ps(out, _mm512_permutexvar_ps(_mm512_srlv_epi32(both, shifts), values_));
  }

 private:
  __m512 values_;
};

// Values of 16 bits. Every element gets its byte twice and shifts the nibble to where the lookup
// among 32 words reads its index: in bits 3..0 with two copies of the table one after the other
// (half), in bits 4..1 with every entry twice in a row (bfloat16).
template <std::derived_from<avx512> Arch, nibble_layout Layout, class Out>
  requires(sizeof(Out) == 2)
struct nibble_table<Arch, Layout, Out> {
  static constexpr index_type step = 32;
  static constexpr bool is_half = std::same_as<Out, half>;

  VQ_INLINE explicit nibble_table(const nibble_values<Arch>& value) noexcept
      : values_(words(value.part[0])) {}

  VQ_INLINE void look_up(const std::uint8_t* in, Out* out) const noexcept {
    prefetch_write(out);
    const __m512i packed =
        _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in)));
    const __m512i order =
        _mm512_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505,
                          0x06060606, 0x07070707, 0x08080808, 0x09090909, 0x0a0a0a0a, 0x0b0b0b0b,
                          0x0c0c0c0c, 0x0d0d0d0d, 0x0e0e0e0e, 0x0f0f0f0f);
    const __m512i shifts = _mm512_set1_epi32(shift(0) | shift(1) << 16);
    const __m512i index = _mm512_srlv_epi16(_mm512_shuffle_epi8(packed, order), shifts);
    _mm512_storeu_si512(out, _mm512_permutexvar_epi16(index, values_));
  }

 private:
  static constexpr int shift(int i) noexcept {
    const int at = nibble_shift<Layout>(i);
    return is_half ? at : (at == 0 ? 8 : at) - 1;
  }
  VQ_INLINE static __m512i words(__m512 value) noexcept {
    if constexpr (is_half) {
      return _mm512_broadcast_i64x4(
          _mm512_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    } else {  // add half a unit of the upper word, less one bit where that is even (the instruction
              // of AVX512_BF16 makes subnormals zeros; testing for them costs more than it saves)
      const __m512i bits = _mm512_castps_si512(value);
      const __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
      const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
      __m512i rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
      rounded = _mm512_mask_add_epi32(rounded, odd, bits, _mm512_set1_epi32(0x8000));
      rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
      const __m512i twice = _mm512_set4_epi32(0x0f0e0f0e, 0x0b0a0b0a, 0x07060706, 0x03020302);
      return _mm512_shuffle_epi8(rounded, twice);
    }
  }
  __m512i values_;
};

#endif

#if defined(__AVX2__)

template <std::derived_from<avx2> Arch, nibble_layout Layout, class Code>
struct nibble_packer<Arch, Layout, Code> {
  using I = ints<Arch>;
  static constexpr index_type width = 8;

  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), pack(code));
  }
  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out, index_type count) noexcept {
    std::uint8_t bytes[16];
    store(code, bytes);
    for (index_type i = 0; i < (count + 1) / 2; ++i) out[i] = bytes[i];
  }

 private:
  VQ_INLINE static __m128i pack(const I (&code)[4]) noexcept {
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(code[0], code[1]),
                                       _mm256_packs_epi32(code[2], code[3]));
    if constexpr (std::is_signed_v<Code>) {
      bytes = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    }
    constexpr short weights = std::same_as<Layout, nibbles_high_first> ? 0x0110 : 0x1001;
    const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi16(weights));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i sorted = _mm256_permutevar8x32_epi32(pairs, order);
    return _mm_packus_epi16(_mm256_castsi256_si128(sorted), _mm256_extracti128_si256(sorted, 1));
  }
};

template <std::derived_from<avx2> Arch, nibble_layout Layout>
struct nibble_table<Arch, Layout, float> {
  static constexpr index_type step = 8;

  VQ_INLINE explicit nibble_table(const nibble_values<Arch>& value) noexcept
      : low_(value.part[0]), high_(value.part[1]) {}

  VQ_INLINE void look_up(const std::uint8_t* in, float* out) const noexcept {
    std::int32_t eight = 0;
    std::memcpy(&eight, in, sizeof eight);
    constexpr auto at = [](int i) { return nibble_shift<Layout>(i); };
    const __m256i shifts =
        _mm256_setr_epi32(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7));
    const __m256i index = _mm256_srlv_epi32(_mm256_set1_epi32(eight), shifts);
    const __m256i top = _mm256_slli_epi32(index, 28);  // the sign chooses the half of the table
    _mm256_storeu_ps(
        out, _mm256_blendv_ps(_mm256_permutevar8x32_ps(low_, index),
                              _mm256_permutevar8x32_ps(high_, index), _mm256_castsi256_ps(top)));
  }

 private:
  __m256 low_, high_;
};

// Values of 16 bits: a lookup of their low and one of their high bytes.
template <std::derived_from<avx2> Arch, nibble_layout Layout, class Out>
  requires(sizeof(Out) == 2)
struct nibble_table<Arch, Layout, Out> {
  static constexpr index_type step = 32;

  VQ_INLINE explicit nibble_table(const nibble_values<Arch>& value) noexcept {
    const __m256i words = join(value.part[0], value.part[1]);
    const __m256i low = _mm256_and_si256(words, _mm256_set1_epi16(0xff));
    const __m256i high = _mm256_srli_epi16(words, 8);
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(low, high), 0xd8);
    low_ = _mm256_broadcastsi128_si256(_mm256_castsi256_si128(bytes));
    high_ = _mm256_broadcastsi128_si256(_mm256_extracti128_si256(bytes, 1));
  }

  VQ_INLINE void look_up(const std::uint8_t* in, Out* out) const noexcept {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    const __m128i mask = _mm_set1_epi8(15);
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(packed, 4), mask);
    const __m128i lower = _mm_and_si128(packed, mask);
    constexpr bool high_first = std::same_as<Layout, nibbles_high_first>;
    const __m128i even = high_first ? upper : lower, odd = high_first ? lower : upper;
    const __m256i index =
        _mm256_set_m128i(_mm_unpackhi_epi8(even, odd), _mm_unpacklo_epi8(even, odd));
    const __m256i low = _mm256_shuffle_epi8(low_, index), high = _mm256_shuffle_epi8(high_, index);
    const __m256i a = _mm256_unpacklo_epi8(low, high), b = _mm256_unpackhi_epi8(low, high);
    auto* to = reinterpret_cast<__m256i*>(out);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(a, b, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(a, b, 0x31));
  }

 private:
  VQ_INLINE static __m256i join(__m256 first, __m256 second) noexcept {
    if constexpr (std::same_as<Out, bfloat16>) {
      return _mm256_permute4x64_epi64(_mm256_packus_epi32(upper_word(first), upper_word(second)),
                                      0xd8);
    } else {
#if defined(__F16C__)
      constexpr int even = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
      return _mm256_set_m128i(_mm256_cvtps_ph(second, even), _mm256_cvtps_ph(first, even));
#else
      Out words[16];
      float all[16];
      _mm256_storeu_ps(all, first);
      _mm256_storeu_ps(all + 8, second);
      for (int i = 0; i < 16; ++i) words[i] = static_cast<Out>(all[i]);
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words));
#endif
    }
  }
  VQ_INLINE static __m256i upper_word(__m256 value) noexcept {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  }
  __m256i low_, high_;
};

#endif

#if defined(__x86_64__)

// With the instructions of SSE2.
template <class Arch, nibble_layout Layout, class Code>
  requires(std::same_as<Arch, sse2> || std::same_as<Arch, sse4_1>)
struct nibble_packer<Arch, Layout, Code> {
  using I = ints<Arch>;
  static constexpr index_type width = 4;

  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out) noexcept {
    __m128i bytes =
        _mm_packs_epi16(_mm_packs_epi32(code[0], code[1]), _mm_packs_epi32(code[2], code[3]));
    if constexpr (std::is_signed_v<Code>) bytes = _mm_and_si128(bytes, _mm_set1_epi8(15));
    // An even code is the lower byte of its word, the odd one the upper.
    __m128i pairs = std::same_as<Layout, nibbles_high_first>
                        ? _mm_or_si128(_mm_slli_epi16(bytes, 4), _mm_srli_epi16(bytes, 8))
                        : _mm_or_si128(bytes, _mm_srli_epi16(bytes, 4));
    pairs = _mm_and_si128(pairs, _mm_set1_epi16(255));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi16(pairs, pairs));
  }
  VQ_INLINE static void store(const I (&code)[4], std::uint8_t* out, index_type count) noexcept {
    std::uint8_t bytes[8];
    store(code, bytes);
    for (index_type i = 0; i < (count + 1) / 2; ++i) out[i] = bytes[i];
  }
};

#endif

}  // namespace vq::inline v1::simd

#endif
