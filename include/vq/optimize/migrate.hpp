// Migration of scales (SmoothQuant): what is hard to quantize in the inputs of linear layers moves
// into their weights, at no loss.
//
//   s_c = max|x_c|^a / max|w_c|^(1 - a)        a: `strength`, 0 to 1
//   x' = x / s     where x is made: gamma' = gamma / s, beta' = beta / s behind a normalization,
//                  rows of the weight and the bias where a linear layer makes it
//   W' = W diag(s) in every linear layer that reads x
//
// The network computes the same function, up to the rounding of the new weights to float. a = 1
// gives all channels of x the same range, as reparameterization does (but without moving zero
// points), a = 0 all columns of the weights; 0.5 shares the difficulty. With per-channel weight
// scales, which run over the other axis, 0.5 to 0.75 is usual; search a by the error of the layer.
// Also for the values of attention: probabilities times v scale with v, channel by channel, so the
// writer is the layer of v and the reader the output projection. Not across a GELU.
// A channel that is always 0, or that nobody reads, keeps its scale (s = 1).
// Source: Xiao et al. 2023 (SmoothQuant, arXiv 2211.10438, equation 4).
#ifndef VQ_OPTIMIZE_MIGRATE_HPP
#define VQ_OPTIMIZE_MIGRATE_HPP

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/optimize/reparameterize.hpp>

namespace vq::inline v1 {

// A linear layer that makes the values: weight (channels, in), one bias per channel or none.
struct linear_writer {
  tensor_view<float, 2> weight;
  std::span<float> bias;
};

// One factor per channel. `input_absmax`: the largest magnitude of each channel of x; `readers`: all
// layers that read it (their biases are not looked at). size_mismatch, bad_argument (strength),
// not_finite; `factors` is then unspecified.
inline status migration_factors(std::span<const float> input_absmax,
                                std::span<const linear_reader> readers, double strength,
                                std::span<float> factors) noexcept {
  if (factors.size() != input_absmax.size()) return status::size_mismatch;
  if (!(strength >= 0 && strength <= 1)) return status::bad_argument;
  const auto channels = static_cast<index_type>(factors.size());
  for (const linear_reader& r : readers) {
    if (r.weight.extent(1) != channels) return status::size_mismatch;
  }
  for (index_type c = 0; c < channels; ++c) {
    const double x = std::fabs(static_cast<double>(input_absmax[static_cast<std::size_t>(c)]));
    double w = 0;
    bool finite = std::isfinite(x);
    for (const linear_reader& r : readers) {
      for (index_type o = 0; o < r.weight.extent(0); ++o) {
        const double magnitude = std::fabs(static_cast<double>(r.weight(o, c)));
        finite = finite && std::isfinite(magnitude);
        w = (std::max)(w, magnitude);
      }
    }
    if (!finite) return status::not_finite;
    const double factor = x > 0 && w > 0 ? std::pow(x, strength) / std::pow(w, 1 - strength) : 1;
    constexpr double smallest = (std::numeric_limits<float>::min)();
    constexpr double largest = 1 / smallest;
    factors[static_cast<std::size_t>(c)] =
        static_cast<float>((std::min)((std::max)(factor, smallest), largest));
  }
  return status::ok;
}

namespace detail {

inline status check_migration(std::span<const float> factors,
                              std::span<const linear_reader> readers) noexcept {
  for (const linear_reader& r : readers) {
    if (r.weight.extent(1) != static_cast<index_type>(factors.size())) {
      return status::size_mismatch;
    }
  }
  for (const float f : factors) {
    if (!(f > 0 && std::isfinite(f))) return status::bad_argument;
  }
  return status::ok;
}
inline float quotient(float a, float b) noexcept {
  return static_cast<float>(static_cast<double>(a) / static_cast<double>(b));
}
inline void scale_columns(std::span<const float> factors,
                          std::span<const linear_reader> readers) noexcept {
  for (const linear_reader& r : readers) {
    for (index_type o = 0; o < r.weight.extent(0); ++o) {
      for (index_type c = 0; c < r.weight.extent(1); ++c) {
        r.weight(o, c) *= factors[static_cast<std::size_t>(c)];
      }
    }
  }
}

}  // namespace detail

// Behind a normalization. On an error nothing is changed: size_mismatch, bad_argument (a factor that
// is not positive and finite).
inline status migrate(std::span<const float> factors, std::span<float> gamma, std::span<float> beta,
                      std::span<const linear_reader> readers) noexcept {
  if (gamma.size() != factors.size() || beta.size() != factors.size()) {
    return status::size_mismatch;
  }
  if (const status s = detail::check_migration(factors, readers); s != status::ok) return s;
  for (std::size_t c = 0; c < factors.size(); ++c) {
    gamma[c] = detail::quotient(gamma[c], factors[c]);
    beta[c] = detail::quotient(beta[c], factors[c]);
  }
  detail::scale_columns(factors, readers);
  return status::ok;
}

// Behind a linear layer.
inline status migrate(std::span<const float> factors, const linear_writer& writer,
                      std::span<const linear_reader> readers) noexcept {
  const auto channels = static_cast<index_type>(factors.size());
  if (writer.weight.extent(0) != channels ||
      !(writer.bias.empty() || writer.bias.size() == factors.size())) {
    return status::size_mismatch;
  }
  if (const status s = detail::check_migration(factors, readers); s != status::ok) return s;
  for (index_type c = 0; c < channels; ++c) {
    const float factor = factors[static_cast<std::size_t>(c)];
    for (index_type i = 0; i < writer.weight.extent(1); ++i) {
      writer.weight(c, i) = detail::quotient(writer.weight(c, i), factor);
    }
    if (!writer.bias.empty()) {
      float& b = writer.bias[static_cast<std::size_t>(c)];
      b = detail::quotient(b, factor);
    }
  }
  detail::scale_columns(factors, readers);
  return status::ok;
}

}  // namespace vq::inline v1

#endif
