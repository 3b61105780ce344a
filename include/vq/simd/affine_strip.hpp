// All runs of a strip in steps of four registers, for policies with a scale and a zero point.
//
// The constants of many runs (reciprocal, limits, zero point) are computed a register at a time and
// kept on the stack: a short run loads them instead of dividing. Runs of one value that recur in
// every row (a parameter for each channel of a channels-last tensor) take a register of constants
// for a register of values, and may keep it for several rows.
//
// A step is a type with `constants` (registers `of` them, for the runs in the lanes of a register),
// prepare(scale, zero), apply(k, in, out) for four registers, apply_pairs(k, in, out) for four of which
// the first and the last two have equal constants, apply(k, in, out, count) for fewer values, and
// `rows`, the number of rows that share loaded constants.
#ifndef VQ_SIMD_AFFINE_STRIP_HPP
#define VQ_SIMD_AFFINE_STRIP_HPP

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <vq/policy/convention.hpp>
#include <vq/quantizer/granularity.hpp>
#include <vq/simd/codes.hpp>

namespace vq::inline v1::simd {

// A register of scales and one of zero points, from `count` parameters; the lanes beyond are of no
// meaning.
template <class Arch>
VQ_INLINE void load_params(const affine_param* from, index_type count, floats<Arch>& scale,
                           ints<Arch>& zero) noexcept {
  constexpr index_type width = lane<floats<Arch>>::size;
#if defined(__AVX512F__)
  if constexpr (width == 16) {
    const std::uint32_t mask = count >= width ? ~0u : (1u << (2 * count)) - 1u;
    const __m512i one = _mm512_set1_epi64(0x3f800000);  // scale 1, zero point 0
    const __m512i low = _mm512_mask_loadu_epi32(one, static_cast<__mmask16>(mask), from);
    const __m512i high = _mm512_mask_loadu_epi32(one, static_cast<__mmask16>(mask >> 16), from + 8);
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi32(1));
    scale = _mm512_castsi512_ps(_mm512_permutex2var_epi32(low, even, high));
    zero = _mm512_permutex2var_epi32(low, odd, high);
    return;
  }
#endif
  affine_param padded[lanes_of<Arch>];
  if (count < width) {
    for (index_type k = 0; k < width; ++k) padded[k] = from[k < count ? k : 0];
    from = padded;
  }
#if defined(__AVX2__)
  if constexpr (width == 8) {
    const __m256 low = _mm256_loadu_ps(&from[0].scale), high = _mm256_loadu_ps(&from[4].scale);
    const auto in_order = [](__m256 x) {
      return _mm256_permute4x64_epi64(_mm256_castps_si256(x), 0b11'01'10'00);
    };
    scale = _mm256_castsi256_ps(in_order(_mm256_shuffle_ps(low, high, 0b10'00'10'00)));
    zero = in_order(_mm256_shuffle_ps(low, high, 0b11'01'11'01));
    return;
  }
#endif
  float scales[lanes_of<Arch>];
  std::int32_t zeros[lanes_of<Arch>];
  for (index_type k = 0; k < width; ++k) {
    scales[k] = from[k].scale;
    zeros[k] = from[k].zero_point;
  }
  scale = floats<Arch>::load_unaligned(scales);
  zero = ints<Arch>::load_unaligned(zeros);
}

// All runs of a strip, in steps of four registers.
template <class Step, class Arch>
struct affine_strip {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using constants = typename Step::constants;
  static constexpr index_type width = lane<V>::size, step = 4 * width;
  static constexpr index_type tile = 1024;   // runs whose constants are on the stack
  static constexpr index_type joined = 256;  // values that a row of few channels is extended to

  // Of up to Runs runs.
  template <index_type Runs>
  struct prepared {
    static constexpr std::size_t registers = sizeof(constants) / sizeof(V);
    alignas(64) float of[registers][static_cast<std::size_t>(Runs)];

    // Returns the bits that any of the zero points has.
    VQ_INLINE I fill(const affine_param* params, index_type count) noexcept {
      I zeros(0);
      for (index_type i = 0; i < count; i += width) {
        V scale;
        I zero;
        load_params<Arch>(params + i, count - i < width ? count - i : width, scale, zero);
        zeros |= zero;
        const constants k = Step::prepare(scale, zero);
        for (std::size_t r = 0; r < registers; ++r) k.of[r].store_aligned(of[r] + i);
      }
      return zeros;
    }
    // Of run i in all lanes; of the runs from i in one lane each.
    VQ_INLINE constants run(index_type i) const noexcept {
      constants k;
      for (std::size_t r = 0; r < registers; ++r) k.of[r] = V(of[r][i]);
      return k;
    }
    VQ_INLINE constants runs(index_type i) const noexcept {
      constants k;
      for (std::size_t r = 0; r < registers; ++r) k.of[r] = V::load_aligned(of[r] + i);
      return k;
    }
  };

  // Returns the bits that any of the zero points has.
  template <class In, class Out>
  VQ_INLINE static I apply(const affine_param* params, strip s, const In* in, Out* out) noexcept {
    if (s.length == 1) return few_columns(params, s, in, out);
    if (s.count == 1) {
      const constants k = Step::prepare(V(params->scale), I(params->zero_point));
      for (index_type row = 0; row < s.rows; ++row, in += s.length, out += s.length) {
        run(k, s.length, in, out);
      }
      return I(params->zero_point);
    }
    I zeros(0);
    if (s.rows == 1) {
      // The next constants are computed ahead of their use: divisions take long.
      constexpr index_type some = 2 * width;
      prepared<some> k[2];
      index_type count = s.count < some ? s.count : some;
      zeros |= k[0].fill(params, count);
      for (int now = 0; count > 0; now = 1 - now) {
        s.count -= count;
        params += count;
        const index_type next = s.count < some ? s.count : some;
        zeros |= k[1 - now].fill(params, next);
        runs(k[now], count, s.length, in, out);
        in += count * s.length;
        out += count * s.length;
        count = next;
      }
      return zeros;
    }
    for (index_type first = 0; first < s.count; first += tile) {
      const index_type count = s.count - first < tile ? s.count - first : tile;
      prepared<tile> k;
      zeros |= k.fill(params + first, count);
      for (index_type row = 0; row < s.rows; ++row) {
        const index_type at = (row * s.count + first) * s.length;
        runs(k, count, s.length, in + at, out + at);
      }
    }
    return zeros;
  }

 private:
  // One run of any length. Where partial registers go through memory, the last step of a long run
  // overlaps the one before it instead; not in place, where it would see results.
  template <class In, class Out>
  VQ_INLINE static void run(const constants& one, index_type size, const In* in,
                            Out* out) noexcept {
    constexpr bool overlaps = width < 16 && !std::same_as<In, Out>;
    const constants k[4] = {one, one, one, one};
    index_type i = 0;
    for (; i + step <= size; i += step) Step::apply_pairs(k, in + i, out + i);
    if (i == size) return;
    if (overlaps && size > step) {
      Step::apply_pairs(k, in + size - step, out + size - step);
    } else {
      Step::apply(k, in + i, out + i, size - i);
    }
  }

  template <class Prepared, class In, class Out>
  VQ_INLINE static void runs(const Prepared& p, index_type count, index_type length, const In* in,
                             Out* out) noexcept {
    if (length == step) {
      short_runs<1>(p, count, in, out);
    } else if (length == step / 2) {
      short_runs<2>(p, count, in, out);
    } else if (length == step / 4) {
      short_runs<4>(p, count, in, out);
    } else {
      for (index_type i = 0; i < count; ++i, in += length, out += length) {
        run(p.run(i), length, in, out);
      }
    }
  }

  // Runs of 4 / Runs registers, as many as a step takes.
  template <index_type Runs, class Prepared, class In, class Out>
  VQ_INLINE static void short_runs(const Prepared& p, index_type count, const In* in,
                                   Out* out) noexcept {
    index_type i = 0;
    for (; i + Runs <= count; i += Runs, in += step, out += step) {
      const constants k[4] = {p.run(i), p.run(i + Runs / 4), p.run(i + Runs / 2),
                              p.run(i + Runs * 3 / 4)};
      if constexpr (Runs == 4) {
        Step::apply(k, in, out);
      } else {
        Step::apply_pairs(k, in, out);
      }
    }
    for (; i < count; ++i, in += step / Runs, out += step / Runs) {
      run(p.run(i), step / Runs, in, out);
    }
  }

  // Runs of one value. Rows of few values are taken several at a time, with their parameters
  // repeated, so that they fill steps.
  template <class In, class Out>
  VQ_INLINE static I few_columns(const affine_param* params, strip s, const In* in,
                                 Out* out) noexcept {
    index_type times = 1;
    while (s.count * times % step != 0 && s.count * (times + 1) <= joined) ++times;
    if (times > 1 && s.rows >= 4 * times) {
      affine_param repeated[static_cast<std::size_t>(joined)];
      for (index_type i = 0; i < times * s.count; ++i) {
        repeated[i] = i < s.count ? params[i] : repeated[i - s.count];
      }
      const index_type rest = s.rows % times, done = (s.rows - rest) * s.count;
      columns(repeated, rest * s.count, 1, 0, in + done, out + done);
      return columns(repeated, times * s.count, s.rows / times, times * s.count, in, out);
    }
    I zeros(0);
    for (index_type c = 0; c < s.count; c += tile) {
      zeros |= columns(params + c, s.count - c < tile ? s.count - c : tile, s.rows, s.count, in + c,
                       out + c);
    }
    return zeros;
  }

  // A parameter for each of `count` <= tile columns; rows lie `row` apart.
  template <class In, class Out>
  VQ_INLINE static I columns(const affine_param* params, index_type count, index_type rows,
                             index_type row, const In* in, Out* out) noexcept {
    prepared<tile> p;
    const I zeros = p.fill(params, count);
    if constexpr (Step::rows > 1) {
      for (; rows >= Step::rows; rows -= Step::rows) {
        some_rows<Step::rows>(p, count, row, in, out);
        in += Step::rows * row;
        out += Step::rows * row;
      }
    }
    for (; rows > 0; --rows, in += row, out += row) some_rows<1>(p, count, row, in, out);
    return zeros;
  }
  template <int Rows, class In, class Out>
  VQ_INLINE static void some_rows(const prepared<tile>& p, index_type count, index_type row,
                                  const In* in, Out* out) noexcept {
    for (index_type c = 0; c < count; c += step) {
      const constants k[4] = {p.runs(c), p.runs(c + width), p.runs(c + 2 * width),
                              p.runs(c + 3 * width)};
      for (int r = 0; r < Rows; ++r) {
        if (c + step <= count) {
          Step::apply(k, in + r * row + c, out + r * row + c);
        } else {
          Step::apply(k, in + r * row + c, out + r * row + c, count - c);
        }
      }
    }
  }
};

}  // namespace vq::inline v1::simd

#endif
