// Wide execution: architecture tags of our own, and the register type that each one uses.
//
//   vq::quantize(vq::simd::native, q, x, params, codes);     // what the compiler's flags allow
//   vq::quantize(vq::simd::on<vq::simd::avx2>{}, ...);       // a given one
//
// The architecture is part of the kernel's type, so that code for two instruction sets can stand in
// one program. Only simd.hpp includes this folder: who can name a tag has the kernels too.
// Tags that derive from another one share its registers and add instructions.
#ifndef VQ_SIMD_EXECUTION_HPP
#define VQ_SIMD_EXECUTION_HPP

#include <concepts>

#include <xsimd/xsimd.hpp>

#include <vq/core/execution.hpp>

namespace vq::inline v1::simd {

struct sse2 {};
struct sse4_1 {};
struct avx2 {};
struct avx2_vnni : avx2 {};      // + 8-bit dot products (AVX-VNNI: Alder Lake, Zen 5)
struct avx512 {};                // F, BW, DQ, VL
struct avx512_vnni : avx512 {};  // + 8-bit dot products
// + dot products of bfloat16, permutations of bytes (VBMI): AMD's Zen 4 and later. Intel's CPUs have
// the instructions too, but multiply floats twice as fast as bfloat16 (measured on Emerald Rapids):
// they count as avx512_vnni.
struct avx512_bf16 : avx512_vnni {};
struct neon {};
struct neon_dotprod : neon {};       // + 8-bit dot products
struct neon_i8mm : neon_dotprod {};  // + those of unsigned by signed bytes

template <class Arch>
struct on {
  using execution_tag = void;
  using arch = Arch;
};

// xsimd's name for the registers of a tag.
template <class Arch>
struct registers;
#if defined(__x86_64__) || defined(_M_X64)
template <>
struct registers<sse2> {
  using type = xsimd::sse2;
};
template <>
struct registers<sse4_1> {
  using type = xsimd::sse4_1;
};
template <std::derived_from<avx2> Arch>
struct registers<Arch> {
  using type = xsimd::avx2;
};
template <std::derived_from<avx512> Arch>
struct registers<Arch> {
  using type = xsimd::avx512bw;
};
#elif defined(__aarch64__)
template <std::derived_from<neon> Arch>
struct registers<Arch> {
  using type = xsimd::neon64;
};
#endif

template <class Arch>
using floats = xsimd::batch<float, typename registers<Arch>::type>;
template <class Arch>
using ints = xsimd::batch<std::int32_t, typename registers<Arch>::type>;

// The best tag that the compiler was told of (-march=...).
#if defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__) && !defined(__corei7__) && \
    !defined(__cooperlake__) && !defined(__sapphirerapids__) && !defined(__graniterapids__)
using native_arch = avx512_bf16;
#elif defined(__AVX512VNNI__)
using native_arch = avx512_vnni;
#else
using native_arch = avx512;
#endif
#elif defined(__AVX2__) && defined(__AVXVNNI__)
using native_arch = avx2_vnni;
#elif defined(__AVX2__)
using native_arch = avx2;
#elif defined(__SSE4_1__)
using native_arch = sse4_1;
#elif defined(__SSE2__)
using native_arch = sse2;
#elif defined(__ARM_FEATURE_DOTPROD) && defined(__ARM_FEATURE_MATMUL_INT8)
using native_arch = neon_i8mm;
#elif defined(__ARM_FEATURE_DOTPROD)
using native_arch = neon_dotprod;
#elif defined(__aarch64__)
using native_arch = neon;
#endif

using native_t = on<native_arch>;
inline constexpr native_t native{};

}  // namespace vq::inline v1::simd

#endif
