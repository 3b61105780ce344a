// Owning tensors and quantized tensors for hosted programs, and the calls that return them.
#ifndef VQ_TENSOR_HPP
#define VQ_TENSOR_HPP

#include <vq/quant.hpp>
#include <vq/tensor/quantized_tensor.hpp>
#include <vq/tensor/tensor.hpp>

#endif
