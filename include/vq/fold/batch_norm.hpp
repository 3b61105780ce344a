// Batch normalization at inference is one multiply-add per channel, which the neighbouring
// convolution or linear layer can take over:
//
//   y = k x + c,   k = gamma / sqrt(variance + epsilon),   c = beta - mean k
//
//   layer, then batch norm    W'[o] = W[o] k[o]        b'[o] = b[o] k[o] + c[o]         exact
//   batch norm, then layer    W'[:, i] = W[:, i] k[i]  b'[o] = b[o] + sum W[o, i] c[i]  exact
//                                                      without zero padding only
//
//   vq::fold_batch_norm(weight, bias, {.gamma = g, .beta = b, .mean = m, .variance = v,
//                                      .epsilon = 1e-5f});
//
// "Exact" is up to one rounding of each weight: k and c are computed in double. Fold before weights
// are quantized and before activation ranges are observed. A folded weight has the spread of k in
// its rows, often 10 to 1000 fold: give it one scale per channel, or equalize.
//
// All functions check everything before they change anything:
//   not_foldable   no running statistics (such a layer uses those of the batch, always)
//   size_mismatch  a span is not as long as the layer has channels
//   bad_argument   epsilon is negative or not finite, groups < 1
//   not_finite     NaN or infinity in a weight, a bias or a statistic, or in what would be written
// (Ioffe and Szegedy 2015, arXiv 1502.03167; folding: Jacob et al. 2018, arXiv 1712.05877, 3.2.)
#ifndef VQ_FOLD_BATCH_NORM_HPP
#define VQ_FOLD_BATCH_NORM_HPP

#include <span>

#include <vq/core/status.hpp>
#include <vq/fold/channel.hpp>

namespace vq::inline v1 {

// What a trained layer has learned and observed, one value per channel. Leave gamma or beta empty
// where the layer has none (1 and 0); mean and variance are the running ones, empty where the layer
// keeps none. epsilon belongs to the model (PyTorch 1e-5; Keras, EfficientNet and MobileNet from
// TensorFlow 1e-3): read it from there.
//
// The affine part of a layer normalization folds into the linear layer behind it as
// {.gamma = g, .beta = b, .mean = zeros, .variance = ones, .epsilon = 0}.
struct batch_norm {
  std::span<const float> gamma = {};
  std::span<const float> beta = {};
  std::span<const float> mean = {};
  std::span<const float> variance = {};
  float epsilon = 1e-5f;

