// Wide kernels (needs xsimd): including this header makes `vq::simd::native` an execution that the
// calls of quant.hpp, nn.hpp and calibrate.hpp accept as their first argument.
#ifndef VQ_SIMD_HPP
#define VQ_SIMD_HPP

#include <vq/quant.hpp>
#include <vq/simd/add.hpp>
#include <vq/simd/affine.hpp>
#include <vq/simd/convert.hpp>
#include <vq/simd/copy.hpp>
#include <vq/simd/depthwise.hpp>
#include <vq/simd/fit_quantize.hpp>
#include <vq/simd/gemm.hpp>
#include <vq/simd/histogram.hpp>
#include <vq/simd/nibble_codes.hpp>
#include <vq/simd/quantize.hpp>
#include <vq/simd/range.hpp>
#include <vq/simd/requantize.hpp>
#include <vq/simd/stream_values.hpp>
#include <vq/simd/sums.hpp>
#include <vq/simd/weight_only.hpp>

#endif
