// Sums in double on registers: the partial sums of core/sums.hpp, eight or four in a register, bit
// for bit. The last terms are padded with zeros, which change no sum and no maximum.
// Squares are added by fused products, which is the same, since they are exact; those of differences
// are not, so they are rounded first.
#ifndef VQ_SIMD_SUMS_HPP
#define VQ_SIMD_SUMS_HPP

#include <concepts>
#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <vq/core/sums.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1 {

#if defined(__AVX2__) && defined(__FMA__)

namespace simd {

// Registers of doubles: load (of floats), and the operations with their usual names.
template <class Arch>
struct doubles;

template <std::derived_from<avx2> Arch>
struct doubles<Arch> {
  using type = __m256d;
  static constexpr int size = 4;
  VQ_INLINE static type none() { return _mm256_setzero_pd(); }
  VQ_INLINE static type load(const float* x) { return _mm256_cvtps_pd(_mm_loadu_ps(x)); }
  VQ_INLINE static type add(type a, type b) { return _mm256_add_pd(a, b); }
  VQ_INLINE static type subtract(type a, type b) { return _mm256_sub_pd(a, b); }
  VQ_INLINE static type multiply(type a, type b) { return _mm256_mul_pd(a, b); }
  VQ_INLINE static type fused(type a, type b, type c) { return _mm256_fmadd_pd(a, b, c); }
  VQ_INLINE static type magnitude(type a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
  VQ_INLINE static type larger(type a, type b) { return _mm256_max_pd(a, b); }
  VQ_INLINE static void store(double* to, type a) { _mm256_storeu_pd(to, a); }
};
#if defined(__AVX512F__) && defined(__AVX512DQ__)
template <std::derived_from<avx512> Arch>
struct doubles<Arch> {
  using type = __m512d;
  static constexpr int size = 8;
  VQ_INLINE static type none() { return _mm512_setzero_pd(); }
  VQ_INLINE static type load(const float* x) { return _mm512_cvtps_pd(_mm256_loadu_ps(x)); }
  VQ_INLINE static type add(type a, type b) { return _mm512_add_pd(a, b); }
  VQ_INLINE static type subtract(type a, type b) { return _mm512_sub_pd(a, b); }
  VQ_INLINE static type multiply(type a, type b) { return _mm512_mul_pd(a, b); }
  VQ_INLINE static type fused(type a, type b, type c) { return _mm512_fmadd_pd(a, b, c); }
  VQ_INLINE static type magnitude(type a) { return _mm512_abs_pd(a); }
  VQ_INLINE static type larger(type a, type b) { return _mm512_max_pd(a, b); }
  VQ_INLINE static void store(double* to, type a) { _mm512_storeu_pd(to, a); }
};
#endif

template <class Arch>
concept has_doubles = requires { doubles<Arch>::size; };

// 16 doubles.
template <class Arch>
struct sixteen {
  using wide = doubles<Arch>;
  static constexpr int registers = 16 / wide::size;
  typename wide::type part[std::size_t{registers}];

  VQ_INLINE static sixteen none() {
    sixteen all;
#pragma GCC unroll 4
    for (int i = 0; i < registers; ++i) all.part[i] = wide::none();
    return all;
  }
  VQ_INLINE double sum() const {
    double part_of[16];
    store(part_of);
    for (int half = 8; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) part_of[i] += part_of[i + half];
    }
    return part_of[0];
  }
  VQ_INLINE double largest() const {
    double part_of[16], most = 0;
    store(part_of);
    for (const double x : part_of) most = x > most ? x : most;
    return most;
  }

 private:
  VQ_INLINE void store(double* to) const {
#pragma GCC unroll 4
    for (int i = 0; i < registers; ++i) wide::store(to + wide::size * i, part[i]);
  }
};

struct padded_sixteen {
  float values[16] = {};
  VQ_INLINE padded_sixteen(const float* from, index_type count) {
    for (index_type i = 0; i < count; ++i) values[i] = from[i];
  }
};

// Calls f for 16 places of each array at a time.
template <class F, class... X>
VQ_INLINE void sixteen_at_a_time(index_type count, F f, const X*... x) {
  index_type i = 0;
  for (; i + 16 <= count; i += 16) f(x + i...);
  if (i < count) f(padded_sixteen(x + i, count - i).values...);
}

}  // namespace simd

template <class Arch>
  requires simd::has_doubles<Arch>
struct kernel<sum_values, simd::on<Arch>> {
  [[gnu::flatten]] value_sums operator()(const float* x, index_type count) const noexcept {
    using wide = simd::doubles<Arch>;
    using all = simd::sixteen<Arch>;
    all sum = all::none(), squares = all::none();
    const auto step = [&](const float* from) {
#pragma GCC unroll 4
      for (int i = 0; i < all::registers; ++i) {
        const auto v = wide::load(from + wide::size * i);
        sum.part[i] = wide::add(sum.part[i], v);
        squares.part[i] = wide::fused(v, v, squares.part[i]);
      }
    };
    simd::sixteen_at_a_time(count, step, x);
    return {sum.sum(), squares.sum()};
  }
};

template <class Arch>
  requires simd::has_doubles<Arch>
struct kernel<sum_errors, simd::on<Arch>> {
  [[gnu::flatten]] error_sums operator()(const float* x, const float* y,
                                         index_type count) const noexcept {
    using wide = simd::doubles<Arch>;
    using all = simd::sixteen<Arch>;
    all signal = all::none(), other = signal, product = signal, squared = signal;
    all absolute = signal, largest_error = signal, largest_signal = signal;
    const auto step = [&](const float* from_x, const float* from_y) {
#pragma GCC unroll 4
      for (int i = 0; i < all::registers; ++i) {
        const auto a = wide::load(from_x + wide::size * i), b = wide::load(from_y + wide::size * i);
        const auto e = wide::subtract(b, a), size = wide::magnitude(e);
        signal.part[i] = wide::fused(a, a, signal.part[i]);
        other.part[i] = wide::fused(b, b, other.part[i]);
        product.part[i] = wide::fused(a, b, product.part[i]);
        squared.part[i] = wide::add(squared.part[i], wide::multiply(e, e));
        absolute.part[i] = wide::add(absolute.part[i], size);
        // The instruction answers with its second operand where one is NaN.
        largest_error.part[i] = wide::larger(size, largest_error.part[i]);
        largest_signal.part[i] = wide::larger(wide::magnitude(a), largest_signal.part[i]);
      }
    };
    simd::sixteen_at_a_time(count, step, x, y);
    return {.signal = signal.sum(),
            .other = other.sum(),
            .product = product.sum(),
            .squared_error = squared.sum(),
            .absolute_error = absolute.sum(),
            .largest_error = largest_error.largest(),
            .largest_signal = largest_signal.largest()};
  }
};

#endif

}  // namespace vq::inline v1

#endif
