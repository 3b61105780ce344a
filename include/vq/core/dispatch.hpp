// Kernels chosen at run time (needs the compiled target vq::dispatch): a program built for a
// baseline CPU runs each operation with the instructions of the CPU that it meets.
//
//   vq::quantize(vq::dispatch, q, x, params, codes);
//   std::puts(vq::dispatched_isa());                     // "avx512_vnni"
//
// It needs neither xsimd nor any compiler flag. vq::dispatch holds the operations that
// cmake/dispatch/*.inc list; those of another format come from the CMake function
// vq_add_dispatch. One that nobody has compiled is an undefined reference to vq::dispatched<...>.
//
// The environment variable VQ_ISA names the instruction set to use instead of the best one (sse2,
// avx2, ... as the tags of simd/execution.hpp). A name that this CPU cannot run is ignored: compare
// dispatched_isa() with what was asked for. It is read once, at the first call.
#ifndef VQ_CORE_DISPATCH_HPP
#define VQ_CORE_DISPATCH_HPP

#include <vq/core/execution.hpp>

namespace vq::inline v1 {

struct dispatch_t {
  using execution_tag = void;
};
inline constexpr dispatch_t dispatch{};

// The tag of simd/execution.hpp whose kernels run.
const char* dispatched_isa() noexcept;

namespace detail {

template <class Call>
struct dispatched_call;

}  // namespace detail

// An operation as one instruction set carries it out.
template <class Operation>
using kernel_pointer = typename detail::dispatched_call<decltype(&Operation::operator())>::pointer;

// The one for this CPU; always the same. Defined by the units of vq_add_dispatch.
template <class Operation>
kernel_pointer<Operation> dispatched() noexcept;

namespace detail {

template <class Operation, class R, class... Arguments>
struct dispatched_call<R (Operation::*)(Arguments...) const noexcept> {
  using pointer = R (*)(Arguments...) noexcept;

  R operator()(Arguments... arguments) const noexcept {
    return dispatched<Operation>()(arguments...);
  }
};

}  // namespace detail

template <class Operation>
struct kernel<Operation, dispatch_t> : detail::dispatched_call<decltype(&Operation::operator())> {};

}  // namespace vq::inline v1

#endif
