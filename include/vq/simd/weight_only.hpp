// Products with weights of 4 and 8 bits on registers.
//
// A segment of a panel (at most 256 k of 64 outputs) is decoded into the first cache and used for
// all rows, in tiles of up to 6 rows; its sums stay in registers, and are converted and multiplied
// by the scales once, at its end. An instruction set says what is decoded and how four bytes of it
// are multiplied:
//
//   all             floats, any activations: floats keep the integer sums of 256 codes exactly
//   avx512_vnni     bytes, int8 activations   (weight_only_vnni.hpp)
//   avx512_bf16     pairs of bfloat16         (weight_only_bf16.hpp)
//
// Up to four rows decode in registers, where the unit can (`streams`).
#ifndef VQ_SIMD_WEIGHT_ONLY_HPP
#define VQ_SIMD_WEIGHT_ONLY_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <vq/nn/weight_only.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/execution.hpp>
#include <vq/simd/lane.hpp>
#include <vq/simd/weight_only_bf16.hpp>
#include <vq/simd/weight_only_decode.hpp>
#include <vq/simd/weight_only_stream.hpp>
#include <vq/simd/weight_only_vnni.hpp>

namespace vq::inline v1 {

template <class A, class Arch>
struct kernel<multiply_weights<A>, simd::on<Arch>> {
  using unit = simd::weight_unit<A, Arch>;
  using V = simd::floats<Arch>;
  static constexpr index_type columns = weight_only::columns;
  static constexpr index_type width = lane<V>::size;
  static constexpr index_type scratch_bytes = multiply_weights<A>::scratch_bytes;

  [[gnu::flatten]] void operator()(const weight_only& w, index_type panel,
                                   const activation_rows<A>& x, float* sums,
                                   std::byte* scratch) const noexcept {
    const std::uint8_t* record = w.storage + panel * w.panel_bytes();
    if (x.count <= 4 && unit::streams(w)) {
      unit::stream(w, record, x, sums);
      return;
    }
    for (index_type i = 0; i < x.count * columns; i += width) V(0.f).store_unaligned(sums + i);
    auto* const scales = reinterpret_cast<float*>(scratch);
    std::byte* const decoded = scratch + 4 * columns;
    std::byte* const widened = decoded + 4 * weight_only::longest * columns;
    const index_type segments = w.segments(), depth = w.depth();
    index_type segment = 0;
    for (index_type begin = 0; begin < depth; begin += w.block, record += w.record_bytes()) {
      simd::load_scales<Arch>(w, record, scales);
      const index_type count = depth - begin < w.block ? depth - begin : w.block;
      for (index_type from = 0; from < count; from += weight_only::longest, ++segment) {
        index_type length = count - from;
        if (length > weight_only::longest) length = weight_only::longest;
        const std::byte* b =
            unit::decode(w, record, from / weight_only::step, length / weight_only::step, decoded);
        // While the rows are multiplied, the codes of the next segment come near.
        const std::uint8_t* next =
            record + (from + length < count ? (from + length) / weight_only::step * w.step_bytes()
                                            : w.record_bytes());
        const index_type tiles = (x.count + 5) / 6;
        const index_type ahead = (w.record_bytes() / w.segments_of_block() / tiles + 63) & -64;
        index_type m = 0;
        const auto multiply = [&](auto rows) {
          constexpr int count_of = decltype(rows)::value;
          for (index_type line = 0; line < ahead; line += 64) __builtin_prefetch(next + line, 0, 2);
          next += ahead;
          const auto block = unit::rows(x, m, count_of, begin + from, length, widened);
          tile<count_of>(block, length / unit::k_of_word, b, scales, x.sums, m * segments + segment,
                         segments, sums + m * columns);
          m += count_of;
        };
        while (m + 6 <= x.count) multiply(std::integral_constant<int, 6>{});
        if (m + 4 <= x.count) multiply(std::integral_constant<int, 4>{});
        if (m + 2 <= x.count) multiply(std::integral_constant<int, 2>{});
        if (m < x.count) multiply(std::integral_constant<int, 1>{});
      }
    }
  }

 private:
  // sums[r][n] += scales[n] * sum over `words` of x[r][word] * b[word][n]
  template <std::size_t Rows>
  VQ_INLINE static void tile(typename unit::row_block x, index_type words, const std::byte* b,
                             const float* scales, const std::int32_t* sums_of_codes,
                             index_type start, index_type start_step, float* sums) {
    constexpr std::size_t vectors = unit::vectors;
    for (index_type n = 0; n < columns; n += unit::vectors * width) {
      typename unit::sum sum[Rows][vectors];
#pragma GCC unroll 8
      for (int r = 0; r < int{Rows}; ++r) {
#pragma GCC unroll 8
        for (int j = 0; j < int{vectors}; ++j) {
          sum[r][j] = unit::start(sums_of_codes, start + r * start_step);
        }
      }
      const std::byte* at = b + 4 * n;
      const std::byte* word = x.first;
      for (index_type i = 0; i < words; ++i, at += 4 * columns, word += 4) {
        decltype(unit::load(at)) block[vectors];
#pragma GCC unroll 8
        for (int j = 0; j < int{vectors}; ++j) block[j] = unit::load(at + 4 * width * j);
#pragma GCC unroll 8
        for (int r = 0; r < int{Rows}; ++r) {
          const auto spread = unit::spread(word + r * x.step);
#pragma GCC unroll 8
          for (int j = 0; j < int{vectors}; ++j) unit::add(sum[r][j], spread, block[j]);
        }
      }
#pragma GCC unroll 8
      for (int j = 0; j < int{vectors}; ++j) {
        const index_type column = n + j * width;
        const V scale = V::load_unaligned(scales + column);
#pragma GCC unroll 8
        for (int r = 0; r < int{Rows}; ++r) {
          float* const to = sums + r * columns + column;
          const V all = V::load_unaligned(to);
          simd::multiply_add<Arch>(unit::to_floats(sum[r][j]), scale, all).store_unaligned(to);
        }
      }
    }
  }
};

}  // namespace vq::inline v1

#endif
