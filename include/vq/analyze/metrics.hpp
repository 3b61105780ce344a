// How far a quantized tensor y is from its reference x; e = y - x.
//
//   auto error = vq::compare(weights, vq::quantized_view{...});      // one pass, all metrics
//   if (!error) return error.error();
//   error->sqnr_db();   // 10 log10(sum x^2 / sum e^2)
//   error->cosine();    // <x, y> / (|x| |y|)
//
// Both tensors are read by chunks, so a view that decodes is as good as floats in memory. Sums are
// taken in double and compensated: their error is below 1e-13 of the sum of magnitudes, for any
// size. What was found in several batches or shards can be merged. NaN in the data gives NaN,
// infinity gives infinity or NaN.
// Cosine is blind to scale and hides a tenfold error behind 0.999...; look at SQNR or relative_l2.
#ifndef VQ_ANALYZE_METRICS_HPP
#define VQ_ANALYZE_METRICS_HPP

#include <cmath>
#include <limits>
#include <span>

#include <vq/analyze/compensated_sum.hpp>
#include <vq/core/execution.hpp>
#include <vq/core/result.hpp>
#include <vq/core/status.hpp>
#include <vq/core/sums.hpp>
#include <vq/core/tensor_view.hpp>

namespace vq::inline v1 {

class error_statistics {
 public:
  constexpr index_type count() const noexcept { return count_; }

  // Mean of e^2, and of |e|; 0 for no values.
  constexpr double mse() const noexcept { return mean(squared_error_.value()); }
  constexpr double mae() const noexcept { return mean(absolute_error_.value()); }
  constexpr double max_abs_error() const noexcept { return with_nan(largest_error_); }

  // Signal to quantization noise in decibels: +infinity without error, -infinity where x is zero
  // and y is not.
  double sqnr_db() const noexcept { return decibels(signal_.value(), squared_error_.value()); }
  // The same with the peak max x^2 in place of the mean of x^2.
  double psnr_db() const noexcept { return decibels(largest_signal_ * largest_signal_, mse()); }

  // Cosine of the angle between x and y, within [-1, 1]. 1 where both are zero, 0 where one is. A
  // smallest norm above 0 takes the place of smaller norms, as in PyTorch (1e-8), which makes the
  // cosine of zero vectors 0.
  double cosine(double smallest_norm = 0) const noexcept {
    const auto norm = [smallest_norm](double squares) {
      const double root = std::sqrt(squares);
      return root < smallest_norm ? smallest_norm : root;
    };
    const double x = norm(signal_.value()), y = norm(other_.value());
    if (x == 0 || y == 0) return x == y ? 1 : 0;
    const double ratio = product_.value() / x / y;
    return ratio > 1 ? 1 : ratio < -1 ? -1 : ratio;
  }

  // |e| / |x|: 0 without error, infinity where x is zero and y is not.
  double relative_l2() const noexcept {
    const double error = squared_error_.value();
    return error == 0 ? 0 : std::sqrt(error / signal_.value());
  }

  // Adds pairs, which must be of one tensor or of several of the same kind.
  constexpr void add(const error_sums& s, index_type count) noexcept {
    count_ += count;
    signal_.add(s.signal);
    other_.add(s.other);
    product_.add(s.product);
    squared_error_.add(s.squared_error);
    absolute_error_.add(s.absolute_error);
    keep_largest(s.largest_error, s.largest_signal);
  }
  constexpr void merge(const error_statistics& s) noexcept {
    count_ += s.count_;
    signal_.add(s.signal_);
    other_.add(s.other_);
    product_.add(s.product_);
    squared_error_.add(s.squared_error_);
    absolute_error_.add(s.absolute_error_);
    keep_largest(s.largest_error_, s.largest_signal_);
  }

 private:
  constexpr void keep_largest(double error, double signal) noexcept {
    largest_error_ = error > largest_error_ ? error : largest_error_;
    largest_signal_ = signal > largest_signal_ ? signal : largest_signal_;
  }
  constexpr double mean(double sum) const noexcept {
    return count_ == 0 ? 0 : sum / static_cast<double>(count_);
  }
  // A maximum does not see NaN; the sums do.
  constexpr double with_nan(double largest) const noexcept {
    const double sum = squared_error_.value();
    return sum == sum ? largest : sum;
  }
  static double decibels(double signal, double noise) noexcept {
    if (noise == 0) return std::numeric_limits<double>::infinity();
    return 10 * std::log10(signal / noise);
  }

  index_type count_ = 0;
  compensated_sum signal_, other_, product_, squared_error_, absolute_error_;
  double largest_error_ = 0, largest_signal_ = 0;
};

// All errors of y against x. Errors: size_mismatch (the extents differ).
template <execution E, readable_view X, readable_view Y>
constexpr result<error_statistics> compare(E, const X& x, const Y& y) noexcept {
  static_assert(X::rank() == Y::rank(), "compare: the tensors must have the same rank");
  if (x.extents() != y.extents()) return status::size_mismatch;
  constexpr index_type chunk = 512;
  float from_x[chunk] = {}, from_y[chunk] = {};
  error_statistics all;
  for (index_type begin = 0; begin < x.size(); begin += chunk) {
    const index_type count = x.size() - begin < chunk ? x.size() - begin : chunk;
    x.read(begin, std::span(from_x).first(static_cast<std::size_t>(count)));
    y.read(begin, std::span(from_y).first(static_cast<std::size_t>(count)));
    all.add(kernel<sum_errors, E>{}(from_x, from_y, count), count);
  }
  return all;
}
template <readable_view X, readable_view Y>
constexpr result<error_statistics> compare(const X& x, const Y& y) noexcept {
  return compare(scalar, x, y);
}

}  // namespace vq::inline v1

#endif
