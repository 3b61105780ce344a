// Bias correction: rounding the weights shifts the mean of what a layer computes, and the bias
// takes the shift back.
//
//   E[Wq x] - E[W x] = (Wq - W) E[x]
//   b[o] -= sum over input channels i of E[x_i] * (sum of Wq - W over the kernel window of o, i)
//
// E[x_i] comes from data (channel_sums, on the float network) or, without data, from the batch norm
// before the layer (expectation.hpp). The other form compares mean outputs of the float and the
// quantized network on the same data; it also takes back what earlier layers have shifted, so go
// from front to back and run the quantized network again after each layer.
//
//   vq::correct_bias(bias, weight, vq::view_quantized<4>(q, codes, params, shape), means);
//
// Order: fold, equalize, absorb, quantize weights, correct biases, find the ranges of activations.
// The first form neglects zero padding: at the border E[x] is smaller.
// (Nagel et al. 2019, arXiv 1906.04721, section 4.2.)
#ifndef VQ_FOLD_BIAS_CORRECTION_HPP
#define VQ_FOLD_BIAS_CORRECTION_HPP

#include <cstddef>
#include <span>

#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/fold/channel.hpp>

namespace vq::inline v1 {

// `weight` and `quantized`, before and after, are (O, I/groups, ...): any views that read floats.
// `expected_input` has I values. Nothing is changed on size_mismatch, bad_argument (groups < 1) or
// not_finite.
template <readable_view Before, readable_view After>
constexpr status correct_bias(std::span<float> bias, const Before& weight, const After& quantized,
                              std::span<const float> expected_input,
                              index_type groups = 1) noexcept {
  static_assert(Before::rank() == After::rank(), "correct_bias: the ranks of the weights differ");
  static_assert(Before::rank() >= 2, "correct_bias: a weight has output and input channels");
  if (groups < 1) return status::bad_argument;
  const auto& shape = weight.extents();
  const index_type outputs = shape[0];
  if (shape != quantized.extents() || static_cast<index_type>(bias.size()) != outputs ||
      static_cast<index_type>(expected_input.size()) != shape[1] * groups ||
      outputs % groups != 0) {
    return status::size_mismatch;
  }
  const auto expected = [&](index_type i) {
    return static_cast<double>(expected_input[static_cast<std::size_t>(i)]);
  };
  const auto corrected = [&](index_type o) {
    return static_cast<double>(bias[static_cast<std::size_t>(o)]) -
           (response_to_constant(quantized, o, groups, expected) -
            response_to_constant(weight, o, groups, expected));
  };
  for (index_type o = 0; o < outputs; ++o) {
    if (!fits_float(corrected(o))) return status::not_finite;
  }
  for (index_type o = 0; o < outputs; ++o) {
    bias[static_cast<std::size_t>(o)] = static_cast<float>(corrected(o));
  }
  return status::ok;
}

// The same from the mean of each output channel, on the same data, of both networks.
constexpr status correct_bias_by_outputs(std::span<float> bias, std::span<const float> mean,
                                         std::span<const float> quantized_mean) noexcept {
  if (mean.size() != bias.size() || quantized_mean.size() != bias.size()) {
    return status::size_mismatch;
  }
  const auto corrected = [&](std::size_t o) {
    return static_cast<double>(bias[o]) -
           (static_cast<double>(quantized_mean[o]) - static_cast<double>(mean[o]));
  };
  for (std::size_t o = 0; o < bias.size(); ++o) {
    if (!fits_float(corrected(o))) return status::not_finite;
  }
  for (std::size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>(corrected(o));
  return status::ok;
}

// The mean of each channel over all batches seen. The caller owns one double per channel.
class channel_sums {
 public:
  explicit constexpr channel_sums(std::span<double> sums) noexcept : sums_(sums) {
    for (double& sum : sums_) sum = 0;
  }

  // (N, C, ...), by any strides. Nothing is added on size_mismatch or not_finite.
  template <readable_view V>
  constexpr status add(const V& batch) noexcept {
    static_assert(V::rank() >= 2, "channel_sums: a batch has samples and channels");
    const auto& shape = batch.extents();
    if (shape[1] != static_cast<index_type>(sums_.size())) return status::size_mismatch;
    const index_type area = volume(shape, 2), runs = shape[0] * shape[1];
    if (!fits_float(static_cast<double>(largest_magnitude(batch, {0, area, runs, area})))) {
      return status::not_finite;
    }
    for (index_type run = 0; run < runs; ++run) {
      double& sum = sums_[static_cast<std::size_t>(run % shape[1])];
      for_each_chunk(batch, run * area, area, [&](index_type, const float* x, index_type count) {
        for (index_type i = 0; i < count; ++i) sum += static_cast<double>(x[i]);
      });
    }
    count_ += shape[0] * area;
    return status::ok;
  }

  // no_data where nothing was seen.
  constexpr status means(std::span<float> out) const noexcept {
    if (out.size() != sums_.size()) return status::size_mismatch;
    if (count_ == 0) return status::no_data;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<float>(sums_[i] / static_cast<double>(count_));
    }
    return status::ok;
  }

 private:
  std::span<double> sums_;
  index_type count_ = 0;  // values per channel
};

}  // namespace vq::inline v1

#endif
