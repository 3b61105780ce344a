// quantize, dequantize and fake_quantize of evenly spaced grids (affine_policy) on registers.
//
//   code = saturate(saturate(round(min(divide(x, scale), highest - Z))) + Z)
//
// Four registers become one of codes: the narrowing saturates at the ends of the code type, so one
// minimum before the conversion to integers is all the clamping that is left. That minimum lets NaN
// pass, and the conversion turns NaN and what is far below the codes into the smallest integer,
// which saturates to the lowest code. Grids whose lowest code is not the end of its type take one
// maximum for four registers.
// The minimum is there for quotients from 2^31 on, which would become the smallest integer too. Where
// the CPU keeps a flag of such conversions (invalid_flag.hpp), a strip is encoded without it, and
// once more with it if the flag was raised. The first time, symmetric grids leave out Z too, which
// is 0 for them unless somebody makes parameters of his own.
#ifndef VQ_SIMD_AFFINE_HPP
#define VQ_SIMD_AFFINE_HPP

#include <concepts>
#include <cstdint>
#include <limits>

#include <vq/policy/uniform.hpp>
#include <vq/simd/affine_strip.hpp>
#include <vq/simd/bytes.hpp>
#include <vq/simd/invalid_flag.hpp>
#include <vq/simd/quantize.hpp>
#include <vq/simd/quotient.hpp>

namespace vq::inline v1 {

namespace simd {

template <class Policy, class Arch>
concept affine_registers = affine_policy<Policy> && has_byte_codes<Arch, std::int8_t> &&
                           (std::same_as<typename Policy::arithmetic_type, reciprocal_product> ||
                            std::same_as<typename Policy::arithmetic_type, exact_division>);

template <class Policy, class Layout, class Arch>
concept affine_bytes = affine_registers<Policy, Arch> && std::same_as<Layout, bytes> &&
                       sizeof(typename Policy::code_type) == 1;

// Grids that fit gives the zero point 0.
template <class Policy>
inline constexpr bool centered = Policy::limits.symmetric && Policy::limits.zero == 0;

// How the kernels below treat four registers. `constants` belong to one register, the parameters of
// whose lanes may differ. Ordinary: no quotient is beyond int32, and zero points of centered grids
// are 0. Grids that end before their type always have the minimum, and a refined quotient is bounded
// by itself.
template <class Policy, class Arch, quotient How, bool Ordinary>
struct affine_encode {
  using V = floats<Arch>;
  using I = ints<Arch>;
  using code_type = typename Policy::code_type;
  using codes = byte_codes<Arch, code_type>;
  static constexpr index_type width = lane<V>::size;
  static constexpr int lowest = Policy::limits.lowest;
  static constexpr bool clamps = Policy::limits.highest < (std::numeric_limits<code_type>::max)() ||
                                 (!Ordinary && How != quotient::refined);
  static constexpr bool shifts = !(Ordinary && centered<Policy>);

  // Rows of one value for each parameter that are taken together: the more, the fewer loads of
  // constants, and the more streams to read and to write.
  static constexpr int rows = 4;

  // `zero` is the zero point twice, as two int16.
  enum constant { first_of_divisor, most = divisor<Arch, How>::count, zero = most + clamps };
  struct constants {
    V of[zero + shifts];
  };
  VQ_INLINE static constants prepare(V scale, I zero_point) noexcept {
    constants k;
    divisor<Arch, How>::prepare(scale, k.of + first_of_divisor);
    if constexpr (clamps) k.of[most] = xsimd::to_float(I(Policy::limits.highest) - zero_point);
    if constexpr (shifts) {
      k.of[zero] = lane<V>::from_bits((zero_point << 16) | (zero_point & I(0xffff)));
    }
    return k;
  }

