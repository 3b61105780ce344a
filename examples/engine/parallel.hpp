// Work that can be done in any order, shared among threads.
#ifndef ENGINE_PARALLEL_HPP
#define ENGINE_PARALLEL_HPP

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "engine/tensor.hpp"

namespace engine {

// Calls f(i, worker) once for every i in [0, count). Calls with the same `worker`, a number in
// [0, threads), come one after the other, so it may select a workspace.
struct parallel_for {
  index_type threads = 1;

  index_type workers() const { return threads; }

  template <class F>
  void operator()(index_type count, F f) const {
    std::atomic<index_type> next{0};
    const auto work = [&](index_type worker) {
      for (index_type i = next++; i < count; i = next++) f(i, worker);
    };
    std::vector<std::thread> helpers;
    for (index_type t = 1; t < std::min(threads, count); ++t) helpers.emplace_back(work, t);
    work(0);
    for (std::thread& helper : helpers) helper.join();
  }
};

}  // namespace engine

#endif
