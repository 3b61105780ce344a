// quantize, dequantize and fake_quantize of evenly spaced grids (affine_policy) on registers.
//
//   code = saturate(saturate(round(min(divide(x, scale), highest - Z))) + Z)
//
// Four registers become one of codes: the narrowing saturates at the ends of the code type, so one
// minimum before the conversion to integers is all the clamping that is left. That minimum lets NaN
// pass, and the conversion turns NaN and what is far below the codes into the smallest integer,
// which saturates to the lowest code. Grids whose lowest code is not the end of its type take one
// maximum for four registers.
//
// The constants of many runs (reciprocal, limits, zero point) are computed a register at a time and
// kept on the stack: a short run loads them instead of dividing. Runs of one value that recur in
// every row (a parameter for each channel of a channels-last tensor) take a register of constants
// for a register of values, and keep it for several rows.
#ifndef VQ_SIMD_AFFINE_HPP
#define VQ_SIMD_AFFINE_HPP

#include <concepts>
#include <cstdint>

#include <vq/policy/uniform.hpp>
#include <vq/simd/bytes.hpp>
#include <vq/simd/quantize.hpp>

namespace vq::inline v1 {

namespace simd {

template <class Policy, class Arch>
concept affine_registers = affine_policy<Policy> && has_byte_codes<Arch, std::int8_t> &&
                           (std::same_as<typename Policy::arithmetic_type, reciprocal_product> ||
                            std::same_as<typename Policy::arithmetic_type, exact_division>);

template <class Policy, class Layout, class Arch>
concept affine_bytes = affine_registers<Policy, Arch> && std::same_as<Layout, bytes> &&
                       sizeof(typename Policy::code_type) == 1;

// A register of scales and one of zero points, from `count` parameters; the lanes beyond are of no
// meaning.
template <class Arch>
VQ_INLINE void load_params(const affine_param* from, index_type count, floats<Arch>& scale,
                           ints<Arch>& zero) noexcept {
  constexpr index_type width = lane<floats<Arch>>::size;
#if defined(__AVX512F__)
  if constexpr (width == 16) {
    const std::uint32_t mask = count >= width ? ~0u : (1u << (2 * count)) - 1u;
    const __m512i low = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask), from);
    const __m512i high = _mm512_maskz_loadu_epi32(static_cast<__mmask16>(mask >> 16), from + 8);
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

// How a value is divided by its scale.
//   product    times the reciprocal
//   division   by the instruction, whose rate is a quarter of that of products or less
//   refined    times the reciprocal, and then corrected twice by fused products: the same quotient,
//              for scales within `refines`
enum class quotient { product, division, refined };

// a * b + c, rounded once; no such instruction where it is not defined.
template <class Arch>
struct fused;
#if defined(__AVX512F__)
template <std::derived_from<avx512> Arch>
struct fused<Arch> {
  using V = floats<Arch>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return _mm512_fmadd_ps(a, b, c); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return _mm512_fnmadd_ps(a, b, c); }
};
#endif
#if defined(__AVX2__) && defined(__FMA__)
template <>
struct fused<avx2> {
  using V = floats<avx2>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return _mm256_fmadd_ps(a, b, c); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return _mm256_fnmadd_ps(a, b, c); }
};
#endif
#if defined(__aarch64__)
template <std::derived_from<neon> Arch>
struct fused<Arch> {
  using V = floats<Arch>;
  VQ_INLINE static V add(V a, V b, V c) noexcept { return vfmaq_f32(c, a, b); }
  VQ_INLINE static V subtract(V a, V b, V c) noexcept { return vfmsq_f32(c, a, b); }
};
#endif

template <class Arch>
concept has_fused = requires { typename fused<Arch>::V; };

// True where the refined quotient is that of the division, as far as codes of 16 bits can tell: no
// remainder of a quotient above 1/4 underflows, and neither the reciprocal nor the bound overflows.
VQ_INLINE bool refines(const affine_param* params, index_type count) noexcept {
  bool all = true;
  for (index_type i = 0; i < count; ++i) {
    all &= params[i].scale >= 0x1p-96f && params[i].scale <= 0x1p96f;
  }
  return all;
}

// x / scale, where x <= bound = 2^17 scale, so that no positive product overflows. A negative one
// may, and gives NaN, which becomes the lowest code too.
// With the reciprocal rounded to nearest, the first correction leaves an error below one unit in the
// last place and the second one the quotient rounded to nearest (Markstein 1990, IBM J. Res. Dev.
// 34(1)).
template <class Arch>
VQ_INLINE floats<Arch> refined_quotient(floats<Arch> x, floats<Arch> scale, floats<Arch> reciprocal,
                                        floats<Arch> bound) noexcept {
  using f = fused<Arch>;
  x = (op::min)(bound, x);
  floats<Arch> q = x * reciprocal;
  for (int i = 0; i < 2; ++i) q = f::add(f::subtract(q, scale, x), reciprocal, q);
  return q;
}

