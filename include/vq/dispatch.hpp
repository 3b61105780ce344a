// Kernels chosen at run time (needs the compiled target vq::dispatch): including this header makes
// `vq::dispatch` an execution that the calls of quant.hpp, nn.hpp and calibrate.hpp accept as their
// first argument.
#ifndef VQ_DISPATCH_HPP
#define VQ_DISPATCH_HPP

#include <vq/core/dispatch.hpp>

#endif
