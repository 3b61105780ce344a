// What a folded batch norm still tells about the data: its outputs had mean beta and standard
// deviation |gamma| in training, so behind an activation the expected value is known without data.
//
//   z ~ N(m, d^2), clipped to [a, b], A = (a - m) / d, B = (b - m) / d:
//   E = d (phi(A) - phi(B)) + m (Phi(B) - Phi(A)) + a Phi(A) + b (1 - Phi(B))
//
// phi and Phi are the density and distribution function of N(0, 1). ReLU clips to [0, infinity),
// ReLU6 to [0, 6], no activation clips nothing. Example: m = 0.5, d = 1.5 gives 0.8813542 behind
// ReLU and 0.8813095 behind ReLU6. (Nagel et al. 2019, arXiv 1906.04721, appendix C.)
#ifndef VQ_FOLD_EXPECTATION_HPP
#define VQ_FOLD_EXPECTATION_HPP

#include <limits>
#include <span>

#include <vq/core/math.hpp>
#include <vq/core/range.hpp>
#include <vq/fold/batch_norm.hpp>

namespace vq::inline v1 {

// Activations as what they clip to.
inline constexpr range clips_nothing{-std::numeric_limits<float>::infinity(),
                                     std::numeric_limits<float>::infinity()};
inline constexpr range clips_as_relu{0, std::numeric_limits<float>::infinity()};
inline constexpr range clips_as_relu6{0, 6};

// Mean of N(mean, deviation^2) after clipping. Deviation 0 is a constant.
constexpr double expected_value(double mean, double deviation, range clip) noexcept {
  const auto lowest = static_cast<double>(clip.lowest), highest = static_cast<double>(clip.highest);
  if (deviation == 0) return mean < lowest ? lowest : mean > highest ? highest : mean;
  double below = 0, above = 0;  // probability of being clipped
  double result = 0;
  if (fits_float(lowest)) {
    const double a = (lowest - mean) / deviation;
    below = math::normal_cumulative(a);
    result += deviation * math::normal_density(a) + lowest * below;
  }
  if (fits_float(highest)) {
    const double b = (highest - mean) / deviation;
    above = math::normal_cumulative(-b);
    result += highest * above - deviation * math::normal_density(b);
  }
  return result + mean * (1 - below - above);
}

// Mean and standard deviation of each channel behind a batch norm: beta and |gamma|, both divided
// by the scales of equalize() where there are any. The spans are as long as there are channels.
constexpr status batch_norm_moments(const batch_norm& bn, std::span<const float> scales,
                                    std::span<float> mean, std::span<float> deviation) noexcept {
  const std::size_t channels = mean.size();
  const auto fits = [&](std::span<const float> values) {
    return values.empty() || values.size() == channels;
  };
  if (deviation.size() != channels || !fits(bn.gamma) || !fits(bn.beta) || !fits(scales)) {
    return status::size_mismatch;
  }
  const auto value = [](std::span<const float> values, std::size_t i, float otherwise) {
    return values.empty() ? otherwise : values[i];
  };
  for (std::size_t i = 0; i < channels; ++i) {
    const float scale = value(scales, i, 1);
    if (!(scale > 0)) return status::bad_argument;
    const float m = value(bn.beta, i, 0) / scale, d = value(bn.gamma, i, 1) / scale;
    if (!fits_float(static_cast<double>(m)) || !fits_float(static_cast<double>(d))) {
      return status::not_finite;
    }
    mean[i] = m;
    deviation[i] = op::abs(d);
  }
  return status::ok;
}

// expected_value() of every channel.
constexpr status expected_values(std::span<const float> mean, std::span<const float> deviation,
                                 range clip, std::span<float> expected) noexcept {
  if (mean.size() != expected.size() || deviation.size() != expected.size()) {
    return status::size_mismatch;
  }
  if (clip.empty()) return status::bad_argument;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto m = static_cast<double>(mean[i]), d = static_cast<double>(deviation[i]);
    if (!fits_float(m) || !fits_float(d)) return status::not_finite;
    if (d < 0) return status::bad_argument;
    expected[i] = static_cast<float>(expected_value(m, d, clip));
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
