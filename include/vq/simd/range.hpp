// Smallest and largest value, and largest magnitude, on registers.
//
// As integers, positive floats are ordered as they should be and negative ones lie above them, in
// reverse. So three integer extremes find everything, zeros with their signs and NaN included:
//
//   most    signed maximum      the largest value, unless all are negative
//   top     unsigned maximum    the smallest value, unless none is negative
//   bottom  unsigned minimum    what is missing in these two cases
//
// AVX-512 has vrangeps, which knows the signs of zeros; NaN is looked for by one comparison for two
// registers. (Its integer extremes run on one port of Intel's cores, its float ones on two.)
#ifndef VQ_SIMD_RANGE_HPP
#define VQ_SIMD_RANGE_HPP

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>

#include <vq/quantizer/fit.hpp>
#include <vq/simd/codes.hpp>

namespace vq::inline v1 {

namespace simd {

// Extremes of integers; none in SSE2, where the reference is as good.
template <class Arch>
struct extremes;

#if defined(__SSE4_1__)
template <>
struct extremes<sse4_1> {
  using I = ints<sse4_1>;
  VQ_INLINE static I most(I a, I b) noexcept { return _mm_max_epi32(a, b); }
  VQ_INLINE static I top(I a, I b) noexcept { return _mm_max_epu32(a, b); }
  VQ_INLINE static I bottom(I a, I b) noexcept { return _mm_min_epu32(a, b); }
};
#endif
#if defined(__AVX2__)
template <std::derived_from<avx2> Arch>
struct extremes<Arch> {
  using I = ints<Arch>;
  VQ_INLINE static I most(I a, I b) noexcept { return _mm256_max_epi32(a, b); }
  VQ_INLINE static I top(I a, I b) noexcept { return _mm256_max_epu32(a, b); }
  VQ_INLINE static I bottom(I a, I b) noexcept { return _mm256_min_epu32(a, b); }
};
#endif
#if defined(__aarch64__)
template <std::derived_from<neon> Arch>
struct extremes<Arch> {
  using I = ints<Arch>;
  VQ_INLINE static I most(I a, I b) noexcept { return vmaxq_s32(a, b); }
  VQ_INLINE static I top(I a, I b) noexcept {
    return vreinterpretq_s32_u32(vmaxq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
  }
  VQ_INLINE static I bottom(I a, I b) noexcept {
    return vreinterpretq_s32_u32(vminq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
  }
};
#endif

template <class Arch>
concept has_extremes = requires { typename extremes<Arch>::I; };

// Calls f(k, register) for all of x; k counts to `chains` and starts anew, so that accumulators need
// not wait for each other. The last register repeats x[0] where x ends. size >= 1.
template <class Arch, int Chains, class F>
VQ_INLINE void for_each_chain(const float* x, index_type size, F f) noexcept {
  using V = floats<Arch>;
  constexpr index_type width = lane<V>::size;
  index_type i = 0;
  for (; i + Chains * width <= size; i += Chains * width) {
    for (int k = 0; k < Chains; ++k) f(k, V::load_unaligned(x + i + k * width));
  }
  for (; i + width <= size; i += width) f(0, V::load_unaligned(x + i));
  if (i < size) f(0, load_some<Arch>(x + i, size - i, x[0]));
}

}  // namespace simd

template <class Arch>
  requires simd::has_extremes<Arch>
struct kernel<find_range, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;
  using extremes = simd::extremes<Arch>;

  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    if (size == 0) return {};
    constexpr int chains = 4;
    const I first(std::bit_cast<std::int32_t>(x[0]));
    I most[chains] = {first, first, first, first};
    I top[chains] = {first, first, first, first};
    I bottom[chains] = {first, first, first, first};
    simd::for_each_chain<Arch, chains>(x, size, [&](int k, V v) {
      const I bits = lane<V>::to_bits(v);
      most[k] = extremes::most(most[k], bits);
      top[k] = extremes::top(top[k], bits);
      bottom[k] = extremes::bottom(bottom[k], bits);
    });
    for (int k = 1; k < chains; ++k) {
      most[0] = extremes::most(most[0], most[k]);
      top[0] = extremes::top(top[0], top[k]);
      bottom[0] = extremes::bottom(bottom[0], bottom[k]);
    }
    std::int32_t each[3][simd::lanes_of<Arch>];
    most[0].store_unaligned(each[0]);
    top[0].store_unaligned(each[1]);
    bottom[0].store_unaligned(each[2]);
    std::int32_t most_of_all = each[0][0];
    std::uint32_t top_of_all = 0, bottom_of_all = ~0u;
    for (std::size_t i = 0; i < simd::lanes_of<Arch>; ++i) {
      const auto t = static_cast<std::uint32_t>(each[1][i]);
      const auto b = static_cast<std::uint32_t>(each[2][i]);
      most_of_all = each[0][i] > most_of_all ? each[0][i] : most_of_all;
      top_of_all = t > top_of_all ? t : top_of_all;
      bottom_of_all = b < bottom_of_all ? b : bottom_of_all;
    }
    constexpr std::uint32_t sign = 0x80000000u, infinity = 0x7f800000u;
    const std::uint32_t lowest = top_of_all >= sign ? top_of_all : bottom_of_all;
    const std::uint32_t highest =
        most_of_all >= 0 ? static_cast<std::uint32_t>(most_of_all) : bottom_of_all;
    const bool finite = (lowest & ~sign) < infinity && (highest & ~sign) < infinity;
    return {{std::bit_cast<float>(lowest), std::bit_cast<float>(highest)}, finite};
  }
};

template <class Arch>
  requires simd::has_extremes<Arch>
struct kernel<find_absmax, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;

  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    if (size == 0) return {{-0.f, 0.f}, true};
    constexpr int chains = 4;
    I most[chains] = {I(0), I(0), I(0), I(0)};
    simd::for_each_chain<Arch, chains>(x, size, [&](int k, V v) {
      most[k] = simd::extremes<Arch>::most(most[k], lane<V>::to_bits(v) & I(0x7fffffff));
    });
    for (int k = 1; k < chains; ++k) most[0] = simd::extremes<Arch>::most(most[0], most[k]);
    std::int32_t bits = 0, each[simd::lanes_of<Arch>];
    most[0].store_unaligned(each);
    for (const std::int32_t b : each) bits = b > bits ? b : bits;
    const auto absmax = std::bit_cast<float>(bits);
    return {{-absmax, absmax}, bits < 0x7f800000};
  }
};