// How the kernels below treat four registers. `constants` belong to one register, the parameters of
// whose lanes may differ.
template <class Policy, class Arch, quotient How>
struct affine_encode {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using code_type = typename Policy::code_type;
  using codes = byte_codes<Arch, code_type>;
  static constexpr index_type width = lane<V>::size;
  static constexpr int lowest = Policy::limits.lowest;

  // Rows of one value for each parameter that are taken together: the more, the fewer loads of
  // constants, and the more streams to read and to write.
  static constexpr int rows = 4;

  enum constant { divisor, most, zero, reciprocal, bound };
  struct constants {
    V of[How == quotient::refined ? 5 : 3];
  };
  VQ_INLINE static constants prepare(V scale, I zero_point) noexcept {
    constants k;
    k.of[divisor] = How == quotient::product ? (op::divide)(V(1.f), scale) : scale;
    k.of[most] = xsimd::to_float(I(Policy::limits.highest) - zero_point);
    k.of[zero] = lane<V>::from_bits(zero_point);
    if constexpr (How == quotient::refined) {
      k.of[reciprocal] = (op::divide)(V(1.f), scale);
      k.of[bound] = scale * V(0x1p17f);
    }
    return k;
  }

  VQ_INLINE static void apply(const constants (&k)[4], const float* in, code_type* out) noexcept {
    const auto steps = [&](int r) { return round(V::load_unaligned(in + r * width), k[r]); };
    codes::template store<lowest>(both(steps(0), steps(1), k[0], k[1]),
                                  both(steps(2), steps(3), k[2], k[3]), out);
  }
  // Of the first `count` < 4 * width values.
  VQ_INLINE static void apply(const constants (&k)[4], const float* in, code_type* out,
                              index_type count) noexcept {
    const auto steps = [&](int r) {
      const index_type left = count - r * width;
      return left > 0 ? round(load_some<Arch>(in + r * width, left, 0.f), k[r]) : I(0);
    };
    codes::template store<lowest>(both(steps(0), steps(1), k[0], k[1]),
                                  both(steps(2), steps(3), k[2], k[3]), out, count);
  }

 private:
  VQ_INLINE static V divided(V x, const constants& k) noexcept {
    if constexpr (How == quotient::refined) {
      return refined_quotient<Arch>(x, k.of[divisor], k.of[reciprocal], k.of[bound]);
    } else if constexpr (How == quotient::division) {
      return (op::divide)(x, k.of[divisor]);
    } else {
      return x * k.of[divisor];
    }
  }
  VQ_INLINE static I round(V x, const constants& k) noexcept {
    const V steps = divided(x, k);
    return codes::round((op::min)(k.of[most], steps));
  }
  VQ_INLINE static auto both(I a, I b, const constants& ka, const constants& kb) noexcept {
    return codes::add(codes::narrow(a, b),
                      codes::narrow(lane<V>::to_bits(ka.of[zero]), lane<V>::to_bits(kb.of[zero])));
  }
};

template <class Policy, class Arch>
struct affine_decode {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using code_type = typename Policy::code_type;
  using codes = byte_codes<Arch, code_type>;
  static constexpr index_type width = lane<V>::size;

  static constexpr int rows = 1;

  enum constant { scale, zero };
  struct constants {
    V of[2];
  };
  VQ_INLINE static constants prepare(V scales, I zero_point) noexcept {
    return {{scales, lane<V>::from_bits(zero_point)}};
  }

  VQ_INLINE static void apply(const constants (&k)[4], const code_type* in, float* out) noexcept {
    for (int r = 0; r < 4; ++r) {
      value(codes::load(in + r * width), k[r]).store_unaligned(out + r * width);
    }
  }
  VQ_INLINE static void apply(const constants (&k)[4], const code_type* in, float* out,
                              index_type count) noexcept {
    for (int r = 0; r < 4; ++r) {
      const index_type left = count - r * width;
      if (left >= width) {
        value(codes::load(in + r * width), k[r]).store_unaligned(out + r * width);
      } else if (left > 0) {
        store_some<Arch>(value(codes::load(in + r * width, left), k[r]), out + r * width, left);
      }
    }
  }

 private:
  VQ_INLINE static V value(I code, const constants& k) noexcept {
    return xsimd::to_float(code - lane<V>::to_bits(k.of[zero])) * k.of[scale];
  }
};

