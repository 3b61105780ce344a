// 4-bit codes: NF4 and FP4 in blocks of 64, integers in blocks of 32. Parameters and codes from the
// floats in one pass, and back to float, half and bfloat16.
#include <cstdint>

#include <vq/policy/fp4.hpp>
#include <vq/quantizer/double_quantized.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using vqb::working_set;

using nf4 = vq::quantizer<vq::nf4, vq::per_block<64>>;
using fp4 = vq::quantizer<vq::fp4, vq::per_block<64>>;
using int4 = vq::quantizer<vq::uniform<4>, vq::per_block<32>>;

template <class Q>
struct tensors {
  explicit tensors(const working_set& set)
      : view{vqb::floats(set.elements).data(), {static_cast<index_type>(set.elements)}},
        params(vqb::scratch<typename Q::param_type>(
            0, static_cast<std::size_t>(Q::required(view).params))),
        codes(vqb::scratch<std::uint8_t>(1, static_cast<std::size_t>(Q::required(view).codes))) {
    static_cast<void>(vq::fit_quantize(vq::simd::native, Q{}, view, params, codes));
  }

  vq::tensor_view<const float, 1> view;
  std::span<typename Q::param_type> params;
  std::span<std::uint8_t> codes;
};

template <class Q, class E>
void add_quantize(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {set.elements, vqb::elements}, [=] {
    return [t = tensors<Q>(set)] {
      static_cast<void>(vq::fit_quantize(E{}, Q{}, t.view, t.params, t.codes));
    };
  });
}

template <class Q, class Out, class E>
void add_dequantize(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {set.elements, vqb::elements}, [=] {
    const tensors<Q> t(set);
    const vq::tensor_view<Out, 1> out{vqb::scratch<Out>(2, set.elements).data(), t.view.extents()};
    return [=] { static_cast<void>(vq::dequantize(E{}, Q{}, t.codes, t.params, out)); };
  });
}

// With nested scales.
template <class Out, class E>
void add_dequantize_nested(const char* kernel, const working_set& set, const char* who, E) {
  using Q = vq::quantizer<vq::nf4, vq::per_block<64>, vq::double_quantized<256>>;
  vqb::add(kernel, set.name, who, {set.elements, vqb::elements}, [=] {
    const tensors<Q> t(set);
    const vq::sizes need = vq::required_scales(Q{}, t.view);
    vq::nested_scales nested{
        vqb::scratch<std::uint8_t>(3, static_cast<std::size_t>(need.codes)),
        vqb::scratch<vq::scale_param>(4, static_cast<std::size_t>(need.params))};
    static_cast<void>(vq::quantize_scales(E{}, Q{}, t.params, nested));
    const vq::tensor_view<Out, 1> out{vqb::scratch<Out>(2, set.elements).data(), t.view.extents()};
    return [=] { static_cast<void>(vq::dequantize(E{}, Q{}, t.codes, nested, out)); };
  });
}

const bool registered = [] {
  const auto all = [](const char* who, auto execution) {
    for (const auto& set : vqb::working_sets()) {
      add_quantize<nf4>("nf4_quantize", set, who, execution);
      add_quantize<fp4>("fp4_quantize", set, who, execution);
      add_quantize<int4>("int4_quantize", set, who, execution);
      add_dequantize<nf4, float>("nf4_dequantize_f32", set, who, execution);
      add_dequantize<nf4, vq::half>("nf4_dequantize_f16", set, who, execution);
      add_dequantize<nf4, vq::bfloat16>("nf4_dequantize_bf16", set, who, execution);
      add_dequantize_nested<float>("nf4_nested_dequantize_f32", set, who, execution);
      add_dequantize_nested<vq::bfloat16>("nf4_nested_dequantize_bf16", set, who, execution);
      add_dequantize<int4, float>("int4_dequantize_f32", set, who, execution);
    }
  };
  all("native", vq::simd::native);
#if defined(__AVX512F__)
  all("avx2", vq::simd::on<vq::simd::avx2>{});
#endif
  all("scalar", vq::scalar);
  for (const char* kernel : {"nf4_quantize", "fp4_quantize", "int4_quantize"}) {
    vqb::limit_stream(kernel, 4, 0.5, vqb::elements);
  }
  vqb::limit_stream("nf4_dequantize_f16", 0.5, 2, vqb::elements);
  vqb::limit_stream("nf4_dequantize_bf16", 0.5, 2, vqb::elements);
  vqb::limit_stream("nf4_nested_dequantize_f32", 0.5, 4, vqb::elements);
  vqb::limit_stream("nf4_nested_dequantize_bf16", 0.5, 2, vqb::elements);
  vqb::limit_stream("int4_dequantize_f32", 0.5, 4, vqb::elements);
  return vqb::limit_stream("nf4_dequantize_f32", 0.5, 4, vqb::elements);
}();

}  // namespace
