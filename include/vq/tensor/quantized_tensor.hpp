// A quantized tensor that owns its codes and parameters, and the calls that return one. They wrap
// the span versions of quantizer/ and add nothing but memory.
//
//   auto packed = vq::quantize(vq::quantizer<vq::uniform<8>, vq::per_channel<0>>{}, conv);
//   if (!packed) return log(vq::describe(packed.error()));
//   vq::tensor<float, 4> back = vq::dequantize(*packed);
#ifndef VQ_TENSOR_QUANTIZED_TENSOR_HPP
#define VQ_TENSOR_QUANTIZED_TENSOR_HPP

#include <concepts>
#include <span>
#include <utility>
#include <vector>

#include <vq/core/result.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/quantized_view.hpp>
#include <vq/tensor/tensor.hpp>

namespace vq::inline v1 {

template <a_quantizer Q, int Rank>
class quantized_tensor {
  static_assert(
      !requires { typename Q::storage_type::scale_quantizer; },
      "quantized_tensor: double-quantized scales are kept with vq::quantize_scales, "
      "see quantizer/double_quantized.hpp");

 public:
  using quantizer_type = Q;
  using param_type = typename Q::param_type;
  using stored_type = typename Q::stored_type;

  quantized_tensor(const Q& q, const shape_type<Rank>& extents)
      : quantizer_(q),
        extents_(extents),
        params_(static_cast<std::size_t>(q.required(extents).params)),
        codes_(static_cast<std::size_t>(q.required(extents).codes)) {}

  const Q& quantizer() const noexcept { return quantizer_; }
  const shape_type<Rank>& extents() const noexcept { return extents_; }
  index_type size() const noexcept { return volume(extents_); }
  index_type bytes() const noexcept { return stored_bytes(quantizer_, extents_); }

  std::span<param_type> params() noexcept { return params_; }
  std::span<const param_type> params() const noexcept { return params_; }
  std::span<stored_type> codes() noexcept { return codes_; }
  std::span<const stored_type> codes() const noexcept { return codes_; }

  // Decodes when it is read.
  quantized_view<Q, Rank> view() const noexcept {
    return view_quantized<Rank>(quantizer_, codes(), params(), extents_);
  }

 private:
  [[no_unique_address]] Q quantizer_;
  shape_type<Rank> extents_;
  std::vector<param_type> params_;
  std::vector<stored_type> codes_;
};

// Fits the parameters (min-max; optional convention) and encodes.
template <execution E, a_quantizer Q, readable_view V, std::same_as<convention>... C>
result<quantized_tensor<Q, V::rank()>> quantize(E e, const Q& q, const V& x, const C&... c) {
  quantized_tensor<Q, V::rank()> t(q, x.extents());
  if (const status s = fit(e, q, x, t.params(), c...); s != status::ok) return s;
  if (const status s = quantize(e, q, x, t.params(), t.codes()); s != status::ok) return s;
  return t;
}
template <a_quantizer Q, readable_view V, std::same_as<convention>... C>
result<quantized_tensor<Q, V::rank()>> quantize(const Q& q, const V& x, const C&... c) {
  return quantize(scalar, q, x, c...);
}

template <execution E, a_quantizer Q, int Rank>
tensor<float, Rank> dequantize(E e, const quantized_tensor<Q, Rank>& t) {
  tensor<float, Rank> out(t.extents());
  // The sizes come from the tensor itself, so this cannot fail.
  static_cast<void>(dequantize(e, t.quantizer(), t.codes(), t.params(), out.view()));
  return out;
}
template <a_quantizer Q, int Rank>
tensor<float, Rank> dequantize(const quantized_tensor<Q, Rank>& t) {
  return dequantize(scalar, t);
}

}  // namespace vq::inline v1

#endif
