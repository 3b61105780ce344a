// The loops behind limits.hpp. limits_loops.cpp is compiled once per instruction set; the table of
// one that the CPU has is chosen at run time.
#ifndef VQ_BENCHMARKS_LIMITS_LOOPS_HPP
#define VQ_BENCHMARKS_LIMITS_LOOPS_HPP

#include <cstddef>

namespace vqb {

// Reads `blocks` times `reads` registers and writes as often `writes` registers.
using stream_loop = void (*)(const std::byte* in, std::byte* out, std::size_t blocks);
struct stream_shape {
  int reads, writes;
  stream_loop regular, streaming;  // streaming: stores that bypass the caches
};

// Rounds of independent multiply-adds; null where there is no such instruction.
struct peak_shape {
  void (*loop)(long rounds);
  int operations_per_round;
};

struct limit_loops {
  std::size_t width;  // bytes of a register
  const stream_shape* streams;
  int stream_count;
  peak_shape peaks[3];  // int8, bf16, f32
};

extern const limit_loops limit_loops_plain, limit_loops_avx2, limit_loops_avx512;

}  // namespace vqb

#endif
