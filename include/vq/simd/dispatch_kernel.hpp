// The kernels of one instruction set for vq::dispatch: for the units of vq_add_dispatch that are
// compiled with its flags.
//
// Such a unit may define nothing but kernels, whose types carry the tag: of a function that another
// unit defines too, the linker keeps either copy, and the program might then run wide instructions
// on a CPU without them. tests/dispatch looks for such symbols.
#ifndef VQ_SIMD_DISPATCH_KERNEL_HPP
#define VQ_SIMD_DISPATCH_KERNEL_HPP

#include <vq/core/dispatch.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

template <class Call, class Arch>
struct dispatched_kernel;
template <class Operation, class R, class... Arguments, class Arch>
struct dispatched_kernel<R (Operation::*)(Arguments...) const noexcept, Arch> {
  static R call(Arguments... arguments) noexcept {
    return kernel<Operation, on<Arch>>{}(arguments...);
  }
};

template <class Operation, class Arch>
kernel_pointer<Operation> kernel_of() noexcept {
  return &dispatched_kernel<decltype(&Operation::operator()), Arch>::call;
}

}  // namespace vq::inline v1::simd

#endif