template <class Policy, class Arch, quotient How>
struct affine_round_trip {
  using V = floats<Arch>;
  using I = ints<Arch>;
  static constexpr index_type width = lane<V>::size;

  static constexpr int rows = 1;

  enum constant { divisor, least, most, scale, reciprocal, bound };
  struct constants {
    V of[How == quotient::refined ? 6 : 4];
  };
  VQ_INLINE static constants prepare(V scales, I zero_point) noexcept {
    constants k;
    k.of[divisor] = How == quotient::product ? (op::divide)(V(1.f), scales) : scales;
    k.of[least] = xsimd::to_float(I(Policy::limits.lowest) - zero_point);
    k.of[most] = xsimd::to_float(I(Policy::limits.highest) - zero_point);
    k.of[scale] = scales;
    if constexpr (How == quotient::refined) {
      k.of[reciprocal] = (op::divide)(V(1.f), scales);
      k.of[bound] = scales * V(0x1p17f);
    }
    return k;
  }

  VQ_INLINE static void apply(const constants (&k)[4], const float* in, float* out) noexcept {
    for (int r = 0; r < 4; ++r) {
      value(V::load_unaligned(in + r * width), k[r]).store_unaligned(out + r * width);
    }
  }
  VQ_INLINE static void apply(const constants (&k)[4], const float* in, float* out,
                              index_type count) noexcept {
    for (int r = 0; r < 4; ++r) {
      const index_type left = count - r * width;
      if (left > 0) {
        const V x = load_some<Arch>(in + r * width, left, 0.f);
        store_some<Arch>(value(x, k[r]), out + r * width, left);
      }
    }
  }

 private:
  VQ_INLINE static V divided(V x, const constants& k) noexcept {
    if constexpr (How == quotient::refined) {
      return refined_quotient<Arch>(x, k.of[divisor], k.of[reciprocal], k.of[bound]);
    } else if constexpr (How == quotient::division) {
      return (op::divide)(x, k.of[divisor]);
    } else {
      return x * k.of[divisor];
    }
  }
  // Through an integer, which makes +0 of -0, as adding the zero point does.
  VQ_INLINE static V value(V x, const constants& k) noexcept {
    const V steps = divided(x, k);
    const V clamped = op::clamp(steps, k.of[least], k.of[most]);
    return xsimd::to_float(byte_codes<Arch, std::int8_t>::round(clamped)) * k.of[scale];
  }
};

// All runs of a strip, in steps of four registers.
template <class Step, class Arch>
struct affine_strip {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using constants = typename Step::constants;
  static constexpr index_type width = lane<V>::size, step = 4 * width;
  static constexpr index_type tile = 1024;   // runs whose constants are on the stack
  static constexpr index_type joined = 256;  // values that a row of few channels is extended to

  // Of the runs in a tile.
  struct prepared {
    static constexpr std::size_t registers = sizeof(constants) / sizeof(V);
    alignas(64) float of[registers][static_cast<std::size_t>(tile)];

