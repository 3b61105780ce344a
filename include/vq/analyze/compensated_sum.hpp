// A sum of many doubles whose error does not grow with their number.
//
// Neumaier's variant of Kahan's sum (1974): the rounding error of each addition is kept beside the
// sum, so the result is within 1 ulp of the exact one plus n^2 u^2 sum|x|, u = 2^-53.
#ifndef VQ_ANALYZE_COMPENSATED_SUM_HPP
#define VQ_ANALYZE_COMPENSATED_SUM_HPP

#include <vq/core/math.hpp>

namespace vq::inline v1 {

class compensated_sum {
 public:
  constexpr void add(double x) noexcept {
    const double next = sum_ + x;
    rest_ += math::abs(sum_) >= math::abs(x) ? (sum_ - next) + x : (x - next) + sum_;
    sum_ = next;
  }
  constexpr void add(const compensated_sum& other) noexcept {
    add(other.sum_);
    rest_ += other.rest_;
  }
  // Infinite sums have a rest of NaN, which is dropped.
  constexpr double value() const noexcept { return rest_ == rest_ ? sum_ + rest_ : sum_; }

 private:
  double sum_ = 0, rest_ = 0;
};

}  // namespace vq::inline v1

#endif
