// One line on the terminal that says what takes so long; nothing where the output is no terminal.
#ifndef DEMO_PROGRESS_HPP
#define DEMO_PROGRESS_HPP

#include <atomic>
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
  progress(std::string what, engine::index_type total) : what_(std::move(what)), total_(total) {}
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;
  ~progress() {
    if (visible()) std::fputs("\r\033[K", stderr);
  }

  // One step is done; from any thread.
  void operator()() {
    const engine::index_type done = ++done_;
    if (done % 50 == 0 && visible()) {
      std::fprintf(stderr, "\r%s %td/%td\033[K", what_.c_str(), done, total_);
    }
  }

 private:
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
  std::atomic<engine::index_type> done_{0};
};

}  // namespace demo

#endif