  constexpr index_type channels() const noexcept { return static_cast<index_type>(mean.size()); }
};

// Channels [begin, begin + count): for a batch norm behind a concatenation, the part that belongs
// to one branch.
constexpr batch_norm channels_of(const batch_norm& bn, index_type begin,
                                 index_type count) noexcept {
  const auto part = [&](std::span<const float> all) {
    return all.empty()
               ? all
               : all.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
  };
  return {part(bn.gamma), part(bn.beta), part(bn.mean), part(bn.variance), bn.epsilon};
}

// y = k x + c.
struct scale_shift {
  double k = 1;
  double c = 0;
};

// What the batch norm does to one channel, for those who keep it as a multiply-add. The batch norm
// must have running statistics.
constexpr scale_shift scale_and_shift(const batch_norm& bn, index_type channel) noexcept {
  VQ_ASSERT(0 <= channel && channel < bn.channels());
  const auto at = static_cast<std::size_t>(channel);
  const double gamma = bn.gamma.empty() ? 1 : static_cast<double>(bn.gamma[at]);
  const double beta = bn.beta.empty() ? 0 : static_cast<double>(bn.beta[at]);
  const double variance = static_cast<double>(bn.variance[at]) + static_cast<double>(bn.epsilon);
  const double k = gamma / math::sqrt(variance);
  return {k, beta - static_cast<double>(bn.mean[at]) * k};
}

// Whether the batch norm is complete for a layer of `channels` channels (statuses: see above).
constexpr status check_batch_norm(const batch_norm& bn, index_type channels) noexcept {
  if (bn.mean.empty() || bn.variance.empty()) return status::not_foldable;
  const auto fits = [&](std::span<const float> values) {
    return static_cast<index_type>(values.size()) == channels;
  };
  if (!fits(bn.mean) || !fits(bn.variance) || !(bn.gamma.empty() || fits(bn.gamma)) ||
      !(bn.beta.empty() || fits(bn.beta))) {
    return status::size_mismatch;
  }
  if (!(bn.epsilon >= 0 && fits_float(static_cast<double>(bn.epsilon)))) {
    return status::bad_argument;
  }
  for (index_type i = 0; i < channels; ++i) {
    const auto [k, c] = scale_and_shift(bn, i);
    const auto variance = static_cast<double>(bn.variance[static_cast<std::size_t>(i)]);
    if (!fits_float(variance) || !fits_float(k) || !fits_float(c)) return status::not_finite;
  }
  return status::ok;
}

// A channel whose input hardly varied in training: 1 / sqrt(variance + epsilon) amplifies whatever
// weights are left. Its output was the constant beta. Folding stays exact; where the folded row is
// not tiny it widens a shared range for nothing, and a row of zeros with bias beta serves better.
constexpr bool is_dead_channel(const batch_norm& bn, index_type channel,
                               float variance_below = 1e-10f) noexcept {
  return bn.variance[static_cast<std::size_t>(channel)] < variance_below;
}

// Two facts for the auditor (audit.hpp): k > 0 in every channel, c = 0 in every channel.
constexpr bool has_positive_scale(const batch_norm& bn) noexcept {
  for (index_type i = 0; i < bn.channels(); ++i) {
    if (!(scale_and_shift(bn, i).k > 0)) return false;
  }
  return true;
}
constexpr bool has_zero_shift(const batch_norm& bn) noexcept {
  for (index_type i = 0; i < bn.channels(); ++i) {
    if (scale_and_shift(bn, i).c != 0) return false;
  }
  return true;
}

namespace detail {

// The layers before a batch norm: `values_of(channel)` are the weights of an output channel.
template <int Rank, class ValuesOf>
constexpr status fold_into_outputs(const tensor_view<float, Rank>& weight, std::span<float> bias,
                                   const batch_norm& bn, ValuesOf values_of) noexcept {
  const auto new_bias = [&](index_type channel, const scale_shift& y) {
    return y.k * static_cast<double>(bias[static_cast<std::size_t>(channel)]) + y.c;
  };
  for (index_type i = 0; i < bn.channels(); ++i) {
    const scale_shift y = scale_and_shift(bn, i);
    const double largest = static_cast<double>(largest_magnitude(weight, values_of(i)));
    if (!fits_float(largest * y.k) || !fits_float(new_bias(i, y))) return status::not_finite;
  }
  for (index_type i = 0; i < bn.channels(); ++i) {
    const scale_shift y = scale_and_shift(bn, i);
    multiply(weight, values_of(i), y.k);
    bias[static_cast<std::size_t>(i)] = static_cast<float>(new_bias(i, y));
  }
  return status::ok;
}

}  // namespace detail

// Into the convolution or linear layer before it, whose weight is (O, I/groups, ...); any groups.
// `bias` has O values: where the layer has none, hand in zeros and keep what they become.
template <int Rank>
constexpr status fold_batch_norm(const tensor_view<float, Rank>& weight, std::span<float> bias,
                                 const batch_norm& bn) noexcept {
  static_assert(Rank >= 2, "fold_batch_norm: a weight has output and input channels");
  const index_type outputs = weight.extent(0);
  if (const status s = check_batch_norm(bn, outputs); s != status::ok) return s;
  if (static_cast<index_type>(bias.size()) != outputs) return status::size_mismatch;
  return detail::fold_into_outputs(weight, bias, bn, [&](index_type channel) {
    return first_axis_channel(weight.extents(), channel);
  });
}

// Into the transposed convolution before it, whose weight is (I, O/groups, ...).
template <int Rank>
constexpr status fold_batch_norm_transposed(const tensor_view<float, Rank>& weight,
                                            std::span<float> bias, const batch_norm& bn,
                                            index_type groups = 1) noexcept {
  static_assert(Rank >= 2, "fold_batch_norm_transposed: a weight has input and output channels");
  if (groups < 1) return status::bad_argument;
  const index_type outputs = weight.extent(1) * groups;
  if (const status s = check_batch_norm(bn, outputs); s != status::ok) return s;
  if (static_cast<index_type>(bias.size()) != outputs || weight.extent(0) % groups != 0) {
    return status::size_mismatch;
  }
  return detail::fold_into_outputs(weight, bias, bn, [&](index_type channel) {
    return second_axis_channel(weight.extents(), channel, groups);
  });
}

// Into the convolution or linear layer after it, whose weight is (O, I/groups, ...). A zero that
// the layer adds at the border was not shifted by c: with zero padding this is not_foldable unless
// c is 0 in every channel. A linear layer behind a flattened (channels, height, width) map is
// handed in as a weight (O, channels, height, width).
template <int Rank>
constexpr status fold_batch_norm_forward(const batch_norm& bn,
                                         const tensor_view<float, Rank>& weight,
                                         std::span<float> bias,
                                         const convolution_input& input = {}) noexcept {
  static_assert(Rank >= 2, "fold_batch_norm_forward: a weight has output and input channels");
  if (input.groups < 1 || input.zero_padding < 0) return status::bad_argument;
  const index_type channels = weight.extent(1) * input.groups;
  if (const status s = check_batch_norm(bn, channels); s != status::ok) return s;
  if (static_cast<index_type>(bias.size()) != weight.extent(0) ||
      weight.extent(0) % input.groups != 0) {
    return status::size_mismatch;
  }
  const auto shift = [&](index_type channel) { return scale_and_shift(bn, channel).c; };
  const auto new_bias = [&](index_type output) {
    return static_cast<double>(bias[static_cast<std::size_t>(output)]) +
           response_to_constant(weight, output, input.groups, shift);
  };

  for (index_type i = 0; i < channels; ++i) {
    const scale_shift y = scale_and_shift(bn, i);
    if (input.zero_padding > 0 && y.c != 0) return status::not_foldable;
    const channel_runs values = second_axis_channel(weight.extents(), i, input.groups);
    const double largest = static_cast<double>(largest_magnitude(weight, values));
    if (!fits_float(largest * y.k)) return status::not_finite;
  }
  for (index_type o = 0; o < weight.extent(0); ++o) {
    if (!fits_float(new_bias(o))) return status::not_finite;
  }
  for (index_type o = 0; o < weight.extent(0); ++o) {
    bias[static_cast<std::size_t>(o)] = static_cast<float>(new_bias(o));
  }
  for (index_type i = 0; i < channels; ++i) {
    multiply(weight, second_axis_channel(weight.extents(), i, input.groups),
             scale_and_shift(bn, i).k);
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
