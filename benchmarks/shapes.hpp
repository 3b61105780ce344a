// Shapes that our kernels and the peers are measured on, and the names of their cases.
#ifndef VQ_BENCHMARKS_SHAPES_HPP
#define VQ_BENCHMARKS_SHAPES_HPP

#include <cstdint>
#include <string>

namespace vqb {

// rows x depth times depth x columns.
struct gemm_shape {
  std::int64_t rows, depth, columns;

  std::string case_name() const {
    return std::to_string(rows) + "x" + std::to_string(depth) + "x" + std::to_string(columns);
  }
  double operations() const { return 2. * static_cast<double>(rows * depth * columns); }
  std::size_t weights() const { return static_cast<std::size_t>(depth * columns); }
};

// Kernels gemm_s32 (u8 times s8 to 32-bit sums) and gemm_u8 (then bias, a scale per column, u8).
inline constexpr int gemm_zero_point = 7;  // of the activations of gemm_u8
inline constexpr gemm_shape gemm_shapes[] = {
    {257, 1024, 1024},  {257, 1024, 4096},  {257, 4096, 1024},                   // ViT-L
    {197, 768, 3072},                                                            // ViT-B
    {3136, 576, 64},    {784, 1152, 128},   {196, 2304, 256},  {49, 4608, 512},  // ResNet-50
    {3136, 64, 256},                                                             // its 1x1
    {1024, 1024, 1024}, {2048, 2048, 2048}, {1, 4096, 4096},   {1, 4096, 11008}};

// Kernel linear_dynamic: float activations, quantized row by row in the call.
inline constexpr gemm_shape dynamic_shapes[] = {
    {257, 1024, 1024}, {257, 1024, 4096}, {257, 4096, 1024}, {197, 768, 3072}, {1, 4096, 4096}};

// Kernel gemm_u8_sweep, registered only where the environment has VQ_BENCHMARK_SWEEP: how the rate
// holds from one row to 8192^3.
inline constexpr gemm_shape sweep_shapes[] = {
    {1, 1024, 1024},    {8, 1024, 1024},    {64, 1024, 1024},  {1024, 1024, 1024},
    {2048, 2048, 2048}, {4096, 4096, 4096}, {1, 8192, 8192},   {8, 8192, 8192},
    {64, 8192, 8192},   {512, 8192, 8192},  {8192, 8192, 8192}};

// Kernels weight_only_<format>_g<group>_<activations>, as weight_only_int4_g32_s8: int4, nf4 or int8
// (its scales are per column, without a group); f32, bf16, or s8 that is quantized in the call. The
// last shape runs cold too, as 1x4096x11008cold, with weights that the caches do not hold.
inline constexpr gemm_shape weight_only_shapes[] = {
    {1, 4096, 4096},   {4, 4096, 4096},  {16, 4096, 4096},  {64, 4096, 4096},
    {256, 4096, 4096}, {1, 4096, 11008}, {16, 4096, 11008}, {256, 4096, 11008}};
inline constexpr gemm_shape cold_shape{1, 4096, 11008};

// Square kernel, stride 1, output as large as the input, channels last.
struct conv_shape {
  std::int64_t inputs, outputs, side, kernel, groups = 1;

  std::string case_name() const {
    const std::string size = std::to_string(side) + "x" + std::to_string(side);
    return std::to_string(inputs) + "to" + std::to_string(outputs) + "_" + size;
  }
  // Counted with the padding.
  double operations() const {
    return 2. * static_cast<double>(side * side * outputs * kernel * kernel * (inputs / groups));
  }
  std::size_t in_size() const { return static_cast<std::size_t>(side * side * inputs); }
  std::size_t out_size() const { return static_cast<std::size_t>(side * side * outputs); }
  std::size_t weights() const {
    return static_cast<std::size_t>(outputs * kernel * kernel * (inputs / groups));
  }
};

// Kernels conv3x3_u8, conv1x1_u8 and depthwise3x3_u8: bias, a scale per channel, rounded to u8.
inline constexpr int conv_zero_point = 0;  // of their input, as after a ReLU
inline constexpr conv_shape conv3x3_shapes[] = {
    {64, 64, 56, 3}, {128, 128, 28, 3}, {256, 256, 14, 3}, {512, 512, 7, 3}};
inline constexpr conv_shape conv1x1_shapes[] = {{64, 256, 56, 1}};
inline constexpr conv_shape depthwise3x3_shapes[] = {{96, 96, 56, 3, 96}, {384, 384, 14, 3, 384}};

// Calls f(kernel, shape) for all convolutions.
template <class F>
void for_each_convolution(F&& f) {
  for (const auto& shape : conv3x3_shapes) f("conv3x3_u8", shape);
  for (const auto& shape : conv1x1_shapes) f("conv1x1_u8", shape);
  for (const auto& shape : depthwise3x3_shapes) f("depthwise3x3_u8", shape);
}

}  // namespace vqb

#endif
