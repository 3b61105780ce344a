// bitsandbytes' own CPU library, built from its source with COMPUTE_BACKEND=cpu; name it to CMake as
// VQ_BITSANDBYTES_LIBRARY. Its 4-bit quantization has no kernel: torch.cpp makes the calls it makes.
#include <cstdint>
#include <omp.h>
#include <vector>

#include "shapes.hpp"
#include "support.hpp"

extern "C" {
void cdequantize_blockwise_cpu_nf4_fp32(const unsigned char* codes, const float* absmax, float* out,
                                        long long block, long long rows, long long columns);
void cdequantize_blockwise_cpu_nf4_bf16(const unsigned char* codes, const float* absmax,
                                        std::uint16_t* out, long long block, long long rows,
                                        long long columns);
void gemv_4bit_inference_cpu_nf4_bf16(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                                      const std::uint16_t* x, const unsigned char* weights,
                                      const std::uint16_t* absmax, std::uint16_t* out,
                                      std::int64_t block, std::int64_t x_step,
                                      std::int64_t out_step);
}

namespace {

constexpr std::int64_t block = 64;

template <class T>
vqb::timed dequantize(std::size_t count, void (*call)(const unsigned char*, const float*, T*,
                                                      long long, long long, long long)) {
  omp_set_num_threads(1);
  const auto* codes = vqb::random_bytes(count / 2).data();
  const auto* absmax = vqb::floats(count / block).data();
  auto* out = vqb::scratch<T>(0, count).data();
  return [=] { call(codes, absmax, out, block, 1, static_cast<long long>(count)); };
}

// `copies` distinct matrices take turns. bf16 in and out.
vqb::timed product(const vqb::gemm_shape& s, std::size_t copies) {
  omp_set_num_threads(1);
  const auto rows = static_cast<std::size_t>(s.rows), depth = static_cast<std::size_t>(s.depth);
  const auto columns = static_cast<std::size_t>(s.columns);
  const std::size_t bytes = s.weights() / 2;
  const auto* weights = vqb::random_bytes(copies * bytes).data();
  const auto* x = vqb::scratch<std::uint16_t>(0, rows * depth).data();
  auto* out = vqb::scratch<std::uint16_t>(1, rows * columns).data();
  const std::size_t scales = s.weights() / block;
  std::fill_n(vqb::scratch<std::uint16_t>(0, rows * depth).data(), rows * depth, 0x3c00);
  const auto absmax = vqb::scratch<std::uint16_t>(2, copies * scales);
  std::fill(absmax.begin(), absmax.end(), 0x3c00);
  return [=, i = std::size_t{0}]() mutable {
    gemv_4bit_inference_cpu_nf4_bf16(s.rows, s.columns, s.depth, x, weights + i * bytes,
                                     absmax.data() + i * scales, out, block, s.depth, s.columns);
    i = (i + 1) % copies;
  };
}

const bool registered = [] {
  for (const auto& set : vqb::working_sets()) {
    vqb::add("nf4_dequantize_f32", set.name, "bitsandbytes", {set.elements, vqb::elements},
             [=] { return dequantize(set.elements, cdequantize_blockwise_cpu_nf4_fp32); });
    vqb::add("nf4_dequantize_bf16", set.name, "bitsandbytes", {set.elements, vqb::elements},
             [=] { return dequantize(set.elements, cdequantize_blockwise_cpu_nf4_bf16); });
  }
  const auto add = [](const vqb::gemm_shape& s, const char* suffix, std::size_t copies) {
    vqb::add("weight_only_nf4_g64_bf16", s.case_name() + suffix, "bitsandbytes",
             {s.operations(), vqb::operations}, [=] { return product(s, copies); });
  };
  for (const auto& s : vqb::weight_only_shapes) add(s, "", 1);
  add(vqb::cold_shape, "cold", vqb::beyond_cache_bytes() / (vqb::cold_shape.weights() / 2) + 1);
  return true;
}();

}  // namespace
