// quantize, dequantize, and fit and quantize in one pass, where codes are nibbles: the policy's own
// text on registers, with the packing of simd/nibbles.hpp.
//
// Decoding is a lookup for every 4-bit policy: its decode of all 16 codes, with the parameter of the
// run, fills a table in registers, already rounded to the type of the output. So NF4, FP4 and
// uniform<4> cost the same, and no product is left in the loop.
#ifndef VQ_SIMD_NIBBLE_CODES_HPP
#define VQ_SIMD_NIBBLE_CODES_HPP

#include <cstddef>
#include <cstdint>

#include <vq/quantizer/fit_quantize.hpp>
#include <vq/quantizer/quantize.hpp>
#include <vq/simd/affine.hpp>
#include <vq/simd/codes.hpp>
#include <vq/simd/fitted_nibbles.hpp>
#include <vq/simd/nibbles.hpp>
#include <vq/simd/row_maxima.hpp>

namespace vq::inline v1 {

namespace simd {

// The codes of a register, as integers. On an evenly spaced grid the conversion does the rounding.
template <class Arch, class Policy>
VQ_INLINE ints<Arch> integer_codes(const Policy& policy, bool short_run, floats<Arch> x,
                                   const typename Policy::param_type& param) noexcept {
  if constexpr (affine_registers<Policy, Arch>) {
    using V = floats<Arch>;
    const V least(static_cast<float>(Policy::limits.lowest - param.zero_point));
    const V most(static_cast<float>(Policy::limits.highest - param.zero_point));
    const V steps = op::clamp(Policy::arithmetic_type::divide(x, param.scale), least, most);
    return byte_codes<Arch, std::int8_t>::round(steps) + ints<Arch>(param.zero_point);
  } else {
    return xsimd::to_int(encode_run(policy, short_run, x, param));
  }
}

// Codes of values that have one parameter: `length` of them to position `begin`.
template <class Arch, class Layout, class Policy>
VQ_INLINE void encode_nibbles(const Policy& policy, bool short_run,
                              const typename Policy::param_type& param, const float* in,
                              index_type length, std::uint8_t* out, index_type begin) noexcept {
  using code_type = typename Policy::code_type;
  using packer = nibble_packer<Arch, Layout, code_type>;
  constexpr index_type width = packer::width;
  const auto code = [&](floats<Arch> x) {
    return integer_codes<Arch>(policy, short_run, x, param);
  };

  index_type i = 0;
  if (begin % 2 != 0 && length > 0) {  // the second half of a byte
    const floats<Arch> first = encode_run(policy, short_run, load_some<Arch>(in, 1), param);
    codes<Arch, Layout, code_type>::store(first, out, begin, 1);
    i = 1;
  }
  std::uint8_t* to = out + (begin + i) / 2;
  for (; i + 4 * width <= length; i += 4 * width, to += 2 * width) {
    const auto group = [&](index_type k) {
      return code(floats<Arch>::load_unaligned(in + i + k * width));
    };
    packer::store({group(0), group(1), group(2), group(3)}, to);
  }
  if (i < length) {
    std::int32_t kept[2 * lanes_of<Arch>] = {};  // all bits, `width` times, and then none
    for (index_type k = 0; k < width; ++k) kept[k] = -1;
    const auto group = [&](index_type k) {
      const index_type left = length - i - k * width;
      if (left <= 0) return ints<Arch>(0);
      const index_type count = left < width ? left : width;
      const ints<Arch> all = code(load_some<Arch>(in + i + k * width, count));
      return all & ints<Arch>::load_unaligned(kept + width - count);
    };
    packer::store({group(0), group(1), group(2), group(3)}, to, length - i);
  }
}

// Two runs of 2 * width values each, from an even position.
template <class Arch, class Layout, class Policy>
VQ_INLINE void encode_two_runs(const Policy& policy, const typename Policy::param_type* params,
                               const float* in, std::uint8_t* out) noexcept {
  using packer = nibble_packer<Arch, Layout, typename Policy::code_type>;
  const auto group = [&](index_type k) {
    const auto x = floats<Arch>::load_unaligned(in + k * packer::width);
    return integer_codes<Arch>(policy, false, x, params[k / 2]);
  };
  packer::store({group(0), group(1), group(2), group(3)}, out);
}

// What the 16 nibbles stand for.
template <class Arch, class Policy>
VQ_INLINE nibble_values<Arch> decode_all(const Policy& policy,
                                         const typename Policy::param_type& param) noexcept {
  using code_type = typename Policy::code_type;
  float code[16];
  for (unsigned p = 0; p < 16; ++p) code[p] = static_cast<float>(code_from_bits<code_type, 4>(p));
  nibble_values<Arch> values;
  for (std::size_t k = 0; k < nibble_values<Arch>::count; ++k) {
    values.part[k] =
        policy.decode(floats<Arch>::load_unaligned(code + k * floats<Arch>::size), param);
  }
  return values;
}

}  // namespace simd

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> &&
           simd::packs_nibbles<Arch, Layout, typename Policy::code_type>
struct kernel<encode_strip<Policy, Layout>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy& policy, const typename Policy::param_type* params,
                                   strip s, const float* in, std::uint8_t* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      simd::encode_nibbles<Arch, Layout>(policy, s.short_run, params[run], in + offset, s.length,
                                         out, s.begin + offset);
    });
  }
};

