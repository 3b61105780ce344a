// What a benchmark file needs: working sets, data, and one call that registers a measurement.
//
//   const bool registered = [] {
//     for (const auto& set : vqb::working_sets()) {
//       vqb::add("quantize_u8", set.name, "native", {5. * set.elements, vqb::bytes}, [=] {
//         const float* x = vqb::floats(set.elements).data();
//         auto codes = vqb::scratch<std::uint8_t>(0, set.elements);
//         return [=] { quantize(x, codes.data(), set.elements); };    // this is timed
//       });
//     }
//     return vqb::limit_stream("quantize_u8", 4, 1);                  // limits.hpp
//   }();
//
// A measurement is named <kernel>/<case>/<who>; those with the same kernel, case and number of
// threads make one row of the table. `who` is native, avx2, dispatch, scalar, limit, or a peer.
#ifndef VQ_BENCHMARKS_SUPPORT_HPP
#define VQ_BENCHMARKS_SUPPORT_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <benchmark/benchmark.h>

#include <vq/core/config.hpp>

namespace vqb {

// Working sets ------------------------------------------------------------------------------------

// Elements of an elementwise case, counted so that their floats lie in the cache of that name. The
// last one grows until its floats are 1.5 times the last-level cache that the system tells of.
struct working_set {
  const char* name;
  std::size_t elements;
};
std::span<const working_set> working_sets();  // L2, L3, DRAM

std::size_t cache_bytes(int level);  // of the first core; 0 where the system does not tell
std::size_t beyond_cache_bytes();    // data of this size comes from memory when read in turn

// Memory ------------------------------------------------------------------------------------------

// Huge pages, aligned to them, kept until the program ends: repetitions cost nothing. A span stays
// valid when a larger one is asked for. Slots do not overlap; `scratch` keeps what was written.
std::span<const float> floats(std::size_t count);  // bell-shaped, sigma 0.05, the same in every run
std::span<const std::uint8_t> random_bytes(std::size_t count);
std::span<std::byte> scratch_bytes(int slot, std::size_t count);  // slots 0 to 7

template <class T>
std::span<T> scratch(int slot, std::size_t count) {
  return {reinterpret_cast<T*>(scratch_bytes(slot, count * sizeof(T)).data()), count};
}
inline std::span<const std::int8_t> random_codes(std::size_t count) {
  return {reinterpret_cast<const std::int8_t*>(random_bytes(count).data()), count};
}

// Measurements ------------------------------------------------------------------------------------

enum class rate { bytes, operations, elements };  // GB/s, GOP/s, Gelem/s
inline constexpr rate bytes = rate::bytes, operations = rate::operations, elements = rate::elements;
const char* unit(rate r);

// What one call does: bytes read and written, operations (a multiply-add is two), or elements.
struct work {
  double amount;
  rate counted_in;

  constexpr work(auto count, rate r) : amount(static_cast<double>(count)), counted_in(r) {}
};

using timed = std::function<void()>;

// Registers one measurement. `prepare` runs before the first repetition and returns what is timed;
// that object lives until the row is finished. A timed function that computes a value hands it to
// benchmark::DoNotOptimize; memory is taken care of. Throwing std::runtime_error in `prepare` leaves
// the measurement out, with its sentence as the reason.
bool add(const std::string& kernel, const std::string& case_name, const std::string& who, work done,
         std::function<timed()> prepare, int threads = 1);

void forget_prepared();  // main calls it after each row

// Threads -----------------------------------------------------------------------------------------

// CPUs that this program may use. It runs pinned to the last of them.
int usable_cpus();

// Pins the calling thread to the CPU that stands `worker` places before the last usable one. Peers
// that start threads do so while a measurement is prepared, when nothing is pinned.
void pin_thread(int worker);

// A parallel_for (core/parallel.hpp) over pinned threads. Each begins with the same share of the tasks
// in every call, so that what it wrote lies in its caches still, and then helps the others. They wait
// actively for a moment, so that handing out work in a loop costs about a microsecond, and then sleep.
// Worker 0 is the caller.
class thread_pool {
 public:
  explicit thread_pool(int workers);
  ~thread_pool();
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  vq::index_type workers() const noexcept { return workers_; }

  template <class F>
  void operator()(vq::index_type tasks, F&& f) const {
    run({tasks, const_cast<void*>(static_cast<const void*>(&f)),
         [](void* function, vq::index_type task, vq::index_type worker) {
           (*static_cast<std::remove_reference_t<F>*>(function))(task, worker);
         }});
  }

 private:
  struct job {
    vq::index_type tasks;
    void* function;
    void (*call)(void*, vq::index_type, vq::index_type);
  };
  struct alignas(64) share {
    std::atomic<vq::index_type> next;
    vq::index_type end;
  };
  void run(job next) const;
  void work_on(vq::index_type worker) const;

  int workers_;
  mutable job job_{};
  std::unique_ptr<share[]> shares_;
  mutable std::atomic<int> generation_{0}, busy_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

const thread_pool& pool(int workers);  // one for all measurements, so that none disturbs another

// The instruction set that simd::native means in this program.
const char* native_isa();

}  // namespace vqb

#endif