#if defined(__AVX512DQ__) && defined(__AVX512VL__)

namespace simd {

// vrangeps: which of two values, and whose sign. It prefers a number to NaN.
enum range_of : int { smaller = 0b0100, larger = 0b0101, larger_magnitude = 0b1011 };

// One accumulator for each of `Kinds`, over all of x; false where x holds a NaN. size >= 1.
template <class Arch, int... Kinds>
struct range_chains {
  static constexpr std::size_t kinds = sizeof...(Kinds);
  static constexpr int chains = 8 / int{kinds};  // eight operations at a time hide their latency

  VQ_INLINE static bool reduce(const float* x, index_type size, float (&found)[kinds]) noexcept {
    const __m512 first = load_some<Arch>(x, size, x[0]);
    __m512 a[std::size_t{chains}][kinds];
#pragma GCC unroll 8
    for (int k = 0; k < chains; ++k) start(a[k], first);
    __mmask16 ordered = _mm512_cmp_ps_mask(first, first, _CMP_ORD_Q), also = ordered;
    index_type i = 0;
    for (; i + 16 * chains <= size; i += 16 * chains) {
#pragma GCC unroll 4
      for (int k = 0; k < chains; k += 2) {
        const __m512 v = _mm512_loadu_ps(x + i + 16 * k), w = _mm512_loadu_ps(x + i + 16 * k + 16);
        take(a[k], v);
        take(a[k + 1], w);
        __mmask16& seen = k % 4 == 0 ? ordered : also;
        seen = _mm512_mask_cmp_ps_mask(seen, v, w, _CMP_ORD_Q);
      }
    }
#pragma GCC unroll 4
    for (int apart = chains / 2; apart > 0; apart /= 2) {
#pragma GCC unroll 4
      for (int k = 0; k < apart; ++k) merge(a[k], a[k + apart]);
    }
    for (; i < size; i += 16) {
      const __m512 v = load_some<Arch>(x + i, size - i, x[0]);
      take(a[0], v);
      ordered = _mm512_mask_cmp_ps_mask(ordered, v, v, _CMP_ORD_Q);
    }
    std::size_t i_kind = 0;
    ((found[i_kind] = horizontal<Kinds>(a[0][i_kind]), ++i_kind), ...);
    return (ordered & also) == 0xffff;
  }

 private:
  VQ_INLINE static void start(__m512 (&a)[kinds], __m512 v) noexcept {
    std::size_t i = 0;
    ((static_cast<void>(Kinds), a[i++] = v), ...);
  }
  VQ_INLINE static void take(__m512 (&a)[kinds], __m512 v) noexcept {
    std::size_t i = 0;
    ((a[i] = _mm512_range_ps(v, a[i], Kinds), ++i), ...);
  }
  VQ_INLINE static void merge(__m512 (&a)[kinds], const __m512 (&b)[kinds]) noexcept {
    std::size_t i = 0;
    ((a[i] = _mm512_range_ps(b[i], a[i], Kinds), ++i), ...);
  }
  template <int Kind>
  VQ_INLINE static float horizontal(__m512 a) noexcept {
    const __m256 b = _mm256_range_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1), Kind);
    __m128 c = _mm_range_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1), Kind);
    c = _mm_range_ps(c, _mm_movehl_ps(c, c), Kind);
    return _mm_cvtss_f32(_mm_range_ps(c, _mm_movehdup_ps(c), Kind));
  }
};

}  // namespace simd

template <std::derived_from<simd::avx512> Arch>
struct kernel<find_range, simd::on<Arch>> {
  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    if (size == 0) return {};
    float found[2];
    const bool numbers =
        simd::range_chains<Arch, simd::smaller, simd::larger>::reduce(x, size, found);
    constexpr float largest = (std::numeric_limits<float>::max)();
    return {{found[0], found[1]}, numbers && found[0] >= -largest && found[1] <= largest};
  }
};

template <std::derived_from<simd::avx512> Arch>
struct kernel<find_absmax, simd::on<Arch>> {
  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    if (size == 0) return {{-0.f, 0.f}, true};
    float found[1];
    const bool numbers = simd::range_chains<Arch, simd::larger_magnitude>::reduce(x, size, found);
    constexpr float largest = (std::numeric_limits<float>::max)();
    const float absmax = op::abs(found[0]);
    return {{-absmax, absmax}, numbers && absmax <= largest};
  }
};

#endif

}  // namespace vq::inline v1

#endif
