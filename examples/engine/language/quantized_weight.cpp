#include "engine/language/quantized_weight.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/nn/weight_only_pack.hpp>
#include <vq/plan/weight_formats.hpp>
#include <vq/quantizer/fit_quantize.hpp>

#include "engine/language/recipe_formats.hpp"
#include "engine/simulated_weight.hpp"

namespace engine {
namespace {

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

// bad_argument where the kernel cannot hold them: blocks across rows.
template <class Q, class Plain>
vq::result<weight_matrix> pack(const Plain& q, const matrix& floats) {
  const vq::tensor_view<const float, 2> x{floats.data(), {floats.rows(), floats.cols()}};
  const vq::sizes need = q.required(x);
  std::vector<typename Plain::param_type> params(at(need.params));
  std::vector<typename Plain::stored_type> codes(at(need.codes));
  if (const auto s = vq::fit_quantize(q, x, params, codes); s != vq::status::ok) return s;
  if constexpr (vq::has_nested_scales<Q>) {
    const auto s = nest_scales<typename Q::storage_type>(params);
    if (s != vq::status::ok) return s;
  }
  auto storage =
      std::make_shared<std::vector<std::uint8_t>>(at(vq::weight_only_size(q, x.extents())));
  const auto packed = vq::pack_weight_only(q, x.extents(), codes, params, *storage);
  if (!packed) return packed.error();
  return weight_matrix(packed_weight{std::move(storage), *packed});
}

}  // namespace

vq::result<weight_matrix> quantize_weight(const matrix& floats, std::string_view format,
                                          weight_path path) {
  if (vq::is_unquantized(format)) return weight_matrix(floats);
  std::optional<vq::result<weight_matrix>> packed;
  if (path == weight_path::packed) {
    vq::visit_format<vq::weight_formats>(format, [&]<class Q>(const Q&) {
      // Scales are plain here: nested ones are recovered first.
      using plain = vq::quantizer<typename Q::policy_type, typename Q::granularity_type>;
      if constexpr (packs<plain>()) packed.emplace(pack<Q>(plain{}, floats));
    });
  }
  if (packed && (*packed || packed->error() != vq::status::bad_argument)) return *std::move(packed);
  matrix decoded = floats;
  const auto s = simulate_weight(format, {decoded.data(), {decoded.rows(), decoded.cols()}});
  if (s != vq::status::ok) return s;
  return weight_matrix(std::move(decoded));
}

std::span<const vq::weight_format> known_formats() {
  static const auto all = vq::formats_of<vq::weight_formats>();
  return all;
}

}  // namespace engine
