#include "support.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <sched.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

#include <vq/simd.hpp>
#include <vq/simd/dispatch_choice.hpp>

namespace vqb {

// Working sets ------------------------------------------------------------------------------------

std::size_t cache_bytes(int level) {
#ifdef _SC_LEVEL3_CACHE_SIZE
  const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
  const long size = sysconf(names[level - 1]);
  if (size > 0) return static_cast<std::size_t>(size);
#endif
  static_cast<void>(level);
  return 0;
}

std::size_t beyond_cache_bytes() {
  return std::max(std::size_t{256} << 20, cache_bytes(3) + cache_bytes(3) / 2);
}

std::span<const working_set> working_sets() {
  static const auto sets = [] {
    std::size_t large = std::size_t{64} << 20;
    while (large * sizeof(float) < beyond_cache_bytes()) large *= 2;
    return std::array<working_set, 3>{{{"L2", 48 << 10}, {"L3", 1 << 20}, {"DRAM", large}}};
  }();
  return sets;
}

// Memory ------------------------------------------------------------------------------------------

namespace {

// A range of addresses that never moves. Pages cost memory when they are first touched.
class region {
 public:
  std::byte* at_least(std::size_t size) {
    if (size > reserved) throw std::runtime_error("a benchmark asks for more than 8 GB");
    if (!first_) {
      void* const place = mmap(nullptr, reserved + huge_page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (place == MAP_FAILED) throw std::runtime_error("no memory for a benchmark");
      const auto address = reinterpret_cast<std::uintptr_t>(place);
      first_ = reinterpret_cast<std::byte*>((address + huge_page - 1) / huge_page * huge_page);
#ifdef MADV_HUGEPAGE
      madvise(first_, reserved, MADV_HUGEPAGE);
#endif
    }
    return first_;
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20, reserved = std::size_t{8} << 30;
  std::byte* first_ = nullptr;
};

// A multiplicative hash of the position: any part of the data can be made without the rest.
constexpr std::uint64_t noise(std::size_t position) {
  std::uint64_t bits = (position + 1) * 0x9E3779B97F4A7C15u;
  bits ^= bits >> 29;
  bits *= 0xBF58476D1CE4E5B9u;
  return bits ^ bits >> 32;
}

template <class T, class Make>
std::span<const T> filled(region& memory, std::size_t& ready, std::size_t count, Make make) {
  T* const values = reinterpret_cast<T*>(memory.at_least(count * sizeof(T)));
  for (; ready < count; ++ready) values[ready] = make(noise(ready));
  return {values, count};
}

}  // namespace

std::span<const float> floats(std::size_t count) {
  static region memory;
  static std::size_t ready = 0;
  // The sum of four bytes has standard deviation 148.
  return filled<float>(memory, ready, count, [](std::uint64_t bits) {
    const auto sum = (bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24 & 255);
    return (static_cast<float>(sum) - 509.7f) * (0.05f / 148);
  });
}

std::span<const std::uint8_t> random_bytes(std::size_t count) {
  static region memory;
  static std::size_t ready = 0;
  return filled<std::uint8_t>(memory, ready, count,
                              [](std::uint64_t bits) { return static_cast<std::uint8_t>(bits); });
}

std::span<std::byte> scratch_bytes(int slot, std::size_t count) {
  static std::array<region, 8> slots;
  return {slots.at(static_cast<std::size_t>(slot)).at_least(count), count};
}

// Where this thread runs ------------------------------------------------------------------------

namespace {

const cpu_set_t& allowed_at_start() {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  return allowed;
}

}  // namespace

void pin_thread(int worker) {
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &allowed_at_start()) && worker-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(static_cast<unsigned>(cpu), &one);
      sched_setaffinity(0, sizeof one, &one);
    }
  }
}

namespace {

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

const bool pinned = (pin_thread(0), true);

// Lets the threads that are started during its life run on all usable CPUs.
struct unpinned {
  unpinned() { sched_setaffinity(0, sizeof(cpu_set_t), &allowed_at_start()); }
  ~unpinned() { pin_thread(0); }
};

}  // namespace

// Measurements ------------------------------------------------------------------------------------

const char* unit(rate r) { return r == bytes ? "GB/s" : r == operations ? "GOP/s" : "Gelem/s"; }

namespace {
std::map<std::string, timed> prepared;
}

void forget_prepared() { prepared.clear(); }

bool add(const std::string& kernel, const std::string& case_name, const std::string& who, work done,
         std::function<timed()> prepare, int threads) {
  std::string name = kernel + "/" + case_name + "/" + who;
  if (threads > 1) name += "/threads:" + std::to_string(threads);
  const auto measure = [=](benchmark::State& state) {
    try {
      timed& run = prepared[name];
      if (!run) {
        const unpinned threads_of_peers_start_here;
        run = prepare();
        run();  // first touches, code generators
      }
      for (auto _ : state) {
        run();
        benchmark::ClobberMemory();
      }
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
      return;
    }
    state.counters[unit(done.counted_in)] =
        benchmark::Counter(done.amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  };
  auto* const registered = benchmark::RegisterBenchmark(name.c_str(), measure);
  // One thread: its own CPU time, which other programs on this machine disturb less.
  if (threads > 1) registered->UseRealTime();
  return true;
}

// Threads ------------------------------------------------------------------------------------------

int usable_cpus() { return CPU_COUNT(&allowed_at_start()); }

thread_pool::thread_pool(int workers)
    : workers_(workers), shares_(std::make_unique<share[]>(static_cast<std::size_t>(workers))) {
  for (int worker = 1; worker < workers; ++worker) {
    threads_.emplace_back([this, worker] {
      pin_thread(worker);
      for (int seen = 0;; ++seen) {
        for (int patience = 20000; generation_.load(std::memory_order_acquire) == seen;) {
          if (--patience > 0) {
            pause();
          } else {
            generation_.wait(seen, std::memory_order_acquire);
          }
        }
        if (stop_) return;
        work_on(worker);
        busy_.fetch_sub(1, std::memory_order_release);
      }
    });
  }
}

thread_pool::~thread_pool() {
  stop_ = true;
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void thread_pool::work_on(vq::index_type worker) const {
  for (vq::index_type i = 0; i < workers_; ++i) {
    share& some = shares_[static_cast<std::size_t>((worker + i) % workers_)];
    for (vq::index_type task;
         (task = some.next.fetch_add(1, std::memory_order_relaxed)) < some.end;) {
      job_.call(job_.function, task, worker);
    }
  }
}

void thread_pool::run(job next) const {
  job_ = next;
  for (vq::index_type worker = 0; worker < workers_; ++worker) {
    share& own = shares_[static_cast<std::size_t>(worker)];
    own.next.store(job_.tasks * worker / workers_, std::memory_order_relaxed);
    own.end = job_.tasks * (worker + 1) / workers_;
  }
  busy_.store(workers_ - 1, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  work_on(0);
  while (busy_.load(std::memory_order_acquire) != 0) pause();
}

const thread_pool& pool(int workers) {
  static std::map<int, std::unique_ptr<thread_pool>> pools;
  auto& found = pools[workers];
  if (!found) found = std::make_unique<thread_pool>(workers);
  return *found;
}

const char* native_isa() {
  return []<class Arch>(vq::simd::on<Arch>) {
    if constexpr (requires { vq::simd::cpu<Arch>::name; }) {
      return vq::simd::cpu<Arch>::name;
    } else {
      return "baseline";
    }
  }(vq::simd::native);
}

}  // namespace vqb
