#include "limits.hpp"

#include <algorithm>
#include <stdexcept>

#include "limits_loops.hpp"

namespace vqb {

namespace {

bool cpu_has(peak what) {
#if defined(__x86_64__)
  if (what == peak::int8) return __builtin_cpu_supports("avx512vnni") != 0;
  if (what == peak::bf16) return __builtin_cpu_supports("avx512bf16") != 0;
#endif
  static_cast<void>(what);
  return true;
}

const limit_loops& widest() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bw")) return limit_loops_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return limit_loops_avx2;
#endif
  return limit_loops_plain;
}

const stream_shape* find_shape(double read, double written) {
  const limit_loops& loops = widest();
  for (const stream_shape* s = loops.streams; s != loops.streams + loops.stream_count; ++s) {
    if ((written == 0 && s->writes == 0) || (read == 0 && s->reads == 0)) return s;
    if (read * s->writes == written * s->reads && read * written > 0) return s;
  }
  return nullptr;
}

// Runs `loop` over blocks of `reads` and `writes` bytes, shared among the threads.
void run_shared(stream_loop loop, std::size_t blocks, const std::byte* in, std::size_t reads,
                std::byte* out, std::size_t writes, int threads) {
  pool(threads)(threads, [=](vq::index_type task, vq::index_type) {
    const auto part = static_cast<std::size_t>(task), parts = static_cast<std::size_t>(threads);
    const std::size_t first = blocks * part / parts, last = blocks * (part + 1) / parts;
    loop(in + first * reads, out + first * writes, last - first);
  });
}

std::size_t times(double bytes_per_element, std::size_t count) {
  return static_cast<std::size_t>(bytes_per_element * static_cast<double>(count));
}

const std::byte* data(std::size_t size) {
  return reinterpret_cast<const std::byte*>(floats(size / sizeof(float) + 1).data());
}

timed stream_over(std::size_t count, double read, double written, bool streaming, int threads) {
  const stream_shape* const shape = find_shape(read, written);
  if (!shape) throw std::runtime_error("limits_loops.cpp has no stream of this shape");
  const std::size_t reads = static_cast<std::size_t>(shape->reads) * widest().width;
  const std::size_t writes = static_cast<std::size_t>(shape->writes) * widest().width;
  const std::size_t blocks = reads ? times(read, count) / reads : times(written, count) / writes;
  const std::byte* const in = data(times(read, count));
  std::byte* const out = scratch_bytes(0, times(written, count)).data();
  const stream_loop loop = streaming ? shape->streaming : shape->regular;
  return [=] { run_shared(loop, blocks, in, reads, out, writes, threads); };
}

// Neighbouring parts of a range larger than the caches, in turn.
timed cold_read(std::size_t size, int threads) {
  const stream_shape* const shape = find_shape(1, 0);
  const std::size_t reads = static_cast<std::size_t>(shape->reads) * widest().width;
  const std::size_t parts = beyond_cache_bytes() / size + 1;
  const std::byte* const in = data(parts * size);
  return [=, part = std::size_t{0}]() mutable {
    run_shared(shape->regular, size / reads, in + part * size, reads, nullptr, 0, threads);
    part = (part + 1) % parts;
  };
}

}  // namespace

bool limit_stream(const std::string& kernel, const std::string& case_name, std::size_t count,
                  double read, double written, rate counted_in, int threads) {
  const double per_element = counted_in == elements ? 1 : read + written;
  const work done{per_element * static_cast<double>(count), counted_in};
  add(
      kernel, case_name, "limit", done,
      [=] { return stream_over(count, read, written, false, threads); }, threads);
  const double touched = (read + written) * static_cast<double>(count);
  if (written > 0 && touched > static_cast<double>(cache_bytes(3)) && touched > 100e6) {
    add(
        kernel, case_name, "limit_streaming", done,
        [=] { return stream_over(count, read, written, true, threads); }, threads);
  }
  return true;
}

bool limit_stream(const std::string& kernel, double read, double written, rate counted_in,
                  int threads) {
  for (const auto& set : working_sets()) {
    limit_stream(kernel, set.name, set.elements, read, written, counted_in, threads);
  }
  return true;
}

bool limit_read(const std::string& kernel, const std::string& case_name, std::size_t size,
                work done, bool cold, int threads) {
  return add(
      kernel, case_name, "limit", done,
      [=] { return cold ? cold_read(size, threads) : stream_over(size, 1, 0, false, threads); },
      threads);
}

bool limit_peak(const std::string& kernel, const std::string& case_name, peak what, int threads) {
  const peak_shape& shape = widest().peaks[static_cast<int>(what)];
  if (!shape.loop || !cpu_has(what)) return false;
  constexpr long rounds = 20000;
  const double done = 1. * shape.operations_per_round * rounds * threads;
  return add(
      kernel, case_name, "limit", {done, operations},
      [=]() -> timed {
        return [=] {
          pool(threads)(threads, [=](vq::index_type, vq::index_type) { shape.loop(rounds); });
        };
      },
      threads);
}

}  // namespace vqb
