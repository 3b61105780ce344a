// The number format of one tensor of activations: a policy of the library with its parameters. A
// format of your own takes part as one more entry of the variant; nothing else needs to know it.
//
//   affine            evenly spaced, with a zero point: the format of integer kernels
//   twin, two-sided   after softmax, after GELU (PTQ4ViT)
//   log2, log-sqrt2   after softmax (FQ-ViT, RepQ-ViT); 4 bits, since more buy reach, not precision
//   adaptive log      after softmax, with a fitted base (AdaLog)
#ifndef ENGINE_OUTPUT_FORMAT_HPP
#define ENGINE_OUTPUT_FORMAT_HPP

#include <array>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include <vq/nn/code_planes.hpp>
#include <vq/policy/adaptive_log.hpp>
#include <vq/policy/log_scale.hpp>
#include <vq/policy/twin_uniform.hpp>

#include "engine/format.hpp"

namespace engine {

template <vq::quantizer_policy Policy>
struct coded {
  using policy_type = Policy;
  using quantizer_type = bytewise<Policy, vq::per_tensor>;

  typename Policy::param_type param;

  std::span<const typename Policy::param_type> params() const { return {&param, 1}; }
};

using output_format = std::variant<
    coded<activation_policy<8>>, coded<activation_policy<6>>, coded<activation_policy<4>>,
    coded<vq::twin_uniform<8>>, coded<vq::twin_uniform<6>>, coded<vq::twin_uniform<4>>,
    coded<vq::twin_uniform<8, vq::two_sided>>, coded<vq::twin_uniform<6, vq::two_sided>>,
    coded<vq::twin_uniform<4, vq::two_sided>>, coded<vq::log2_scale<4>>,
    coded<vq::log_sqrt2_scale<4>>, coded<vq::adaptive_log<8>>, coded<vq::adaptive_log<6>>,
    coded<vq::adaptive_log<4>>>;

// 8, 6 or 4 bits, evenly spaced.
inline output_format affine_format(int bits, vq::affine_param param) {
  output_format made;
  visit_activation_format(bits,
                          [&](auto q) { made = coded<typename decltype(q)::policy_type>{param}; });
  return made;
}

// The scale and zero point of an evenly spaced format; null for others.
inline const vq::affine_param* affine_of(const output_format& format) {
  return std::visit(
      [](const auto& f) -> const vq::affine_param* {
        if constexpr (vq::affine_policy<typename std::decay_t<decltype(f)>::policy_type>) {
          return &f.param;
        } else {
          return nullptr;
        }
      },
      format);
}

inline int bits_of(const output_format& format) {
  return std::visit([](const auto& f) { return std::decay_t<decltype(f)>::policy_type::bits; },
                    format);
}
inline std::string name_of(const output_format& format) {
  return std::visit(
      [](const auto& f) -> std::string { return std::decay_t<decltype(f)>::policy_type::name; },
      format);
}

// Scales of 8 significant bits (bfloat16): products with codes are then exact in floats, and sums of
// products in doubles, so that integers and their simulation give the same floats.
inline float short_scale(float scale) { return static_cast<float>(vq::bfloat16(scale)); }

inline output_format with_short_scale(output_format format) {
  std::visit(
      [](auto& f) {
        if constexpr (requires { f.param.coarse; }) {
          f.param.coarse = short_scale(f.param.coarse);
        } else {
          f.param.scale = short_scale(f.param.scale);
        }
        if constexpr (requires { f.param.offset; }) f.param.offset = short_scale(f.param.offset);
      },
      format);
  return format;
}

// Floats become codes, or what their codes stand for. Sizes are the caller's business.
template <vq::execution E>  // scalar_t or simd::native_t
vq::status encode(E e, const output_format& format, std::span<const float> values,
                  std::span<activation_code> codes);
vq::status simulate(const output_format& format, std::span<float> values);

// What each code stands for where codes are multiplied: for a fitted base, what the integer planes
// make of it.
template <class Policy>
std::array<float, 256> values_of_codes(const coded<Policy>& format) {
  std::array<float, 256> values{};
  for (int code = 0; code < 1 << Policy::bits; ++code) {
    values[at(code)] = Policy{}.decode(static_cast<float>(code), format.param);
  }
  if constexpr (std::is_same_v<typename Policy::param_type, vq::adaptive_log_param>) {
    const auto planes = vq::planes_of(Policy{}, format.param);
    for (std::size_t code = 0; planes && code < values.size(); ++code) {
      values[code] = static_cast<float>(planes->value(static_cast<int>(code)));
    }
  }
  return values;
}

}  // namespace engine

#endif
