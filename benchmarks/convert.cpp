// Arrays of half and bfloat16 to floats and back, in L2, L3 and memory.
#include "executions.hpp"
#include "limits.hpp"
#include "support.hpp"

namespace {

template <class T, class E>
void add_conversions(const char* narrow, const char* widen, const char* who, E) {
  for (const auto& set : vqb::working_sets()) {
    const auto size = static_cast<vq::index_type>(set.elements);
    vqb::add(narrow, set.name, who, {6 * set.elements, vqb::bytes}, [=] {
      return [=, x = vqb::floats(set.elements), y = vqb::scratch<T>(0, set.elements)] {
        vq::kernel<vq::narrow_floats<T>, E>{}(x.data(), size, y.data());
      };
    });
    vqb::add(widen, set.name, who, {6 * set.elements, vqb::bytes}, [=] {
      const auto x = vqb::scratch<T>(5, set.elements);  // nobody else writes there
      vq::kernel<vq::narrow_floats<T>, vq::simd::native_t>{}(vqb::floats(set.elements).data(), size,
                                                             x.data());
      return [=, y = vqb::scratch<float>(1, set.elements)] {
        vq::kernel<vq::widen_floats<T>, E>{}(x.data(), size, y.data());
      };
    });
  }
}

const bool registered = [] {
  vqb::for_each_execution([](const char* who, auto execution) {
    add_conversions<vq::half>("convert_f16", "convert_from_f16", who, execution);
    add_conversions<vq::bfloat16>("convert_bf16", "convert_from_bf16", who, execution);
  });
  for (const char* kernel : {"convert_f16", "convert_bf16"}) vqb::limit_stream(kernel, 4, 2);
  for (const char* kernel : {"convert_from_f16", "convert_from_bf16"}) {
    vqb::limit_stream(kernel, 2, 4);
  }
  return true;
}();

}  // namespace
