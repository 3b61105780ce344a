// The kernels of one instruction set for vq::dispatch: for the units of vq_add_dispatch that are
// compiled with its flags.
//
// Such a unit may define nothing but kernels, whose types carry the tag: of a function that another
// unit defines too, the linker keeps either copy, and the program might then run wide instructions
// on a CPU without them. tests/dispatch looks for such symbols.
#ifndef VQ_SIMD_DISPATCH_ENTRY_HPP
#define VQ_SIMD_DISPATCH_ENTRY_HPP

#include <vq/core/dispatch.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

template <class Call, class Arch>
struct dispatched_kernel;
template <class Operation, class R, class... Arguments, class Arch>
struct dispatched_kernel<R (Operation::*)(Arguments...) const noexcept, Arch> {
  using kernel_type = kernel<Operation, on<Arch>>;

  static R call(Arguments... arguments) noexcept { return kernel_type{}(arguments...); }

  VQ_INLINE static dispatch_entry<Operation> entry() noexcept {
    if constexpr (requires { kernel_type::shift(); }) {
      return {&call, kernel_type::shift()};
    } else {
      return {&call, 0};
    }
  }
};

template <class Operation, class Arch>
dispatch_entry<Operation> entry_of() noexcept {
  return dispatched_kernel<decltype(&Operation::operator()), Arch>::entry();
}

}  // namespace vq::inline v1::simd

#endif
