// quantize, dequantize and fake_quantize on registers: the policy's own text, run wide.
//
// A policy that cannot take registers (its encode takes float only) keeps the reference. The tail
// of a run is a padded register, never scalar code.
#ifndef VQ_SIMD_QUANTIZE_HPP
#define VQ_SIMD_QUANTIZE_HPP

#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/quantize.hpp>
#include <vq/simd/codes.hpp>

namespace vq::inline v1 {

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>>
struct kernel<encode_strip<Policy, Layout>, simd::on<Arch>> {
  using codes = simd::codes<Arch, Layout, typename Policy::code_type>;
  using stored_type = typename codes::stored_type;

  [[gnu::flatten]] void operator()(const Policy& policy, const typename Policy::param_type* params,
                                   strip s, const float* in, stored_type* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      const index_type begin = s.begin + offset;
      const auto code = [&](index_type i, index_type count) {
        return encode_run(policy, s.short_run, simd::load_some<Arch>(in + offset + i, count),
                          param);
      };
      constexpr index_type width = codes::width;
      index_type i = 0;
      for (; i + 4 * width <= s.length; i += 4 * width) {
        codes::store_four({code(i, width), code(i + width, width), code(i + 2 * width, width),
                           code(i + 3 * width, width)},
                          out, begin + i);
      }
      for (; i < s.length; i += width) {
        const index_type count = s.length - i < width ? s.length - i : width;
        codes::store(code(i, count), out, begin + i, count);
      }
    });
  }
};

template <class Policy, class Layout, class Arch>
  requires runs_on<Policy, simd::floats<Arch>>
struct kernel<decode_strip<Policy, Layout>, simd::on<Arch>> {
  using codes = simd::codes<Arch, Layout, typename Policy::code_type>;
  using stored_type = typename codes::stored_type;

  [[gnu::flatten]] void operator()(const Policy& policy, const typename Policy::param_type* params,
                                   strip s, const stored_type* in, float* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      simd::for_each_register<Arch>(s.length, [&](index_type i, index_type count) {
        const auto value = policy.decode(codes::load(in, s.begin + offset + i, count), param);
        simd::store_some<Arch>(value, out + offset + i, count);
      });
    });
  }
};

template <class Policy, class Arch>
  requires runs_on<Policy, simd::floats<Arch>>
struct kernel<fake_quantize_strip<Policy>, simd::on<Arch>> {
  [[gnu::flatten]] void operator()(const Policy& policy, const typename Policy::param_type* params,
                                   strip s, const float* in, float* out) const noexcept {
    s.for_each_run([&](index_type run, index_type offset) {
      const auto param = params[run];
      simd::for_each_register<Arch>(s.length, [&](index_type i, index_type count) {
        const auto code =
            encode_run(policy, s.short_run, simd::load_some<Arch>(in + offset + i, count), param);
        simd::store_some<Arch>(policy.decode(code, param), out + offset + i, count);
      });
    });
  }
};

}  // namespace vq::inline v1

#endif
