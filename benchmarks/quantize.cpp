// quantize and dequantize between f32 and 8 bits, per tensor and per channel, and the range of a
// tensor, in L2, L3 and memory.
#include <cstdint>

#include <vq/dispatch.hpp>
#include <vq/simd.hpp>

#include "limits.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using vqb::working_set;

using s8 = vq::quantizer<vq::uniform<8>>;
using u8 = vq::quantizer<vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>>;
using s8_per_channel = vq::quantizer<vq::uniform<8>, vq::per_channel<0>>;

// Rows of 1024, one channel each; parameters from the data.
template <class Q>
struct tensors {
  explicit tensors(const working_set& set)
      : view{vqb::floats(set.elements).data(), shape_of(set)},
        params(vqb::scratch<typename Q::param_type>(0, params_of(view))),
        codes(vqb::scratch<typename Q::stored_type>(1, set.elements)),
        out{vqb::scratch<float>(2, set.elements).data(), shape_of(set)} {
    static_cast<void>(vq::fit(Q{}, view, params));
    static_cast<void>(vq::quantize(vq::simd::native, Q{}, view, params, codes));
  }

  vq::tensor_view<const float, 2> view;
  std::span<typename Q::param_type> params;
  std::span<typename Q::stored_type> codes;
  vq::tensor_view<float, 2> out;

 private:
  static vq::shape_type<2> shape_of(const working_set& set) {
    return {static_cast<index_type>(set.elements / 1024), 1024};
  }
  static std::size_t params_of(const vq::tensor_view<const float, 2>& x) {
    return static_cast<std::size_t>(Q::required(x).params);
  }
};

template <class Q, class E>
void add_quantize(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {5 * set.elements, vqb::bytes}, [=] {
    return [t = tensors<Q>(set)] {
      static_cast<void>(vq::quantize(E{}, Q{}, t.view, t.params, t.codes));
    };
  });
}

template <class Q, class E>
void add_dequantize(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {5 * set.elements, vqb::bytes}, [=] {
    return [t = tensors<Q>(set)] {
      static_cast<void>(vq::dequantize(E{}, Q{}, t.codes, t.params, t.out));
    };
  });
}

template <class E>
void add_range(const working_set& set, const char* who, E) {
  vqb::add("min_max", set.name, who, {4 * set.elements, vqb::bytes}, [=] {
    return [x = vqb::floats(set.elements)] {
      benchmark::DoNotOptimize(
          vq::kernel<vq::find_range, E>{}(x.data(), static_cast<index_type>(x.size())));
    };
  });
}

const bool registered = [] {
  const auto all = [](const char* who, auto execution) {
    for (const auto& set : vqb::working_sets()) {
      add_quantize<u8>("quantize_u8", set, who, execution);
      add_quantize<s8>("quantize_s8", set, who, execution);
      add_quantize<s8_per_channel>("quantize_per_channel", set, who, execution);
      add_dequantize<u8>("dequantize_u8", set, who, execution);
      add_range(set, who, execution);
    }
  };
  all("native", vq::simd::native);
  all("scalar", vq::scalar);
#if defined(__AVX2__)
  all("avx2", vq::simd::on<vq::simd::avx2>{});
#endif
  all("dispatch", vq::dispatch);
  for (const char* kernel : {"quantize_u8", "quantize_s8", "quantize_per_channel"}) {
    vqb::limit_stream(kernel, 4, 1);
  }
  vqb::limit_stream("dequantize_u8", 1, 4);
  return vqb::limit_stream("min_max", 4, 0);
}();

}  // namespace
