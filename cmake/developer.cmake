# What tests, benchmarks and examples share. Nothing here reaches an installed target.
if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 11)
    OR (CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16))
  message(FATAL_ERROR "vq needs GCC 11 or later or Clang 16 or later; this is "
    "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}. Name another with CXX=g++-12, say.")
endif()
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# vq_developer: warnings, every component that is provided, and where the sources lie.
add_library(vq_developer INTERFACE)
target_link_libraries(vq_developer INTERFACE vq)
foreach(component simd eigen json)
  if(TARGET vq::${component})
    target_link_libraries(vq_developer INTERFACE vq::${component})
  endif()
endforeach()
target_compile_definitions(vq_developer INTERFACE VQ_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  target_compile_options(vq_developer INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow
    $<$<BOOL:${VQ_WARNINGS_AS_ERRORS}>:-Werror>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(vq_developer INTERFACE -Wno-restrict)  # GCC bug 105651, in std::string
  endif()
endif()

# vq_native: this machine's CPU, where VQ_NATIVE says so.
add_library(vq_native INTERFACE)
if(VQ_NATIVE)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native VQ_HAS_MARCH_NATIVE)
  if(VQ_HAS_MARCH_NATIVE)
    target_compile_options(vq_native INTERFACE -march=native
      # GCC's own avx512fintrin.h, the last one where intrinsics are macros
      $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
      $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Debug>>:-Wno-sign-conversion>)
  endif()
endif()
