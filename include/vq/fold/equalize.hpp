// Cross-layer equalization: moves scale from the outputs of one layer to the inputs of the next, so
// that one scale per tensor serves all channels of both.
//
//   y = W2 f(W1 x + b1) + b2,   f(s z) = s f(z) for s > 0
//   r1[i] = max |W1[i, :]|,  r2[i] = max |W2[:, i]|,  s[i] = sqrt(r1[i] / r2[i])
//   W1[i] /= s[i],  b1[i] /= s[i],  W2[:, i] *= s[i]        both ranges become sqrt(r1 r2)
//
//   std::vector<float> scales(channels, 1.f);  // of the values between the two layers
//   for (int sweep = 0; sweep < 20; ++sweep) {
//     auto change = vq::equalize(w1, b1, w2, scales, vq::across::relu);
//     if (!change || *change < 1e-4f) break;
//   }
//
// Fold batch norms first. The second layer must be the only reader of the values between the two.
// Pairs that share a layer disturb each other: sweep over all of them until no scale changes. The
// sweeps over a chain (convolution, depthwise, pointwise) end where its ranges are equal, which is
// the cube-root rule (r1 r2 r3)^(1/3) for three layers.
//
// Worth it where weights have one scale per tensor. Where they have one per channel it changes the
// ranges of the activations only, for better or worse. A channel that is all 0 in one of the layers
// keeps s = 1. (Nagel et al. 2019, arXiv 1906.04721, section 4.1.)
#ifndef VQ_FOLD_EQUALIZE_HPP
#define VQ_FOLD_EQUALIZE_HPP

#include <cstdint>
#include <span>

#include <vq/core/result.hpp>
#include <vq/fold/channel.hpp>

namespace vq::inline v1 {

// What lies between the two layers.
enum class across : std::uint8_t {
  identity,
  relu,
  prelu,          // one slope for all channels or one for each: scaling does not touch them
  relu6,          // refused: min(6, s x) is not s min(6, x). Two ways out, both said by the caller:
  relu6_as_relu,  // the network is run with ReLU instead, which changes it: measure how much
  relu6_per_channel,  // channel i is clipped at 6 / scales[i] from now on (clip_limits): exact
  other,              // GELU, SiLU, sigmoid, hard swish, ...: refused
};

struct equalize_options {
  index_type groups = 1;       // of the second layer; as many as channels where it is depthwise
  float largest_scale = 1e4f;  // scales stay within [1 / largest_scale, largest_scale]
};

// `first` (C, ...) has one row per output channel and `bias` C values; `second` is
// (O, C/groups, ...). scales[i], positive, is multiplied by s[i]: start with ones, and a value
// between the layers is 1 / scales[i] of what it was. Returns the largest change of a scale,
// max(s, 1/s) - 1.
//
// A channel with tiny weights and an ordinary bias would be blown up; largest_scale bounds that.
// On an error nothing is changed: not_foldable (what lies between), size_mismatch, bad_argument
// (an option, a scale that is not positive and finite), not_finite (before or after).
template <int FirstRank, int SecondRank>
constexpr result<float> equalize(const tensor_view<float, FirstRank>& first, std::span<float> bias,
                                 const tensor_view<float, SecondRank>& second,
                                 std::span<float> scales, across middle,
                                 const equalize_options& options = {}) noexcept {
  static_assert(FirstRank >= 2 && SecondRank >= 2,
                "equalize: a weight has output and input channels");
  if (middle == across::relu6 || middle == across::other) return status::not_foldable;
  if (options.groups < 1 || !(options.largest_scale >= 1) ||
      !fits_float(static_cast<double>(options.largest_scale))) {
    return status::bad_argument;
  }
  const index_type channels = first.extent(0);
  if (static_cast<index_type>(bias.size()) != channels ||
      static_cast<index_type>(scales.size()) != channels ||
      second.extent(1) * options.groups != channels || second.extent(0) % options.groups != 0) {
    return status::size_mismatch;
  }

  struct step {
    double first_range, second_range, s;
    float scale;  // scales[i] after the step
  };
  const auto step_of = [&](index_type i) -> step {
    const auto r1 =
        static_cast<double>(largest_magnitude(first, first_axis_channel(first.extents(), i)));
    const auto r2 = static_cast<double>(
        largest_magnitude(second, second_axis_channel(second.extents(), i, options.groups)));
    const float before = scales[static_cast<std::size_t>(i)];
    if (r1 == 0 || r2 == 0) return {r1, r2, 1, before};
    const auto most = static_cast<double>(options.largest_scale);
    double scale = static_cast<double>(before) * math::sqrt(r1 / r2);
    scale = scale < 1 / most ? 1 / most : scale > most ? most : scale;
    const auto after = static_cast<float>(scale);
    return {r1, r2, static_cast<double>(after) / static_cast<double>(before), after};
  };

  for (index_type i = 0; i < channels; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!(scales[at] > 0 && fits_float(static_cast<double>(scales[at])))) {
      return status::bad_argument;
    }
    const step next = step_of(i);
    if (!fits_float(next.first_range) || !fits_float(next.second_range) ||
        !fits_float(next.first_range / next.s) || !fits_float(next.second_range * next.s) ||
        !fits_float(static_cast<double>(bias[at]) / next.s)) {
      return status::not_finite;
    }
  }
  double largest_change = 0;
  for (index_type i = 0; i < channels; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const step next = step_of(i);
    multiply(first, first_axis_channel(first.extents(), i), 1 / next.s);
    multiply(second, second_axis_channel(second.extents(), i, options.groups), next.s);
    bias[at] = static_cast<float>(static_cast<double>(bias[at]) / next.s);
    scales[at] = next.scale;
    const double change = (next.s > 1 ? next.s : 1 / next.s) - 1;
    largest_change = change > largest_change ? change : largest_change;
  }
  return static_cast<float>(largest_change);
}

// Where a clipped activation (ReLU6: limit 6) has to clip channel i after equalization:
// limit / scales[i]. An integer output stage clamps each channel at its own code then.
constexpr status clip_limits(std::span<const float> scales, std::span<float> limits,
                             float limit = 6) noexcept {
  if (limits.size() != scales.size()) return status::size_mismatch;
  for (const float scale : scales) {
    const double clipped = static_cast<double>(limit) / static_cast<double>(scale);
    if (!(scale > 0 && fits_float(clipped))) return status::bad_argument;
  }
  for (std::size_t i = 0; i < scales.size(); ++i) limits[i] = limit / scales[i];
  return status::ok;
}

}  // namespace vq::inline v1

#endif