    VQ_INLINE prepared(const affine_param* params, index_type count) noexcept {
      for (index_type i = 0; i < count; i += width) {
        V scale;
        I zero;
        load_params<Arch>(params + i, count - i < width ? count - i : width, scale, zero);
        const constants k = Step::prepare(scale, zero);
        for (std::size_t r = 0; r < registers; ++r) k.of[r].store_aligned(of[r] + i);
      }
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

  template <class In, class Out>
  VQ_INLINE static void apply(const affine_param* params, strip s, const In* in,
                              Out* out) noexcept {
    if (s.length == 1) {
      few_columns(params, s, in, out);
      return;
    }
    if (s.count == 1) {
      const constants k = Step::prepare(V(params->scale), I(params->zero_point));
      for (index_type row = 0; row < s.rows; ++row, in += s.length, out += s.length) {
        run(k, s.length, in, out);
      }
      return;
    }
    for (index_type first = 0; first < s.count; first += tile) {
      const index_type count = s.count - first < tile ? s.count - first : tile;
      const prepared k(params + first, count);
      for (index_type row = 0; row < s.rows; ++row) {
        const index_type at = (row * s.count + first) * s.length;
        if (s.length == step / 2) {
          short_runs<2>(k, count, in + at, out + at);
        } else if (s.length == step / 4) {
          short_runs<4>(k, count, in + at, out + at);
        } else {
          for (index_type i = 0; i < count; ++i) {
            run(k.run(i), s.length, in + at + i * s.length, out + at + i * s.length);
          }
        }
      }
    }
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
    for (; i + step <= size; i += step) Step::apply(k, in + i, out + i);
    if (i == size) return;
    if (overlaps && size > step) {
      Step::apply(k, in + size - step, out + size - step);
    } else {
      Step::apply(k, in + i, out + i, size - i);
    }
  }

  // Runs of 4 / Runs registers, as many as a step takes.
  template <index_type Runs, class In, class Out>
  VQ_INLINE static void short_runs(const prepared& p, index_type count, const In* in,
                                   Out* out) noexcept {
    index_type i = 0;
    for (; i + Runs <= count; i += Runs, in += step, out += step) {
      const constants k[4] = {p.run(i), p.run(i + Runs / 4), p.run(i + Runs / 2),
                              p.run(i + Runs * 3 / 4)};
      Step::apply(k, in, out);
    }
    for (; i < count; ++i, in += step / Runs, out += step / Runs) {
      run(p.run(i), step / Runs, in, out);
    }
  }

  // Runs of one value. Rows of few values are taken several at a time, with their parameters
  // repeated, so that they fill steps.
  template <class In, class Out>
  VQ_INLINE static void few_columns(const affine_param* params, strip s, const In* in,
                                    Out* out) noexcept {
    index_type times = 1;
    while (s.count * times % step != 0 && s.count * (times + 1) <= joined) ++times;
    if (times > 1 && s.rows >= 4 * times) {
      affine_param repeated[static_cast<std::size_t>(joined)];
      for (index_type i = 0; i < times * s.count; ++i) {
        repeated[i] = i < s.count ? params[i] : repeated[i - s.count];
      }
      const index_type rest = s.rows % times, done = (s.rows - rest) * s.count;
      columns(repeated, times * s.count, s.rows / times, times * s.count, in, out);
      columns(repeated, rest * s.count, 1, 0, in + done, out + done);
      return;
    }
    for (index_type c = 0; c < s.count; c += tile) {
      columns(params + c, s.count - c < tile ? s.count - c : tile, s.rows, s.count, in + c,
              out + c);
    }
  }

  // A parameter for each of `count` <= tile columns; rows lie `row` apart.
  template <class In, class Out>
  VQ_INLINE static void columns(const affine_param* params, index_type count, index_type rows,
                                index_type row, const In* in, Out* out) noexcept {
    const prepared p(params, count);
    if constexpr (Step::rows > 1) {
      for (; rows >= Step::rows; rows -= Step::rows) {
        some_rows<Step::rows>(p, count, row, in, out);
        in += Step::rows * row;
        out += Step::rows * row;
      }
    }
    for (; rows > 0; --rows, in += row, out += row) some_rows<1>(p, count, row, in, out);
  }
  template <int Rows, class In, class Out>
  VQ_INLINE static void some_rows(const prepared& p, index_type count, index_type row, const In* in,
                                  Out* out) noexcept {
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

// With the quotient that the policy and the parameters call for.
template <template <class, class, quotient> class Step, class Policy, class Arch, class Out>
VQ_INLINE void divide_strip(const affine_param* params, strip s, const float* in,
                            Out* out) noexcept {
  constexpr bool divides = std::same_as<typename Policy::arithmetic_type, exact_division>;
  if constexpr (divides && has_fused<Arch>) {
    if (refines(params, s.count)) {
      affine_strip<Step<Policy, Arch, quotient::refined>, Arch>::apply(params, s, in, out);
      return;
    }
  }
  constexpr quotient how = divides ? quotient::division : quotient::product;
  affine_strip<Step<Policy, Arch, how>, Arch>::apply(params, s, in, out);
}

}  // namespace simd

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::affine_bytes<Policy, Layout, Arch>
struct kernel<encode_strip<Policy, Layout>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy&, const affine_param* params, strip s,
                                   const float* in,
                                   typename Policy::code_type* out) const noexcept {
    simd::divide_strip<simd::affine_encode, Policy, Arch>(params + s.param, s, in, out + s.begin);
  }
};

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::affine_bytes<Policy, Layout, Arch>
struct kernel<decode_strip<Policy, Layout>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy&, const affine_param* params, strip s,
                                   const typename Policy::code_type* in,
                                   float* out) const noexcept {
    using step = simd::affine_decode<Policy, Arch>;
    simd::affine_strip<step, Arch>::apply(params + s.param, s, in + s.begin, out);
  }
};

template <class Policy, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::affine_registers<Policy, Arch>
struct kernel<fake_quantize_strip<Policy>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy&, const affine_param* params, strip s,
                                   const float* in, float* out) const noexcept {
    simd::divide_strip<simd::affine_round_trip, Policy, Arch>(params + s.param, s, in, out);
  }
};

}  // namespace vq::inline v1

#endif
