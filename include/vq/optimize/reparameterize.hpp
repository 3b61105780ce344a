// RepQ-ViT's reparameterization: from one grid per channel to one grid for all, at no loss.
//
//   calibrate x = LN(h) per channel: x ~ s_c (q - z_c);  choose one grid s, z for the layer
//   r1_c = s_c / s,  r2_c = z_c - z
//   gamma' = gamma / r1,  beta' = (beta + s_c r2) / r1        the normalization, before the codes
//   W' = W diag(r1),      b' = b - W (s_c r2)                 every linear layer that reads it
//
// The network computes the same function, and the codes of x' on the one grid are those of x on the
// grids of the channels: channels whose ranges differ tenfold get fine steps with an ordinary
// per-tensor kernel. The scales now lie in the weights, so calibrate those afterwards.
// Any s > 0 and any integer z would do; grid_of_all takes the means, z rounded (the paper keeps its
// fraction, which no integer kernel can use).
// Source: Li et al. 2023 (RepQ-ViT, arXiv 2212.08254, section 3.3).
#ifndef VQ_OPTIMIZE_REPARAMETERIZE_HPP
#define VQ_OPTIMIZE_REPARAMETERIZE_HPP

#include <cmath>
#include <span>

#include <vq/core/status.hpp>
#include <vq/core/tensor_view.hpp>
#include <vq/policy/convention.hpp>

namespace vq::inline v1 {

struct layer_grid {
  double scale = 1;
  double zero_point = 0;

  affine_param param() const noexcept {
    return {static_cast<float>(scale), static_cast<std::int32_t>(std::lround(zero_point))};
  }
};

// The mean scale and the rounded mean zero point; {1, 0} of no channel.
inline layer_grid grid_of_all(std::span<const affine_param> channels) noexcept {
  if (channels.empty()) return {};
  double scale = 0, zero_point = 0;
  for (const affine_param& p : channels) {
    scale += static_cast<double>(p.scale);
    zero_point += p.zero_point;
  }
  const auto count = static_cast<double>(channels.size());
  return {scale / count, std::nearbyint(zero_point / count)};
}

// A linear layer that reads the normalized values: weight (out, channels), one bias per output.
struct linear_reader {
  tensor_view<float, 2> weight;
  std::span<float> bias;
};

// `gamma` and `beta` are those of the normalization, one per channel; `readers` must be all layers
// that read its output. On an error nothing is changed: size_mismatch (also: a reader without a
// bias, which has to take up the shift of the zero points), bad_argument (a scale that is not
// positive and finite).
inline status reparameterize(std::span<const affine_param> channels, const layer_grid& grid,
                             std::span<float> gamma, std::span<float> beta,
                             std::span<const linear_reader> readers) noexcept {
  const auto count = static_cast<index_type>(channels.size());
  if (gamma.size() != channels.size() || beta.size() != channels.size()) {
    return status::size_mismatch;
  }
  for (const linear_reader& r : readers) {
    if (r.weight.extent(1) != count ||
        static_cast<index_type>(r.bias.size()) != r.weight.extent(0)) {
      return status::size_mismatch;
    }
  }
  const auto usable = [](double scale) { return scale > 0 && std::isfinite(scale); };
  if (!usable(grid.scale) || !std::isfinite(grid.zero_point)) return status::bad_argument;
  for (const affine_param& p : channels) {
    if (!usable(static_cast<double>(p.scale))) return status::bad_argument;
  }

  for (const linear_reader& r : readers) {
    for (index_type o = 0; o < r.weight.extent(0); ++o) {
      double moved = 0;
      for (index_type c = 0; c < count; ++c) {
        const affine_param& p = channels[static_cast<std::size_t>(c)];
        const auto scale = static_cast<double>(p.scale), w = static_cast<double>(r.weight(o, c));
        moved += w * scale * (p.zero_point - grid.zero_point);
        r.weight(o, c) = static_cast<float>(w * scale / grid.scale);
      }
      float& b = r.bias[static_cast<std::size_t>(o)];
      b = static_cast<float>(static_cast<double>(b) - moved);
    }
  }
  for (std::size_t c = 0; c < channels.size(); ++c) {
    const auto scale = static_cast<double>(channels[c].scale);
    const double ratio = scale / grid.scale;
    const double shift = scale * (channels[c].zero_point - grid.zero_point);
    gamma[c] = static_cast<float>(static_cast<double>(gamma[c]) / ratio);
    beta[c] = static_cast<float>((static_cast<double>(beta[c]) + shift) / ratio);
  }
  return status::ok;
}

}  // namespace vq::inline v1

#endif
