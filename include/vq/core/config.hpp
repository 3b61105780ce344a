// What the library asks of the compiler, and the hooks its user may define.
//
// Rounding to even and the checks for NaN are ordinary float arithmetic here; -ffast-math and its
// relatives allow a compiler to remove both, silently. They are refused where the compiler tells
// us. A product that is fused with a following addition (FMA contraction) rounds once instead of
// twice: build with -ffp-contract=off (the CMake target vq::vq adds it) to get equal codes
// everywhere.
#ifndef VQ_CORE_CONFIG_HPP
#define VQ_CORE_CONFIG_HPP

#include <cstddef>

#if defined(__FAST_MATH__)
#error "vq: -ffast-math removes rounding to even and the checks for NaN; compile without it"
#endif
#if defined(__ASSOCIATIVE_MATH__)
#error "vq: -fassociative-math removes rounding to even; compile without it"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "vq: -ffinite-math-only removes the checks for NaN; compile without it"
#endif

// Checks what a caller must guarantee. Define it before the first include to trap or to log.
#ifndef VQ_ASSERT
#define VQ_ASSERT(condition) static_cast<void>(0)
#endif

// Leaves no symbol of its own, so that code built for one instruction set cannot be linked into
// the path of another.
#if defined(__GNUC__)
#define VQ_INLINE [[gnu::always_inline]] inline
#define VQ_INLINE_LAMBDA __attribute__((always_inline))  // behind the parameters
#else
#define VQ_INLINE inline
#define VQ_INLINE_LAMBDA
#endif

namespace vq::inline v1 {

// Sizes, indices and strides, in elements.
using index_type = std::ptrdiff_t;

}  // namespace vq::inline v1

#endif
