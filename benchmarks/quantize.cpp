// quantize, dequantize and fake_quantize between f32 and 8 bits in every granularity, the search for
// ranges, both at once, and histograms: in L2, L3 and memory.
#include <cstdint>
#include <type_traits>

#include <vq/calibrate/histogram.hpp>

#include "executions.hpp"
#include "limits.hpp"
#include "support.hpp"

namespace {

using vq::index_type;
using vqb::working_set;

template <class Granularity = vq::per_tensor>
using s8 = vq::quantizer<vq::uniform<8>, Granularity>;
template <class Granularity = vq::per_tensor>
using u8 = vq::quantizer<vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes>, Granularity>;
using divided =
    vq::quantizer<vq::uniform<8, vq::asymmetric, vq::full, vq::unsigned_codes, vq::exact_division>>;

// Rows of 1024; parameters from the data, in a slot of memory that no peer and no limit writes to.
template <class Q>
struct tensors {
  explicit tensors(const working_set& set)
      : view{vqb::floats(set.elements).data(), shape_of(set)},
        params(vqb::scratch<typename Q::param_type>(6, params_of(view))),
        codes(vqb::scratch<typename Q::stored_type>(1, set.elements)),
        out{vqb::scratch<float>(2, set.elements).data(), shape_of(set)} {
    static_cast<void>(vq::fit(vq::simd::native, Q{}, view, params));
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

template <class Q, class E>
void add_fake_quantize(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {8 * set.elements, vqb::bytes}, [=] {
    return [t = tensors<Q>(set)] {
      static_cast<void>(vq::fake_quantize(E{}, Q{}, t.view, t.params, t.out));
    };
  });
}

template <class Q, class E>
void add_dynamic(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {5 * set.elements, vqb::bytes}, [=] {
    return [t = tensors<Q>(set)] {
      static_cast<void>(vq::fit_quantize(E{}, Q{}, t.view, t.params, t.codes));
    };
  });
}

template <class Operation, class E>
void add_range(const char* kernel, const working_set& set, const char* who, E) {
  vqb::add(kernel, set.name, who, {4 * set.elements, vqb::bytes}, [=] {
    return [x = vqb::floats(set.elements)] {
      benchmark::DoNotOptimize(
          vq::kernel<Operation, E>{}(x.data(), static_cast<index_type>(x.size())));
    };
  });
}

// 2048 bins for the data, of which the largest magnitude is below 0.25.
template <class E>
void add_histogram(const working_set& set, const char* who, E) {
  vqb::add("histogram_2048", set.name, who, {set.elements, vqb::elements}, [=] {
    return [x = vqb::floats(set.elements), counts = vqb::scratch<std::uint64_t>(7, 8192)] {
      benchmark::DoNotOptimize(vq::kernel<vq::count_values, E>{}(
          x.data(), static_cast<index_type>(x.size()), 4096.f, counts.data() + 4096));
    };
  });
}

const bool registered = [] {
  vqb::for_each_execution([](const char* who, auto execution) {
    for (const auto& set : vqb::working_sets()) {
      add_quantize<u8<>>("quantize_u8", set, who, execution);
      add_quantize<s8<>>("quantize_s8", set, who, execution);
      if constexpr (!std::is_same_v<decltype(execution), vq::dispatch_t>) {  // not listed there
        add_quantize<divided>("quantize_u8_by_division", set, who, execution);
      }
      add_quantize<s8<vq::per_channel<0>>>("quantize_per_channel", set, who, execution);
      add_quantize<u8<vq::per_channel<1>>>("quantize_per_last_channel", set, who, execution);
      add_quantize<s8<vq::per_group<64>>>("quantize_per_group_64", set, who, execution);
      add_quantize<s8<vq::per_block<32>>>("quantize_per_block_32", set, who, execution);
      add_dequantize<u8<>>("dequantize_u8", set, who, execution);
      add_dequantize<s8<vq::per_channel<0>>>("dequantize_per_channel", set, who, execution);
      add_dequantize<u8<vq::per_channel<1>>>("dequantize_per_last_channel", set, who, execution);
      add_dequantize<s8<vq::per_block<32>>>("dequantize_per_block_32", set, who, execution);
      add_fake_quantize<s8<>>("fake_quantize_s8", set, who, execution);
      add_dynamic<u8<vq::per_token<0>>>("quantize_dynamic_rows", set, who, execution);
      add_dynamic<s8<vq::per_group<64>>>("quantize_dynamic_group_64", set, who, execution);
      add_range<vq::find_range>("min_max", set, who, execution);
      add_range<vq::find_absmax>("absmax", set, who, execution);
      add_range<vq::sum_values>("sums", set, who, execution);
      add_histogram(set, who, execution);
    }
  });
  for (const char* kernel :
       {"quantize_u8", "quantize_s8", "quantize_u8_by_division", "quantize_per_channel",
        "quantize_per_last_channel", "quantize_per_group_64", "quantize_per_block_32",
        "quantize_dynamic_rows", "quantize_dynamic_group_64"}) {
    vqb::limit_stream(kernel, 4, 1);
  }
  for (const char* kernel : {"dequantize_u8", "dequantize_per_channel",
                             "dequantize_per_last_channel", "dequantize_per_block_32"}) {
    vqb::limit_stream(kernel, 1, 4);
  }
  vqb::limit_stream("fake_quantize_s8", 4, 4);
  vqb::limit_stream("absmax", 4, 0);
  vqb::limit_stream("sums", 4, 0);
  return vqb::limit_stream("min_max", 4, 0);
}();

}  // namespace
