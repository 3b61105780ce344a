// A quantized tensor as a view of floats: read() decodes by chunks, so that metrics, observers and
// exporters take raw and quantized tensors alike.
//
//   vq::quantized_view<Q, 4> w = vq::view_quantized<4>(q, codes, params, {64, 32, 3, 3});
//   float x = w(0, 1, 2, 2);        // decodes one code
//   w.read(0, buffer);              // decodes many
#ifndef VQ_QUANTIZER_QUANTIZED_VIEW_HPP
#define VQ_QUANTIZER_QUANTIZED_VIEW_HPP

#include <span>

#include <vq/core/tensor_view.hpp>
#include <vq/quantizer/quantize.hpp>

namespace vq::inline v1 {

// Where the codes and parameters of a quantized tensor lie; decodes one strip of it.
template <a_quantizer Q>
struct encoded_data {
  const typename Q::stored_type* codes = nullptr;
  const typename Q::param_type* params = nullptr;
  slices cut{};
  [[no_unique_address]] typename Q::policy_type policy{};

  constexpr void decode(strip s, float* out) const noexcept {
    decode_operation<Q>{}(policy, params, s, codes, out);
  }
};

// Of anything with `cut` and `decode(strip, out)`.
template <class Data>
struct decoding_accessor {
  using element_type = const float;
  using value_type = float;
  using reference = float;
  using data_handle_type = Data;

  static constexpr float access(const data_handle_type& data, index_type offset) noexcept {
    float value = 0;
    data.decode({offset, 1, 1, data.cut.param_of(offset)}, &value);
    return value;
  }
  static constexpr void read(const data_handle_type& data, index_type offset, index_type stride,
                             std::span<float> out) noexcept {
    if (stride != 1) {
      for (float& value : out) {
        value = access(data, offset);
        offset += stride;
      }
      return;
    }
    data.cut.for_each_strip(offset, static_cast<index_type>(out.size()),
                            [&](strip s) { data.decode(s, out.data() + (s.begin - offset)); });
  }
};

template <a_quantizer Q, int Rank>
using quantized_view = tensor_view<const float, Rank, decoding_accessor<encoded_data<Q>>>;

// `codes` and `params` must be as long as q.required(extents) says and outlive the view.
template <int Rank, a_quantizer Q>
constexpr quantized_view<Q, Rank> view_quantized(const Q& q,
                                                 std::span<const typename Q::stored_type> codes,
                                                 std::span<const typename Q::param_type> params,
                                                 const shape_type<Rank>& extents) noexcept {
  return {{codes.data(), params.data(), q.cut(extents), q.policy}, extents};
}

}  // namespace vq::inline v1

#endif
