#include "engine/language/quantized_weight.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/core/half.hpp>
#include <vq/nn/weight_only_pack.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/fit_quantize.hpp>

#include "engine/language/recipe_formats.hpp"

namespace engine {
namespace {

using view = vq::tensor_view<const float, 2>;

// Puts the scales in the place of those that double quantization would recover.
template <class Q>
vq::status nest_scales(const Q& q, const view& x, std::vector<vq::scale_param>& scales) {
  const vq::sizes need = vq::required_scales(q, x);
  std::vector<std::uint8_t> codes(at(need.codes));
  std::vector<vq::scale_param> absmax(at(need.params));
  vq::nested_scales nested{.codes = codes, .absmax = absmax};
  if (const auto s = vq::quantize_scales(q, scales, nested); s != vq::status::ok) return s;
  return vq::dequantize_scales(vq::scalar, q, nested, scales);
}

// Whether weight-only products have a kernel for the codes of Q.
template <class Q>
constexpr bool packs() {
  using policy = typename Q::policy_type;
  if constexpr (!requires(typename Q::param_type p) { p.scale; }) {
    return false;
  } else if constexpr (policy::bits == 8) {
    return std::is_signed_v<typename Q::code_type> && !vq::detail::has_zero_points<Q>;
  } else {
    return policy::bits == 4;
  }
}

template <class Q>
vq::result<weight_matrix> quantize(const Q&, const matrix& floats, weight_path path) {
  // Scales are plain here: nested ones are recovered first.
  using plain = vq::quantizer<typename Q::policy_type, typename Q::granularity_type>;
  const plain q;
  const view x{floats.data(), {floats.rows(), floats.cols()}};
  const vq::sizes need = q.required(x);
  std::vector<typename Q::param_type> params(at(need.params));
  std::vector<typename plain::stored_type> codes(at(need.codes));
  if (const auto s = vq::fit_quantize(q, x, params, codes); s != vq::status::ok) return s;
  if constexpr (vq::has_nested_scales<Q>) {
    if (const auto s = nest_scales(Q{}, x, params); s != vq::status::ok) return s;
  }
  if constexpr (packs<plain>()) {
    if (path == weight_path::packed) {
      auto storage =
          std::make_shared<std::vector<std::uint8_t>>(at(vq::weight_only_size(q, x.extents())));
      const auto packed = vq::pack_weight_only(q, x.extents(), codes, params, *storage);
      if (packed) return weight_matrix(packed_weight{std::move(storage), *packed});
      if (packed.error() != vq::status::bad_argument) return packed.error();  // blocks across rows
    }
  }
  matrix decoded(floats.rows(), floats.cols());
  const vq::tensor_view<float, 2> to{decoded.data(), x.extents()};
  if (const auto s = vq::dequantize(q, codes, params, to); s != vq::status::ok) return s;
  return weight_matrix(std::move(decoded));
}

}  // namespace

void round_to(std::string_view format, std::span<float> values) {
  const bool to_half = format == "f16", to_bfloat16 = format == "bf16";
  for (float& value : values) {
    if (to_half) value = static_cast<float>(vq::half(value));
    if (to_bfloat16) value = static_cast<float>(vq::bfloat16(value));
  }
}

vq::result<weight_matrix> quantize_weight(const matrix& floats, std::string_view format,
                                          weight_path path) {
  if (vq::is_unquantized(format)) return weight_matrix(floats);
  std::optional<vq::result<weight_matrix>> quantized;
  vq::visit_format<vq::weight_formats>(
      format, [&](const auto& q) { quantized.emplace(quantize(q, floats, path)); });
  return quantized ? *std::move(quantized) : vq::status::not_found;
}

std::span<const vq::weight_format> known_formats() {
  static const auto all = vq::formats_of<vq::weight_formats>();
  return all;
}

}  // namespace engine