namespace simd {

template <class Policy, class Layout, class Out, class Arch>
struct decode_nibbles {
  [[gnu::flatten]] void operator()(const Policy& policy, const typename Policy::param_type* params,
                                   strip s, const std::uint8_t* in, Out* out) const noexcept {
    using table_type = nibble_table<Arch, Layout, Out>;
    constexpr index_type step = table_type::step;
    if (s.begin % 2 == 0 && s.length % step == 0) {  // nothing but whole registers
      const std::uint8_t* from = in + s.begin / 2;
      for (index_type row = 0; row < s.rows; ++row) {
        for (index_type run = 0; run < s.count; ++run) {
          const table_type table(decode_all<Arch>(policy, params[s.param + run]));
          for (const Out* end = out + s.length; out != end; out += step, from += step / 2) {
            table.look_up(from, out);
          }
        }
      }
      return;
    }
    s.for_each_run([&](index_type run, index_type offset) {
      const table_type table(decode_all<Arch>(policy, params[run]));
      const index_type begin = s.begin + offset, first = begin % 2;
      const std::uint8_t* from = in + begin / 2;
      Out* to = out + offset - first;  // of the byte's first code, which may be of another run
      const index_type end = first + s.length;
      index_type i = 0;
      const auto some = [&](index_type skip, index_type count) {
        std::uint8_t bytes[std::size_t{step} / 2] = {};
        Out values[std::size_t{step}];
        for (index_type k = 0; k < (count + 1) / 2; ++k) bytes[k] = from[i / 2 + k];
        table.look_up(bytes, values);
        for (index_type k = skip; k < count; ++k) to[i + k] = values[k];
        i += count;
      };
      if (first != 0) some(1, end < 2 ? end : 2);
      for (; i + step <= end; i += step) table.look_up(from + i / 2, to + i);
      if (i < end) some(0, end - i);
    });
  }
};

}  // namespace simd

template <class Policy, class Layout, class Out, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::nibble_layout<Layout>
struct kernel<decode_strip<Policy, Layout, Out>, simd::on<Arch>>
    : simd::decode_nibbles<Policy, Layout, Out, Arch> {};
template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && simd::nibble_layout<Layout>
struct kernel<decode_strip<Policy, Layout, float>, simd::on<Arch>>
    : simd::decode_nibbles<Policy, Layout, float, Arch> {};

// Both at once. The largest magnitudes of `width` runs are found together, so that their reduction
// and the fit are vertical; then each run is encoded while it lies in L1.
template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>> && fits_registers<Policy, simd::floats<Arch>> &&
           simd::packs_nibbles<Arch, Layout, typename Policy::code_type>
struct kernel<fit_encode_strip<Policy, Layout>, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;
  static constexpr index_type width = lane<V>::size;

  [[gnu::flatten]] bool operator()(const Policy& policy, typename Policy::param_type* params,
                                   strip s, const float* in, std::uint8_t* out) const noexcept {
    if (s.short_run || s.length < width) {
      return fit_encode_strip<Policy, Layout>{}(policy, params, s, in, out);
    }
    I worst(0);
    index_type run = 0;
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    if constexpr (simd::has_fitted_codes<Policy> && width == 16) {
      run =
          simd::fit_encode_whole_groups<Arch, Layout>(policy, params + s.param, s, in, out, worst);
    }
#endif
    for (; run < s.count; run += width) {
      const index_type runs = s.count - run < width ? s.count - run : width;
      const float* from = in + run * s.length;
      typename Policy::param_type* param = params + s.param + run;
      worst = (xsimd::max)(worst, simd::fit_rows<Arch>(policy, from, s.length, runs, param));

      index_type begin = s.begin + run * s.length, r = 0;
      if (s.length == 2 * width && begin % 2 == 0) {
        for (; r + 2 <= runs; r += 2, from += 4 * width, begin += 4 * width) {
          simd::encode_two_runs<Arch, Layout>(policy, param + r, from, out + begin / 2);
        }
      }
      for (; r < runs; ++r, from += s.length, begin += s.length) {
        simd::encode_nibbles<Arch, Layout>(policy, false, param[r], from, s.length, out, begin);
      }
    }
    return !xsimd::any(worst >= I(0x7f800000));
  }
};

}  // namespace vq::inline v1

#endif
