// Quantized network layers: interface and scalar reference. No heap, no exceptions; the wide
// kernels come with <vq/simd.hpp>.
#ifndef VQ_NN_HPP
#define VQ_NN_HPP

#include <vq/nn/add.hpp>
#include <vq/nn/attention.hpp>
#include <vq/nn/conv2d.hpp>
#include <vq/nn/dynamic_linear.hpp>
#include <vq/nn/fixed_point.hpp>
#include <vq/nn/integer_softmax.hpp>
#include <vq/nn/linear.hpp>
#include <vq/nn/llm_int8.hpp>
#include <vq/nn/planar_linear.hpp>
#include <vq/nn/pool.hpp>
#include <vq/nn/weight_only.hpp>
#include <vq/quant.hpp>

#endif