  VQ_INLINE static void apply(const constants (&k)[4], const float* in, code_type* out) noexcept {
    prefetch_write(out);
    const auto steps = [&](int r) { return round(V::load_unaligned(in + r * width), k[r]); };
    codes::template store<lowest>(both(steps(0), steps(1), k[0], k[1]),
                                  both(steps(2), steps(3), k[2], k[3]), out);
  }
  VQ_INLINE static void apply_pairs(const constants (&k)[4], const float* in,
                                    code_type* out) noexcept {
    prefetch_write(out);
    for (int r = 0; r < 4; ++r) prefetch_read(in + r * width);
    const auto two = [&](int r) {
      const auto steps = [&](int i) { return round(V::load_unaligned(in + i * width), k[i]); };
      return shifted(codes::narrow(steps(r), steps(r + 1)),
                     [&] { return codes::as_pairs(zeros(k[r])); });
    };
    codes::template store<lowest>(two(0), two(2), out);
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
  VQ_INLINE static I round(V x, const constants& k) noexcept {
    const V steps = divisor<Arch, How>::divide(x, k.of + first_of_divisor);
    if constexpr (clamps) return codes::round((op::min)(k.of[most], steps));
    return codes::round(steps);
  }
  VQ_INLINE static I zeros([[maybe_unused]] const constants& k) noexcept {
    if constexpr (shifts) return lane<V>::to_bits(k.of[zero]);
    return I(0);
  }
  template <class F>
  VQ_INLINE static auto shifted(typename codes::pairs steps, [[maybe_unused]] F by) noexcept {
    if constexpr (shifts) steps = codes::add(steps, by());
    return steps;
  }
  VQ_INLINE static auto both(I a, I b, const constants& ka, const constants& kb) noexcept {
    return shifted(codes::narrow(a, b),
                   [&] { return codes::narrow(zeros(ka) >> 16, zeros(kb) >> 16); });
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

  VQ_INLINE static void apply_pairs(const constants (&k)[4], const code_type* in,
                                    float* out) noexcept {
    apply(k, in, out);
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

  enum constant { least, most, scale, first_of_divisor };
  struct constants {
    V of[3 + divisor<Arch, How>::count];
  };
  VQ_INLINE static constants prepare(V scales, I zero_point) noexcept {
    constants k;
    k.of[least] = xsimd::to_float(I(Policy::limits.lowest) - zero_point);
    k.of[most] = xsimd::to_float(I(Policy::limits.highest) - zero_point);
    k.of[scale] = scales;
    divisor<Arch, How>::prepare(scales, k.of + first_of_divisor);
    return k;
  }

  VQ_INLINE static void apply_pairs(const constants (&k)[4], const float* in, float* out) noexcept {
    apply(k, in, out);
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
  // Through an integer, which makes +0 of -0, as adding the zero point does.
  VQ_INLINE static V value(V x, const constants& k) noexcept {
    const V steps = divisor<Arch, How>::divide(x, k.of + first_of_divisor);
    const V clamped = op::clamp(steps, k.of[least], k.of[most]);
    return xsimd::to_float(byte_codes<Arch, std::int8_t>::round(clamped)) * k.of[scale];
  }
};

// With the quotient that the policy and the parameters call for. Returns the bits of zero points.
template <template <class, class, quotient> class Step, class Policy, class Arch, class Out>
VQ_INLINE ints<Arch> divide_strip(const affine_param* params, strip s, const float* in,
                                  Out* out) noexcept {
  constexpr bool divides = std::same_as<typename Policy::arithmetic_type, exact_division>;
  if constexpr (divides && has_fused<Arch>) {
    if (refines(params, s.count)) {
      return affine_strip<Step<Policy, Arch, quotient::refined>, Arch>::apply(params, s, in, out);
    }
  }
  constexpr quotient how = divides ? quotient::division : quotient::product;
  return affine_strip<Step<Policy, Arch, how>, Arch>::apply(params, s, in, out);
}

template <class Policy, class Arch, quotient How>
using affine_encode_any = affine_encode<Policy, Arch, How, false>;
template <class Policy, class Arch, quotient How>
using affine_encode_ordinary = affine_encode<Policy, Arch, How, true>;

// encode_strip for values whose quotients fit int32; others raise the invalid_flag. False where a
// centered grid has another zero point than 0, and the codes are of no use.
template <class Policy, class Arch>
VQ_INLINE bool encode_ordinary(const affine_param* params, strip s, const float* in,
                               typename Policy::code_type* out) noexcept {
  const ints<Arch> zeros =
      divide_strip<affine_encode_ordinary, Policy, Arch>(params + s.param, s, in, out + s.begin);
  return !centered<Policy> || !xsimd::any(zeros != ints<Arch>(0));
}

// Whether that is any faster.
template <class Policy, class Layout, class Arch>
inline constexpr bool has_ordinary_encode = false;
template <class Policy, class Layout, class Arch>
  requires affine_bytes<Policy, Layout, Arch> &&
               std::same_as<typename Policy::arithmetic_type, reciprocal_product>
inline constexpr bool has_ordinary_encode<Policy, Layout, Arch> =
    has_invalid_flag && !affine_encode_ordinary<Policy, Arch, quotient::product>::clamps;

}  // namespace simd

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::affine_bytes<Policy, Layout, Arch>
struct kernel<encode_strip<Policy, Layout>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy&, const affine_param* params, strip s,
                                   const float* in,
                                   typename Policy::code_type* out) const noexcept {
    if constexpr (simd::has_ordinary_encode<Policy, Layout, Arch>) {
      const simd::invalid_flag flag;
      if (simd::encode_ordinary<Policy, Arch>(params, s, in, out) && !flag.raised()) [[likely]]
        return;
    }
    simd::divide_strip<simd::affine_encode_any, Policy, Arch>(params + s.param, s, in,
                                                              out + s.begin);
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
