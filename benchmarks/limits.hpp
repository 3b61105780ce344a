// What the hardware allows, measured in the process that measures the kernels.
//
//   vqb::limit_stream("quantize_u8", 4, 1)                     4 bytes read, 1 written per element,
//                                                              rows L2, L3 and DRAM
//   vqb::limit_peak("gemm_s32", "257x1024x1024", vqb::peak::int8)
//   vqb::limit_read("weight_only_nf4_bf16", "1x4096x11008cold", bytes, {2. * 4096 * 11008, operations})
//
// A stream moves the bytes and combines them with XOR, in the widest registers of the CPU whatever
// the program was compiled for. From memory there is a second figure, `limit_streaming`, with stores
// that bypass the caches. A peak is a loop of independent multiply-adds on registers.
#ifndef VQ_BENCHMARKS_LIMITS_HPP
#define VQ_BENCHMARKS_LIMITS_HPP

#include <cstddef>
#include <string>

#include "support.hpp"

namespace vqb {

// Rows of the working sets: `read` and `written` bytes per element (0, 0.5, 1, 2, 4, 5, 8 ...).
// Both are multiples of the smaller one (or it is 0), up to eight times.
bool limit_stream(const std::string& kernel, double read, double written, rate counted_in = bytes,
                  int threads = 1);

// One row: streams over `count` elements.
bool limit_stream(const std::string& kernel, const std::string& case_name, std::size_t count,
                  double read, double written, rate counted_in = bytes, int threads = 1);

// One row: `size` bytes read, which is the least that a kernel doing `done` must read. A `case` that
// is cold walks through beyond_cache_bytes().
bool limit_read(const std::string& kernel, const std::string& case_name, std::size_t size,
                work done, bool cold, int threads = 1);

enum class peak { int8, bf16, f32 };  // 8-bit dot product, bf16 dot product, fused multiply-add

// One row in GOP/s: the highest rate of multiply-adds.
bool limit_peak(const std::string& kernel, const std::string& case_name, peak what,
                int threads = 1);

}  // namespace vqb

#endif
