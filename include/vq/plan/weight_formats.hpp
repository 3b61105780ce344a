// The weight formats that a recipe can name, as a menu of quantizers, and their names.
//
//   nf4-block64-dq256    codebook, blocks of 64, scales quantized in groups of 256
//   fp4-block128         without double quantization
//   int8-channel         uniform<8>, a scale per output channel
//   int4-group32         a scale per 32 values of a row
//   int3-tensor, e4m3-channel
//
//   vq::visit_format<vq::weight_formats>("int8-channel", [&](auto q) { ... });   // q: a quantizer
//   vq::stored_bytes<vq::weight_formats>("nf4-block64", shape);
//   const auto formats = vq::formats_of<vq::weight_formats>();       // for vq::apply
//
// Weights are quantized as matrices: output channels times everything else, so a convolution of
// shape (16, 3, 3, 3) is 16 x 27 and its groups run over the 27. Codes of 5 and 6 bits lie dense.
// A format of one's own joins by a menu of one's own, menu<my_quantizer, ...>; its name begins
// with Policy::name.
//
// Sizes of NF4, FP4 and int8-channel are those of bitsandbytes' checkpoints: float scales, or with
// double quantization 8-bit codes, a float per group and a table of 256 levels; a table of 16
// levels. The few hundred bytes of JSON per weight are left out.
#ifndef VQ_PLAN_WEIGHT_FORMATS_HPP
#define VQ_PLAN_WEIGHT_FORMATS_HPP

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <vq/analyze/format_name.hpp>
#include <vq/io/tensor_info.hpp>
#include <vq/plan/weight_format.hpp>
#include <vq/policy/fp4.hpp>
#include <vq/policy/minifloat.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/quantizer/menu.hpp>

namespace vq::inline v1 {

namespace detail {

template <class... Menus>
struct joined_menus;
template <class... A>
struct joined_menus<menu<A...>> {
  using type = menu<A...>;
};
template <class... A, class... B, class... Rest>
struct joined_menus<menu<A...>, menu<B...>, Rest...> : joined_menus<menu<A..., B...>, Rest...> {};

template <class Policy, index_type... Blocks>
using in_blocks =
    joined_menus<menu<quantizer<Policy, per_block<Blocks>>...>,
                 menu<quantizer<Policy, per_block<Blocks>, double_quantized<256>>...>>::type;

template <int Bits>
using dense_storage =
    std::conditional_t<Bits == 5 || Bits == 6, stored_as<bit_packed<Bits <= 8 ? Bits : 8>>, plain>;
template <class Granularity, int... Bits>
using uniform_weights = menu<quantizer<uniform<Bits>, Granularity, dense_storage<Bits>>...>;

}  // namespace detail

// Every built-in format.
using weight_formats =
    detail::joined_menus<detail::in_blocks<nf4, 64, 32, 128, 256, 512, 1024, 2048, 4096>,
                         detail::in_blocks<fp4, 64, 32, 128, 256, 512, 1024, 2048, 4096>,
                         detail::uniform_weights<per_channel<0>, 8, 6, 5, 4, 3, 2>,
                         detail::uniform_weights<per_tensor, 8, 6, 5, 4, 3, 2>,
                         detail::uniform_weights<per_group<32>, 8, 4, 3>,
                         detail::uniform_weights<per_group<64>, 8, 4, 3>,
                         detail::uniform_weights<per_group<128>, 8, 4, 3>,
                         menu<quantizer<e4m3, per_channel<0>>, quantizer<e4m3, per_tensor>,
                              quantizer<e5m2, per_channel<0>>>>::type;

namespace detail {

template <class Policy>
inline constexpr bool is_bitsandbytes_codebook =
    std::is_same_v<Policy, nf4> || std::is_same_v<Policy, fp4>;

}  // namespace detail

// What bitsandbytes can hold: its two codebooks in blocks, and LLM.int8's rows.
template <a_quantizer Q>
constexpr bool is_bitsandbytes_format() noexcept {
  return detail::is_bitsandbytes_codebook<typename Q::policy_type> ||
         std::is_same_v<Q, quantizer<uniform<8>, per_channel<0>>>;
}

// Bytes of a weight in this format: codes, scales, tables of levels. A symmetric format has no zero
// points to store.
template <a_quantizer Q>
constexpr std::uint64_t stored_bytes_of(const shape_type<2>& extents) noexcept {
  using policy = typename Q::policy_type;
  const sizes need = Q::required(extents);
  index_type bytes = need.codes * static_cast<index_type>(sizeof(typename Q::stored_type));
  if constexpr (has_nested_scales<Q>) {
    const sizes nested = scale_quantizer_of<Q>::required(std::array<index_type, 1>{need.params});
    bytes += nested.codes + 4 * nested.params + 256 * 4;
  } else if constexpr (std::is_same_v<typename Q::param_type, affine_param>) {
    constexpr bool has_zero_points = !requires { requires policy::symmetric_range; };
    bytes += need.params * (has_zero_points ? 8 : 4);
  } else {
    bytes += need.params * static_cast<index_type>(sizeof(typename Q::param_type));
  }
  if constexpr (detail::is_bitsandbytes_codebook<policy>) bytes += 16 * 4;
  return static_cast<std::uint64_t>(bytes);
}

// Calls f(quantizer) for the format with this name; false when the menu has none.
template <class Menu, class F>
bool visit_format(std::string_view name, F&& f) {
  bool found = false;
  Menu::for_each([&]<class Q>(index_type, Q q) {
    if (!found && name == format_name<Q>()) {
      found = true;
      f(q);
    }
  });
  return found;
}

// The menu as data.
template <class Menu>
std::vector<weight_format> formats_of() {
  std::vector<weight_format> formats;
  Menu::for_each([&]<class Q>(index_type, Q) {
    formats.push_back(
        {format_name<Q>(), Q::policy_type::bits, is_bitsandbytes_format<Q>(), &stored_bytes_of<Q>});
  });
  return formats;
}

// Nothing where the menu has no such format.
template <class Menu>
std::optional<std::uint64_t> stored_bytes(std::string_view name,
                                          std::span<const index_type> shape) {
  std::optional<std::uint64_t> bytes;
  visit_format<Menu>(name, [&]<class Q>(Q) { bytes = stored_bytes_of<Q>(as_matrix(shape)); });
  return bytes;
}

}  // namespace vq::inline v1

#endif
