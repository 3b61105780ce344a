// Codes that are not evenly spaced, as small integers that integer kernels can multiply.
//
//   value of code c = scale[0] * plane[0][c] + scale[1] * plane[1][c] - offset,  planes of uint8
//
//   twin_uniform             fine magnitudes in plane 0, coarse ones in plane 1, whose scale is that of
//                            plane 0 times 2^shift; one plane of magnitude << shift where that fits
//   log2_scale               2^(7 - c) for c = 0..7 in plane 1, 2^(7 - (c - 8)) for c = 8..15 in plane 0
//   log_sqrt2_scale          even codes in plane 0, odd ones in plane 1, whose scale is sqrt(2) larger
//   adaptive_log, and any    values as multiples of 2^-15 of the largest: low bytes in plane 0, high
//   other, not negative      ones in plane 1 (fixed_point_planes); within 2^-16 of the largest value
//
// So a product with attention probabilities is one or two ordinary products of bytes (planar_linear
// .hpp) whose sums are exact: the shifts that these formats promise, done before the product.
// Log codes below 2^-15 (log2) or 2^-7.5 (log-sqrt2) of the scale count as 0: planes() refuses
// formats that have such codes, 4 bits have none; fixed_point_planes() takes them too.
#ifndef VQ_NN_CODE_PLANES_HPP
#define VQ_NN_CODE_PLANES_HPP

#include <cstdint>
#include <limits>
#include <type_traits>

#include <vq/core/result.hpp>
#include <vq/policy/adaptive_log.hpp>
#include <vq/policy/log_scale.hpp>
#include <vq/policy/twin_uniform.hpp>

namespace vq::inline v1 {

struct code_planes {
  static constexpr int codes = 256;
  std::uint8_t plane[2][codes] = {};
  float scale[2] = {};
  float offset = 0;
  int count = 1;  // planes in use

  constexpr double value(int code) const noexcept {
    return static_cast<double>(scale[0]) * plane[0][code] +
           (count == 2 ? static_cast<double>(scale[1]) * plane[1][code] : 0) -
           static_cast<double>(offset);
  }
};

// Two-sided grids have a negative scale[0]. Never fails for shifts that fit and candidates offer.
template <int Bits, class Sides>
constexpr code_planes planes_of(const twin_uniform<Bits, Sides>& policy, twin_param p) noexcept {
  code_planes all;
  const std::int32_t most = policy.largest_magnitude;
  const bool one = !policy.is_two_sided && p.shift < 8 && (most << p.shift) <= 255;
  all.count = one ? 1 : 2;
  all.scale[0] = policy.is_two_sided ? -p.fine() : p.fine();
  all.scale[1] = p.coarse;
  for (std::int32_t m = 0; m <= most; ++m) {
    all.plane[0][m] = static_cast<std::uint8_t>(m);
    all.plane[one ? 0 : 1][policy.coarse_flag + m] =
        static_cast<std::uint8_t>(one ? m << p.shift : m);
  }
  return all;
}

// bad_argument for formats with more than 16 octaves (log2) or 8 (log-sqrt2).
template <int Bits, int StepsPerOctave>
constexpr result<code_planes> planes_of(const log_scale<Bits, StepsPerOctave>& policy,
                                        scale_param p) noexcept {
  if (policy.zero_code > 16) return status::bad_argument;
  code_planes all;
  all.count = 2;
  for (std::int32_t c = 0; c < policy.zero_code; ++c) {
    if constexpr (StepsPerOctave == 1) {
      all.plane[c < 8 ? 1 : 0][c] = static_cast<std::uint8_t>(128 >> (c % 8));
    } else {
      all.plane[c % 2][c] = static_cast<std::uint8_t>(128 >> ((c + 1) / 2));
    }
  }
  if constexpr (StepsPerOctave == 1) {
    all.scale[0] = p.scale * 0x1p-15f;
    all.scale[1] = p.scale * 0x1p-7f;
  } else {
    all.scale[0] = p.scale * 0x1p-7f;
    all.scale[1] = all.scale[0] * octave<2>::roots[1];
  }
  return all;
}

// The values of all codes, rounded to multiples of 2^-15 of the largest. bad_argument where a
// value is negative or not finite, or none is positive.
template <quantizer_policy Policy>
  requires(Policy::bits <= 8 && std::is_unsigned_v<typename Policy::code_type>)
constexpr result<code_planes> fixed_point_planes(const Policy& policy,
                                                 const typename Policy::param_type& p) noexcept {
  constexpr int codes = 1 << Policy::bits;
  const auto value_of = [&](int code) {
    return static_cast<double>(policy.decode(static_cast<float>(code), p));
  };
  double largest = 0;
  for (int c = 0; c < codes; ++c) {
    const double value = value_of(c);
    if (!(value >= 0 && value <= (std::numeric_limits<float>::max)())) return status::bad_argument;
    if (value > largest) largest = value;
  }
  if (!(largest > 0)) return status::bad_argument;
  code_planes all;
  all.count = 2;
  for (int c = 0; c < codes; ++c) {
    const auto steps = static_cast<std::uint32_t>(value_of(c) / largest * 0x1p15 + 0.5);
    all.plane[0][c] = static_cast<std::uint8_t>(steps & 255u);
    all.plane[1][c] = static_cast<std::uint8_t>(steps >> 8);
  }
  all.scale[0] = static_cast<float>(largest * 0x1p-15);
  all.scale[1] = all.scale[0] * 256;
  return all;
}

template <int Bits>
constexpr result<code_planes> planes_of(const adaptive_log<Bits>& policy,
                                        adaptive_log_param p) noexcept {
  auto all = fixed_point_planes(policy, adaptive_log_param{p.scale, p.step, 0});
  if (all) all->offset = p.offset;
  return all;
}

}  // namespace vq::inline v1

#endif
