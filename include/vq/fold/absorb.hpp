// High-bias absorption: where a channel lies far above zero, its ReLU never clips, and a constant
// moves from the bias of one layer to the bias of the next.
//
//   c = max(0, m - 3 d),  z ~ N(m, d^2) before the ReLU
//   b1 -= c,  b2[o] += sum W2[o, i] c[i]
//
// The activations between the layers then start near zero instead of near c, which spends no codes
// on values that do not occur. Equalization makes such channels. Exact wherever z > c: 99.865 % of
// a normal distribution. (Nagel et al. 2019, arXiv 1906.04721, section 4.1.3.)
#ifndef VQ_FOLD_ABSORB_HPP
#define VQ_FOLD_ABSORB_HPP

#include <span>

#include <vq/fold/channel.hpp>
#include <vq/fold/equalize.hpp>

namespace vq::inline v1 {

// `bias`, `mean` and `deviation` of the first layer's output channels (batch_norm_moments gives the
// latter two); `mean` is lowered with the bias. `second` is (O, C/groups, ...) with `second_bias`.
//
// not_foldable, and nothing changed: behind a clipped or unknown activation, and where the second
// layer pads with zeros, because a padded zero has no c to give back. (Passing zero_padding 0 for
// such a layer accepts wrong values at the border.) Also size_mismatch, bad_argument, not_finite.
template <int Rank>
constexpr status absorb_high_bias(std::span<float> bias, std::span<float> mean,
                                  std::span<const float> deviation,
                                  const tensor_view<float, Rank>& second,
                                  std::span<float> second_bias, across middle,
                                  const convolution_input& input = {}) noexcept {
  static_assert(Rank >= 2, "absorb_high_bias: a weight has output and input channels");
  if (middle == across::relu6 || middle == across::relu6_per_channel || middle == across::other) {
    return status::not_foldable;
  }
  if (input.groups < 1 || input.zero_padding < 0) return status::bad_argument;
  const index_type channels = second.extent(1) * input.groups, outputs = second.extent(0);
  const auto has_channels = [&](std::span<const float> values) {
    return static_cast<index_type>(values.size()) == channels;
  };
  if (!has_channels(bias) || !has_channels(mean) || !has_channels(deviation) ||
      static_cast<index_type>(second_bias.size()) != outputs || outputs % input.groups != 0) {
    return status::size_mismatch;
  }

  const auto absorbed = [&](index_type i) {
    const auto at = static_cast<std::size_t>(i);
    const float c = mean[at] - 3 * deviation[at];
    return c > 0 ? c : 0.f;
  };
  const auto new_bias = [&](index_type o) {
    return static_cast<double>(second_bias[static_cast<std::size_t>(o)]) +
           response_to_constant(second, o, input.groups,
                                [&](index_type i) { return static_cast<double>(absorbed(i)); });
  };
  for (index_type i = 0; i < channels; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto c = static_cast<double>(absorbed(i));
    if (!fits_float(static_cast<double>(mean[at])) ||
        !fits_float(static_cast<double>(deviation[at])) ||
        !fits_float(static_cast<double>(bias[at]) - c)) {
      return status::not_finite;
    }
    if (deviation[at] < 0) return status::bad_argument;
    if (c > 0 && input.zero_padding > 0) return status::not_foldable;
  }
  for (index_type o = 0; o < outputs; ++o) {
    if (!fits_float(new_bias(o))) return status::not_finite;
  }
  for (index_type o = 0; o < outputs; ++o) {
    second_bias[static_cast<std::size_t>(o)] = static_cast<float>(new_bias(o));
  }
  for (index_type i = 0; i < channels; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const float c = absorbed(i);
    bias[at] -= c;
    mean[at] -= c;
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
