// Averages of the batches' ranges.
//
//   moving_average_observer   m = first batch; then m += constant * (batch - m)
//   batch_mean_observer       the mean of all batches
//
// Both shrink the range of rare outliers without a histogram. The moving average forgets: it suits
// training, where early batches come from weights that are no more. Over a calibration set it keeps
// what the first batch said - after n batches it still has weight (1 - constant)^(n - 1), 91 % for
// ten batches at 0.01 - and depends on their order; the mean does not.
// Sources: PyTorch MovingAverageMinMaxObserver (averaging_constant 0.01); ONNX Runtime's MinMax
// calibrator with moving_average, which takes the mean of the batches it is given at once.
#ifndef VQ_CALIBRATE_MOVING_AVERAGE_HPP
#define VQ_CALIBRATE_MOVING_AVERAGE_HPP

#include <cstdint>
#include <string>
#include <string_view>

#include <vq/calibrate/observer.hpp>
#include <vq/calibrate/state_text.hpp>

namespace vq::inline v1 {

// The state is the affine map that its batches x_1..x_n apply to an earlier average m:
//   m -> sum + decay * m,   decay = (1 - constant)^n,   sum = sum_i constant (1-constant)^(n-i) x_i
// Maps compose associatively, so shards may be observed apart and merged in their order. Without
// anything earlier, m is the first batch (whose own step then changes nothing).
class moving_average_observer : public observes_views<moving_average_observer> {
 public:
  // 0 < constant <= 1: the weight of a new batch.
  explicit moving_average_observer(double constant = 0.01) : constant_(constant) {
    VQ_ASSERT(constant > 0 && constant <= 1);
  }
  double constant() const { return constant_; }

  using observes_views<moving_average_observer>::observe;
  void observe(range batch) {
    VQ_ASSERT(detail::is_observable(batch));
    if (batches_ == 0) first_ = batch;
    append(1, 1 - constant_, {constant_ * batch.lowest, constant_ * batch.highest});
  }

  // `other` saw the batches that came after those of this one.
  status merge(const moving_average_observer& other) {
    if (constant_ != other.constant_) return status::bad_argument;
    if (batches_ == 0) first_ = other.first_;
    append(other.batches_, other.decay_, other.sum_);
    return status::ok;
  }

  result<range> estimate() const {
    if (batches_ == 0) return status::no_data;
    const ends v = value();
    return range{static_cast<float>(v.lowest), static_cast<float>(v.highest)};
  }

  // vq moving_average 1 / constant c / batches n decay / first <range> / sum <two doubles>
  std::string serialize() const {
    state_writer out("moving_average");
    out.key("constant").number(constant_).key("batches").number(batches_).number(decay_);
    out.key("first").numbers(first_).key("sum").number(sum_.lowest).number(sum_.highest);
    return out.text();
  }
  static result<moving_average_observer> deserialize(std::string_view text) {
    state_reader in(text, "moving_average");
    moving_average_observer o;
    o.constant_ = in.key("constant").number<double>();
    o.batches_ = in.key("batches").number<std::uint64_t>();
    o.decay_ = in.number<double>();
    o.first_ = in.key("first").numbers();
    o.sum_.lowest = in.key("sum").number<double>();
    o.sum_.highest = in.number<double>();
    const bool sound =
        in.finished() && o.constant_ > 0 && o.constant_ <= 1 &&
        (o.batches_ == 0
             ? o == moving_average_observer(o.constant_)
             : detail::is_observable(o.first_) && o.decay_ >= 0 && o.decay_ <= 1 - o.constant_ &&
                   detail::is_observable(o.value().lowest, o.value().highest));
    if (!sound) return status::bad_format;
    return o;
  }

  friend bool operator==(const moving_average_observer&, const moving_average_observer&) = default;

 private:
  struct ends {
    double lowest = 0, highest = 0;
    friend bool operator==(const ends&, const ends&) = default;
  };

  ends value() const {
    return {sum_.lowest + decay_ * first_.lowest, sum_.highest + decay_ * first_.highest};
  }
  void append(std::uint64_t batches, double decay, ends sum) {
    sum_ = {sum.lowest + decay * sum_.lowest, sum.highest + decay * sum_.highest};
    decay_ *= decay;
    batches_ += batches;
  }

  double constant_;
  std::uint64_t batches_ = 0;
  double decay_ = 1;
  range first_;
  ends sum_;
};

// Sums are kept in double: merging is commutative exactly and associative to its rounding.
class batch_mean_observer : public observes_views<batch_mean_observer> {
 public:
  using observes_views<batch_mean_observer>::observe;
  void observe(range batch) {
    VQ_ASSERT(detail::is_observable(batch));
    lowest_ += batch.lowest;
    highest_ += batch.highest;
    ++batches_;
  }

  status merge(const batch_mean_observer& other) {
    lowest_ += other.lowest_;
    highest_ += other.highest_;
    batches_ += other.batches_;
    return status::ok;
  }

  result<range> estimate() const {
    if (batches_ == 0) return status::no_data;
    const auto count = static_cast<double>(batches_);
    return range{static_cast<float>(lowest_ / count), static_cast<float>(highest_ / count)};
  }

  // vq batch_mean 1 / batches n / sums <two doubles>
  std::string serialize() const {
    state_writer out("batch_mean");
    out.key("batches").number(batches_).key("sums").number(lowest_).number(highest_);
    return out.text();
  }
  static result<batch_mean_observer> deserialize(std::string_view text) {
    state_reader in(text, "batch_mean");
    batch_mean_observer o;
    o.batches_ = in.key("batches").number<std::uint64_t>();
    o.lowest_ = in.key("sums").number<double>();
    o.highest_ = in.number<double>();
    if (!in.finished()) return status::bad_format;
    const bool sound = o.batches_ == 0
                           ? o == batch_mean_observer()
                           : detail::is_observable(o.lowest_ / static_cast<double>(o.batches_),
                                                   o.highest_ / static_cast<double>(o.batches_));
    if (!sound) return status::bad_format;
    return o;
  }

  friend bool operator==(const batch_mean_observer&, const batch_mean_observer&) = default;

 private:
  std::uint64_t batches_ = 0;
  double lowest_ = 0, highest_ = 0;
};

static_assert(range_observer<moving_average_observer> && range_observer<batch_mean_observer>);

}  // namespace vq::inline v1

#endif
