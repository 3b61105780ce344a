// The front door: formats, granularities and quantizers on views and spans. Standard library only
// (freestanding-class headers), no heap, no exceptions; the caller owns every byte.
#ifndef VQ_QUANT_HPP
#define VQ_QUANT_HPP

#include <vq/core/convert.hpp>
#include <vq/core/half.hpp>
#include <vq/core/result.hpp>
#include <vq/policy/nf4.hpp>
#include <vq/policy/uniform.hpp>
#include <vq/quantizer/fake_quantize.hpp>
#include <vq/quantizer/fit.hpp>
#include <vq/quantizer/fit_quantize.hpp>
#include <vq/quantizer/menu.hpp>
#include <vq/quantizer/quantize.hpp>
#include <vq/quantizer/quantized_view.hpp>
#include <vq/version.hpp>

#endif
