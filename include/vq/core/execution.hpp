// Who carries out an operation.
//
// An operation is a function object whose operator() is its meaning, written for plain floats and
// integers. kernel<Operation, Execution> is that operation as Execution carries it out: the
// reference itself, unless a header of simd/ specializes it. An algorithm that takes the execution
// as an argument so runs wide without its header knowing of any instruction set.
#ifndef VQ_CORE_EXECUTION_HPP
#define VQ_CORE_EXECUTION_HPP

#include <type_traits>

namespace vq::inline v1 {

// The reference: one value at a time, the normative result.
struct scalar_t {
  using execution_tag = void;
};
inline constexpr scalar_t scalar{};

template <class T>
concept execution = requires { typename T::execution_tag; };

template <class Operation, execution Execution>
struct kernel : Operation {};

// True when no faster form of Operation exists for Execution.
template <class Operation, execution Execution>
inline constexpr bool runs_reference = std::is_base_of_v<Operation, kernel<Operation, Execution>>;

}  // namespace vq::inline v1

#endif
