# The tags of simd/execution.hpp with the compiler flags that they stand for: for vq_add_dispatch,
# which compiles the kernels of all of them, and for the tests.
#
#   vq_isas                  the tags of this kind of CPU, as simd/dispatch_choice.hpp lists them
#   vq_isa_flags_<tag>       none for the baseline, the first tag
#   vq_isa_runs_<tag>        a C++ expression: does the CPU at hand run it? (with vq_isa_header)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
  set(vq_isas sse2 avx2 avx2_vnni avx512 avx512_vnni avx512_bf16)
  set(vq_isa_flags_sse2 "")
  set(vq_isa_flags_avx2 -mavx2 -mfma -mf16c)
  set(vq_isa_flags_avx2_vnni ${vq_isa_flags_avx2} -mavxvnni)
  set(vq_isa_flags_avx512 ${vq_isa_flags_avx2}
    -mavx512f -mavx512cd -mavx512dq -mavx512bw -mavx512vl)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND vq_isa_flags_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)  # in GCC's own headers
  endif()
  set(vq_isa_flags_avx512_vnni ${vq_isa_flags_avx512} -mavx512vnni)
  set(vq_isa_flags_avx512_bf16 ${vq_isa_flags_avx512_vnni} -mavx512ifma -mavx512vbmi
    -mavx512bf16)  # xsimd 14 refuses VBMI without IFMA; every CPU of this kind has both

  set(vq_isa_header cpuid.h)
  set(vq_isa_runs_avx2 "__builtin_cpu_supports(\"avx2\")")
  set(vq_isa_runs_avx2_vnni "[] {  // not every compiler's __builtin_cpu_supports knows it
      unsigned a = 0, b = 0, c = 0, d = 0;
      return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 16);
    }()")
  set(vq_isa_runs_avx512 "__builtin_cpu_supports(\"avx512vl\")")
  set(vq_isa_runs_avx512_vnni "__builtin_cpu_supports(\"avx512vnni\")")
  set(vq_isa_runs_avx512_bf16 "__builtin_cpu_supports(\"avx512bf16\")")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(vq_isas neon neon_dotprod neon_i8mm)
  set(vq_isa_flags_neon "")
  set(vq_isa_flags_neon_dotprod -march=armv8.2-a+dotprod)
  set(vq_isa_flags_neon_i8mm -march=armv8.2-a+dotprod+i8mm)

  set(vq_isa_header sys/auxv.h)
  set(vq_isa_runs_neon_dotprod "getauxval(AT_HWCAP) & HWCAP_ASIMDDP")
  set(vq_isa_runs_neon_i8mm "getauxval(AT_HWCAP2) & HWCAP2_I8MM")
else()
  set(vq_isas "")
endif()
