// Sums over many floats, in double: of one array, or of the differences of two.
//
//   vq::value_sums s = vq::sums_of(vq::simd::native, x);      // any view; s.sum / n is the mean
//
// Sixteen partial sums take every sixteenth term in turn and are added in halves at the end, i and
// i + 8 first, which is what registers do: an operation gives the same bits in every execution. Its
//   |error| <= (count / 16 + 5) 2^-53 sum |term|
// and squares and products of floats are exact in double. NaN and infinity give NaN or infinity.
#ifndef VQ_CORE_SUMS_HPP
#define VQ_CORE_SUMS_HPP

#include <vq/core/config.hpp>
#include <vq/core/convert.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/math.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

struct value_sums {
  double sum = 0;
  double squares = 0;

  friend constexpr bool operator==(const value_sums&, const value_sums&) noexcept = default;
};

// Sums over some pairs of values x and y, e = y - x.
struct error_sums {
  double signal = 0;          // sum x^2
  double other = 0;           // sum y^2
  double product = 0;         // sum x y
  double squared_error = 0;   // sum e^2
  double absolute_error = 0;  // sum |e|
  double largest_error = 0;   // max |e|, without NaN
  double largest_signal = 0;  // max |x|, without NaN

  friend constexpr bool operator==(const error_sums&, const error_sums&) noexcept = default;
};

// A sum by parts: term i goes to part i % 16.
class partial_sums {
 public:
  VQ_INLINE constexpr void add(index_type part, double x) noexcept { part_[part] += x; }
  VQ_INLINE constexpr double value() const noexcept {
    double sum[parts] = {};
    for (index_type i = 0; i < parts; ++i) sum[i] = part_[i];
    for (index_type half = parts / 2; half > 0; half /= 2) {
      for (index_type i = 0; i < half; ++i) sum[i] += sum[i + half];
    }
    return sum[0];
  }
  static constexpr index_type parts = 16;

 private:
  double part_[parts] = {};
};

struct sum_values {
  VQ_INLINE constexpr value_sums operator()(const float* x, index_type count) const noexcept {
    partial_sums sum, squares;
    for (index_type i = 0; i < count; ++i) {
      const double v = x[i];
      sum.add(i % partial_sums::parts, v);
      squares.add(i % partial_sums::parts, v * v);
    }
    return {sum.value(), squares.value()};
  }
};

struct sum_errors {
  VQ_INLINE constexpr error_sums operator()(const float* x, const float* y,
                                            index_type count) const noexcept {
    partial_sums signal, other, product, squared, absolute;
    error_sums s;
    for (index_type i = 0; i < count; ++i) {
      const double a = x[i], b = y[i], e = b - a;
      const index_type part = i % partial_sums::parts;
      signal.add(part, a * a);
      other.add(part, b * b);
      product.add(part, a * b);
      squared.add(part, e * e);
      absolute.add(part, math::abs(e));
      s.largest_error = math::abs(e) > s.largest_error ? math::abs(e) : s.largest_error;
      s.largest_signal = math::abs(a) > s.largest_signal ? math::abs(a) : s.largest_signal;
    }
    s.signal = signal.value();
    s.other = other.value();
    s.product = product.value();
    s.squared_error = squared.value();
    s.absolute_error = absolute.value();
    return s;
  }
};

// Of all values of a view.
template <execution E, readable_view V>
constexpr value_sums sums_of(E e, const V& x) noexcept {
  value_sums all;
  for_each_chunk(e, x, 0, x.size(), [&](index_type, const float* values, index_type count) {
    const value_sums some = kernel<sum_values, E>{}(values, count);
    all.sum += some.sum;
    all.squares += some.squares;
  });
  return all;
}

}  // namespace vq::inline v1

#endif
