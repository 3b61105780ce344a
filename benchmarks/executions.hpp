// The executions that elementwise kernels are measured with: each is a column of the table.
//
//   vqb::for_each_execution([](const char* who, auto execution) { ... vqb::add(..., who, ...); });
#ifndef VQ_BENCHMARKS_EXECUTIONS_HPP
#define VQ_BENCHMARKS_EXECUTIONS_HPP

#include <vq/dispatch.hpp>
#include <vq/simd.hpp>

namespace vqb {

template <class F>
void for_each_execution(F f) {
  f("native", vq::simd::native);
  f("scalar", vq::scalar);
#if defined(__AVX2__)
  f("avx2", vq::simd::on<vq::simd::avx2>{});
#endif
#if defined(VQB_DISPATCH)
  f("dispatch", vq::dispatch);
#endif
}

}  // namespace vqb

#endif
