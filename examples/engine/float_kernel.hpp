// Every operation in floats, prepared once (weights packed, constants computed) and then called for
// many images. `Sum` is what the products of a layer are summed in: float, or double where the result
// is to be free of rounding but for its own.
#ifndef ENGINE_FLOAT_KERNEL_HPP
#define ENGINE_FLOAT_KERNEL_HPP

#include <functional>
#include <span>

#include "engine/operation.hpp"

namespace engine {

struct float_kernel {
  std::function<void(std::span<const float* const> in, float* out, float* scratch)> run;
  index_type scratch = 0;  // floats of scratch memory that a call needs
};

template <class Sum = float>  // or double
float_kernel kernel_of(const operation& any, std::span<const shape_type> in, const shape_type& out);

}  // namespace engine

#endif
