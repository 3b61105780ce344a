// Power-of-two factors (FQ-ViT's PTF): one grid for all channels, its step doubled `exponent` times
// in a channel of its own.
//
//   value = scale * 2^exponent[c] * (code - Z) = scale * ((code - Z) << exponent[c])
//
// For tensors whose channels differ in range, as inputs and outputs of LayerNorm do. The widest
// channel gets exponent K (3: steps up to 8 times finer elsewhere), and each channel the exponent of
// least squared error on its own values. Z is that of the widest step and the same for all.
//
//   power_of_two_factors<Policy> seen(policy, whole_range, channels);
//   seen.add(x);                                  // (..., channels); any number of batches
//   auto grid = seen.choose();                    // result<factored_grid>
//   quantize(quantizer<Policy, per_channel<1>>{}, x, grid->params(), codes);
//
// Integers: a LayerNorm reads (code - Z) << exponent and needs no scale at all, since it divides by
// the deviation (epsilon becomes epsilon / scale^2). A linear layer reads the codes as they are once
// the factors lie in its weights: reparameterize(grid->params(), {scale, Z}, ...) moves them there
// without a rounding error. When to choose it: where the codes are read by shifts. Otherwise
// reparameterization with one scale and zero point per channel (optimize/reparameterize.hpp) fits
// each channel better at the same cost; one-sided channels lose a bit or more to the common Z here.
// Memory: K + 1 doubles per channel, whatever the number of batches. The range is the caller's, so
// any estimator may have clipped it. Nearby: log_scale.hpp, FQ-ViT's other half.
// Source: Lin et al. 2022 (FQ-ViT, arXiv 2111.13824, section 3.2), which decides on one batch.
#ifndef VQ_CALIBRATE_POWER_OF_TWO_FACTOR_HPP
#define VQ_CALIBRATE_POWER_OF_TWO_FACTOR_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/policy/concepts.hpp>

namespace vq::inline v1 {

struct factored_grid {
  affine_param finest;                  // of a channel with exponent 0
  std::vector<std::uint8_t> exponents;  // one per channel

  affine_param of(int exponent) const noexcept {
    return {finest.scale * op::exp2i(static_cast<float>(exponent)), finest.zero_point};
  }
  // One per channel, for per_channel quantizers and reparameterize().
  std::vector<affine_param> params() const {
    std::vector<affine_param> all;
    for (const std::uint8_t e : exponents) all.push_back(of(e));
    return all;
  }
};

template <affine_policy Policy>
class power_of_two_factors {
 public:
  // `whole` is the range of all channels together.
  power_of_two_factors(const Policy& policy, range whole, index_type channels,
                       int largest_exponent = 3)
      : policy_(policy), channels_(channels), exponents_(largest_exponent + 1) {
    if (channels < 1 || largest_exponent < 0 || largest_exponent > 15) return;
    if (whole.empty() || !(whole.absmax() <= (std::numeric_limits<float>::max)())) return;
    constexpr float smallest = (std::numeric_limits<float>::min)();
    grid_.finest = policy.fit(whole);
    const float finest = grid_.finest.scale * op::exp2i(static_cast<float>(-largest_exponent));
    grid_.finest.scale = finest > smallest ? finest : smallest;
    errors_.assign(static_cast<std::size_t>(channels * exponents_), 0.0);
  }

  // The last axis are the channels. On an error nothing is added: bad_argument (an option of the
  // constructor, or a range that is empty or not finite), size_mismatch, not_finite.
  template <readable_view V>
  status add(const V& x) {
    if (errors_.empty()) return status::bad_argument;
    if (x.extents().back() != channels_) return status::size_mismatch;
    bool finite = true;
    for_each_chunk(x, 0, x.size(), [&](index_type, const float* values, index_type count) {
      for (index_type i = 0; i < count; ++i) {
        finite = finite && op::abs(values[i]) <= (std::numeric_limits<float>::max)();
      }
    });
    if (!finite) return status::not_finite;
    for_each_chunk(x, 0, x.size(), [&](index_type begin, const float* values, index_type count) {
      for (index_type i = 0; i < count;) {
        const index_type channel = (begin + i) % channels_;
        const index_type left = count - i < channels_ - channel ? count - i : channels_ - channel;
        add_row(values + i, channel, left);
        i += left;
      }
    });
    values_ += x.size();
    return status::ok;
  }

  // The first exponent of least error in each channel. no_data before the first value.
  result<factored_grid> choose() const {
    if (errors_.empty()) return status::bad_argument;
    if (values_ == 0) return status::no_data;
    factored_grid chosen = grid_;
    for (index_type c = 0; c < channels_; ++c) {
      int best = 0;
      for (int e = 1; e < exponents_; ++e) {
        if (error(e, c) < error(best, c)) best = e;
      }
      chosen.exponents.push_back(static_cast<std::uint8_t>(best));
    }
    return chosen;
  }

 private:
  double error(int exponent, index_type channel) const {
    return errors_[static_cast<std::size_t>(exponent * channels_ + channel)];
  }
  void add_row(const float* x, index_type channel, index_type count) {
    for (int e = 0; e < exponents_; ++e) {
      const affine_param param = grid_.of(e);
      double* const sums = &errors_[static_cast<std::size_t>(e * channels_ + channel)];
      for (index_type i = 0; i < count; ++i) {
        const double d = x[i] - policy_.decode(policy_.encode(x[i], param), param);
        sums[i] += d * d;
      }
    }
  }

  Policy policy_;
  index_type channels_;
  int exponents_;
  factored_grid grid_;
  std::vector<double> errors_;  // (exponents, channels); empty where an argument is wrong
  index_type values_ = 0;
};

}  // namespace vq::inline v1

#endif
