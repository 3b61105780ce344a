// Smallest and largest value, and largest magnitude, on registers. Four accumulators keep the
// comparisons from waiting for each other.
#ifndef VQ_SIMD_RANGE_HPP
#define VQ_SIMD_RANGE_HPP

#include <bit>
#include <cstdint>
#include <limits>

#include <vq/quantizer/fit.hpp>
#include <vq/simd/codes.hpp>

namespace vq::inline v1 {

template <class Arch>
struct kernel<find_range, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using lanes = lane<V>;
  static constexpr index_type width = lane<V>::size;

  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const V largest_finite((std::numeric_limits<float>::max)());
    V low[4] = {V(infinity), V(infinity), V(infinity), V(infinity)};
    V high[4] = {V(-infinity), V(-infinity), V(-infinity), V(-infinity)};
    auto finite = V(0.f) == V(0.f);
    const auto take = [&](int k, V v) {
      low[k] = (lanes::min)(v, low[k]);
      high[k] = (lanes::max)(v, high[k]);
      finite = finite & (lanes::abs(v) <= largest_finite);
    };
    index_type i = 0;
    for (; i + 4 * width <= size; i += 4 * width) {
      for (int k = 0; k < 4; ++k) take(k, V::load_unaligned(x + i + k * width));
    }
    simd::for_each_register<Arch>(size - i, [&](index_type at, index_type count) {
      take(0, simd::load_some<Arch>(x + i + at, count));
    });

    observed all{empty_range, xsimd::all(finite)};
    float each[simd::lanes_of<Arch>];
    (lanes::min)(lanes::min(low[0], low[1]), (lanes::min)(low[2], low[3])).store_unaligned(each);
    for (const float f : each) all.seen.lowest = (op::min)(f, all.seen.lowest);
    (lanes::max)(lanes::max(high[0], high[1]), (lanes::max)(high[2], high[3]))
        .store_unaligned(each);
    for (const float f : each) all.seen.highest = (op::max)(f, all.seen.highest);
    return all;
  }
};

template <class Arch>
struct kernel<find_absmax, simd::on<Arch>> {
  using V = simd::floats<Arch>;
  using I = simd::ints<Arch>;
  static constexpr index_type width = lane<V>::size;

  [[gnu::flatten]] observed operator()(const float* x, index_type size) const noexcept {
    I most[4] = {I(0), I(0), I(0), I(0)};
    const auto take = [&](int k, V v) {
      const I bits = lane<V>::to_bits(v) & I(0x7fffffff);
      most[k] = xsimd::select(bits > most[k], bits, most[k]);
    };
    index_type i = 0;
    for (; i + 4 * width <= size; i += 4 * width) {
      for (int k = 0; k < 4; ++k) take(k, V::load_unaligned(x + i + k * width));
    }
    simd::for_each_register<Arch>(size - i, [&](index_type at, index_type count) {
      take(0, simd::load_some<Arch>(x + i + at, count));
    });

    std::int32_t bits = 0, each[simd::lanes_of<Arch>];
    for (const I& m : most) {
      m.store_unaligned(each);
      for (const std::int32_t b : each) bits = b > bits ? b : bits;
    }
    const auto absmax = std::bit_cast<float>(bits);
    return {{-absmax, absmax}, bits < 0x7f800000};
  }
};

}  // namespace vq::inline v1

#endif
