// A quantizer: a policy (how one number becomes a code), a granularity (which numbers share
// parameters) and a storage (how codes lie in memory).
//
//   quantizer<uniform<8>, per_channel<0>>           INT8 weights of a convolution
//   quantizer<uniform<4>, per_group<32>>            INT4 groups of 32
//   quantizer<uniform<6>, per_channel<0>, stored_as<bit_packed<6>>>   dense 6-bit codes
//
// It is a value without state of its own: the caller owns codes and parameters, required() says how
// many there are.
#ifndef VQ_QUANTIZER_QUANTIZER_HPP
#define VQ_QUANTIZER_QUANTIZER_HPP

#include <type_traits>

#include <vq/policy/concepts.hpp>
#include <vq/quantizer/granularity.hpp>
#include <vq/quantizer/storage.hpp>

namespace vq::inline v1 {

// How many elements of param_type and of stored_type a tensor needs.
struct sizes {
  index_type params = 0;
  index_type codes = 0;
};

template <quantizer_policy Policy, granularity Granularity = per_tensor,
          storage_for<Policy> Storage = plain>
struct quantizer {
  using policy_type = Policy;
  using granularity_type = Granularity;
  using storage_type = Storage;
  using layout_type = typename Storage::template layout<Policy>;
  using param_type = typename Policy::param_type;
  using code_type = typename Policy::code_type;
  using stored_type = typename layout_type::template stored_type<code_type>;

  [[no_unique_address]] Policy policy{};

  template <std::size_t Rank>
  static constexpr slices cut(const std::array<index_type, Rank>& extents) noexcept {
    return Granularity::cut(extents);
  }
  template <std::size_t Rank>
  static constexpr sizes required(const std::array<index_type, Rank>& extents) noexcept {
    const slices all = cut(extents);
    return {all.params(), layout_type::size(all.size())};
  }
  template <readable_view V>
  static constexpr sizes required(const V& view) noexcept {
    return required(view.extents());
  }
};

template <class Q>
concept a_quantizer = requires {
  typename Q::policy_type;
  typename Q::granularity_type;
  typename Q::layout_type;
  typename Q::stored_type;
};

// Bytes that the codes and parameters of a tensor take.
template <a_quantizer Q, std::size_t Rank>
constexpr index_type stored_bytes(const Q&, const std::array<index_type, Rank>& extents) noexcept {
  const sizes need = Q::required(extents);
  return need.params * static_cast<index_type>(sizeof(typename Q::param_type)) +
         need.codes * static_cast<index_type>(sizeof(typename Q::stored_type));
}

}  // namespace vq::inline v1

#endif
