// The caller's threads. An algorithm that can share its work takes a parallel_for as its last
// argument; without one it runs on the thread that calls it.
//
//   parallel(tasks, f)     calls f(task, worker) once for every task in [0, tasks), in any order and
//                          from any thread, and returns when all have returned
//   parallel.workers()     how many calls run at a time at most; worker is in [0, workers())
//
// Neighbouring tasks work on neighbouring data, and the same call has the same tasks: threads that
// begin with those they had before, and help the others then, find them in their caches.
//
// f neither throws nor waits for another task. Calls with the same worker never overlap, so each
// worker may have a workspace of its own. How the work is cut into tasks depends on nothing but the
// shapes and workers(): results of floating-point sums are the same from run to run.
#ifndef VQ_CORE_PARALLEL_HPP
#define VQ_CORE_PARALLEL_HPP

#include <concepts>

#include <vq/core/config.hpp>

namespace vq::inline v1 {

// The calling thread alone.
struct serial_t {
  static constexpr index_type workers() noexcept { return 1; }
  template <class F>
  constexpr void operator()(index_type tasks, F&& f) const noexcept {
    for (index_type task = 0; task < tasks; ++task) f(task, index_type{0});
  }
};
inline constexpr serial_t serial{};

template <class P>
concept parallel_for = requires(const P& p, void (&f)(index_type, index_type)) {
  { p.workers() } -> std::convertible_to<index_type>;
  p(index_type{}, f);
};
static_assert(parallel_for<serial_t>);

}  // namespace vq::inline v1

#endif
