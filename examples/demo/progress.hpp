// One line on the terminal that says how far it is and how long it will take; nothing where stderr
// is no terminal.
//
//   demo::progress bar("quantizing", total_bytes);
//   bar(bytes_of_this_tensor);                  // quantizing [======>       ] 43 %, 12 s left
#ifndef DEMO_PROGRESS_HPP
#define DEMO_PROGRESS_HPP

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

#include "engine/tensor.hpp"

namespace demo {

class progress {
 public:
  // Draws nothing where the total is 0.
  progress(std::string what, engine::index_type total)
      : what_(std::move(what)), total_(total), start_(clock::now()) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  // More of it is done; from any thread.
  void operator()(engine::index_type steps = 1) {
    const engine::index_type done = done_ += steps;
    if (total_ <= 0 || !visible()) return;
    const std::chrono::duration<double> taken = clock::now() - start_;
    const auto tenth = static_cast<long>(taken.count() * 10);
    if (drawn_.exchange(tenth) == tenth) return;  // ten times a second at most
    const double share = static_cast<double>(done) / static_cast<double>(total_);
    constexpr int width = 24;
    const int filled = static_cast<int>(width * share);
    std::fprintf(stderr, "\r%s [%.*s>%*s] %.0f %%, %.0f s left\033[K", what_.c_str(), filled,
                 "========================", width - filled, "", 100 * share,
                 taken.count() / share - taken.count());
  }

 private:
  using clock = std::chrono::steady_clock;

  static bool visible() {
#if defined(__unix__) || defined(__APPLE__)
    static const bool terminal = isatty(2) != 0;
    return terminal;
#else
    return false;
#endif
  }

  std::string what_;
  engine::index_type total_;
  clock::time_point start_;
  std::atomic<engine::index_type> done_{0};
  std::atomic<long> drawn_{0};  // when, in tenths of a second since the start
};

}  // namespace demo

#endif
