// Which instruction set vq::dispatch uses: for the choosing unit of vq_add_dispatch, which is
// compiled for the baseline CPU. The units that it chooses from include simd/dispatch_kernel.hpp.
#ifndef VQ_SIMD_DISPATCH_CHOICE_HPP
#define VQ_SIMD_DISPATCH_CHOICE_HPP

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include <vq/core/dispatch.hpp>
#include <vq/simd/execution.hpp>

namespace vq::inline v1::simd {

// The name of a tag, whether the CPU and the operating system run it, and where that is not enough,
// whether it is the faster choice there. Flags of the same tags stand in cmake/instruction_sets.cmake.
template <class Arch>
struct cpu;

template <class... Arch>
struct arch_list {
  static constexpr int size = sizeof...(Arch);
};

#if defined(__x86_64__)

template <>
struct cpu<sse2> {
  static constexpr const char* name = "sse2";
  static bool runs() noexcept { return true; }
};
template <>
struct cpu<avx2> {
  static constexpr const char* name = "avx2";
  static bool runs() noexcept {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  }
};
template <>
struct cpu<avx2_vnni> {
  static constexpr const char* name = "avx2_vnni";
  static bool runs() noexcept {  // Clang 16 has no name for it
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return cpu<avx2>::runs() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
           (eax & 1u << 4) != 0;
  }
};
template <>
struct cpu<avx512> {
  static constexpr const char* name = "avx512";
  static bool runs() noexcept {
    return cpu<avx2>::runs() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
};
template <>
struct cpu<avx512_vnni> {
  static constexpr const char* name = "avx512_vnni";
  static bool runs() noexcept {
    return cpu<avx512>::runs() && __builtin_cpu_supports("avx512vnni");
  }
};
template <>
struct cpu<avx512_bf16> {
  static constexpr const char* name = "avx512_bf16";
  static bool runs() noexcept {
    return cpu<avx512_vnni>::runs() && __builtin_cpu_supports("avx512ifma") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bf16");
  }
  // Elsewhere its products of bfloat16 are slower than those of floats.
  static bool preferred() noexcept { return __builtin_cpu_is("amd"); }
};

#elif defined(__aarch64__)

template <>
struct cpu<neon> {
  static constexpr const char* name = "neon";
  static bool runs() noexcept { return true; }
};
template <>
struct cpu<neon_dotprod> {
  static constexpr const char* name = "neon_dotprod";
  static bool runs() noexcept {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return false;
#endif
  }
};
template <>
struct cpu<neon_i8mm> {
  static constexpr const char* name = "neon_i8mm";
  static bool runs() noexcept {
#if defined(__linux__) && defined(HWCAP2_I8MM)
    return cpu<neon_dotprod>::runs() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#else
    return false;
#endif
  }
};

#endif

// Those that are compiled, the best last; vq_add_dispatch says so.
#if defined(VQ_DISPATCHED_ARCHS)
using dispatched_archs = arch_list<VQ_DISPATCHED_ARCHS>;
#elif defined(__x86_64__)
using dispatched_archs = arch_list<sse2, avx2, avx2_vnni, avx512, avx512_vnni, avx512_bf16>;
#elif defined(__aarch64__)
using dispatched_archs = arch_list<neon, neon_dotprod, neon_i8mm>;
#endif

template <class Arch>
bool worth_running() noexcept {
  if constexpr (requires { cpu<Arch>::preferred(); }) {
    return cpu<Arch>::runs() && cpu<Arch>::preferred();
  } else {
    return cpu<Arch>::runs();
  }
}

// The place of the chosen tag in the list: the wish, if it is one that runs, else the best that is
// worth running.
template <class... Arch>
int choose(arch_list<Arch...>, const char* wish) noexcept {
  const char* const names[] = {cpu<Arch>::name...};
  const bool runs[] = {cpu<Arch>::runs()...}, worth[] = {worth_running<Arch>()...};
  int best = 0;
  for (int i = 0; i < arch_list<Arch...>::size; ++i) {
    if (wish != nullptr && runs[i] && std::strcmp(wish, names[i]) == 0) return i;
    if (worth[i]) best = i;
  }
  return best;
}
inline int chosen_arch() noexcept {
  static const int chosen = choose(dispatched_archs{}, std::getenv("VQ_ISA"));
  return chosen;
}
template <class... Arch>
const char* name_of_chosen(arch_list<Arch...>) noexcept {
  const char* const names[] = {cpu<Arch>::name...};
  return names[chosen_arch()];
}

// The operation as the unit for Arch has compiled it.
template <class Operation, class Arch>
kernel_pointer<Operation> kernel_of() noexcept;

template <class Operation, class... Arch>
kernel_pointer<Operation> kernel_of_chosen(arch_list<Arch...>) noexcept {
  using getter = kernel_pointer<Operation> (*)() noexcept;
  const getter kernels[] = {&kernel_of<Operation, Arch>...};
  return kernels[chosen_arch()]();
}

}  // namespace vq::inline v1::simd

namespace vq::inline v1 {

template <class Operation>
kernel_pointer<Operation> dispatched() noexcept {
  static const kernel_pointer<Operation> chosen =
      simd::kernel_of_chosen<Operation>(simd::dispatched_archs{});
  return chosen;
}

}  // namespace vq::inline v1

#endif
