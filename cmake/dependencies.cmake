# Third-party libraries: find_package first, then a download that is pinned by version and SHA-256.
# Nothing is looked for until vq_require asks for it. A parent project that defines the target, or
# sets FETCHCONTENT_SOURCE_DIR_<PACKAGE>, decides for itself.
include(FetchContent)
include(${CMAKE_CURRENT_LIST_DIR}/xsimd.cmake)

# vq_dependency(<name> PACKAGE <package> TARGET <target> VERSION <oldest> DEBIAN <package>
#   URL <archive> SHA256 <hash> [INCLUDE <folder of the archive>] [OPTIONS <variable=value>...])
# Describes a library. With INCLUDE it is header-only and its own CMake files are not run.
function(vq_dependency name)
  set(vq_dependency_${name} ${ARGN} PARENT_SCOPE)
endfunction()

vq_dependency(simd PACKAGE xsimd TARGET xsimd VERSION 8.1 DEBIAN libxsimd-dev
  URL https://github.com/xtensor-stack/xsimd/archive/14.1.0.tar.gz
  SHA256 8da77b66214e73565f6111ba494322c853552b7b40cff69779b42e2100eed16f
  INCLUDE include)

vq_dependency(eigen PACKAGE Eigen3 TARGET Eigen3::Eigen VERSION 3.4 DEBIAN libeigen3-dev
  URL https://gitlab.com/libeigen/eigen/-/archive/3.4.0/eigen-3.4.0.tar.bz2
  SHA256 b4c198460eba6f28d34894e3a5710998818515104d6e74e5cc331ce31e46e626
  INCLUDE .)

vq_dependency(json PACKAGE nlohmann_json TARGET nlohmann_json::nlohmann_json VERSION 3.10
  DEBIAN nlohmann-json3-dev
  URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
  SHA256 d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d
  INCLUDE include)

vq_dependency(cli PACKAGE CLI11 TARGET CLI11::CLI11 VERSION 2.1 DEBIAN libcli11-dev
  URL https://github.com/CLIUtils/CLI11/archive/v2.4.2.tar.gz
  SHA256 f2d893a65c3b1324c50d4e682c0cdc021dd0477ae2c048544f39eed6654b699a
  INCLUDE include)

vq_dependency(catch PACKAGE Catch2 TARGET Catch2::Catch2 VERSION 2.13 DEBIAN catch2
  URL https://github.com/catchorg/Catch2/archive/v3.7.1.tar.gz
  SHA256 c991b247a1a0d7bb9c39aa35faf0fe9e19764213f28ffba3109388e62ee0269c)

vq_dependency(benchmark PACKAGE benchmark TARGET benchmark::benchmark VERSION 1.6
  DEBIAN libbenchmark-dev
  URL https://github.com/google/benchmark/archive/refs/tags/v1.8.2.tar.gz
  SHA256 2aab2980d0376137f969d92848fbb68216abb07633034534fc8c65cc4e7a0e93
  OPTIONS BENCHMARK_ENABLE_TESTING=OFF BENCHMARK_ENABLE_INSTALL=OFF)

# Provides dependency <name> as the target vq_third_party_<name>, or stops with a sentence.
function(vq_require name)
  set(provided vq_third_party_${name})
  if(TARGET ${provided})
    return()
  endif()
  cmake_parse_arguments(arg "" "PACKAGE;TARGET;VERSION;DEBIAN;URL;SHA256;INCLUDE" "OPTIONS"
    ${vq_dependency_${name}})
  add_library(${provided} INTERFACE IMPORTED GLOBAL)

  if(TARGET ${arg_TARGET})
    set(found TRUE)
  else()
    # The version is compared here: some of these packages refuse every newer major version.
    find_package(${arg_PACKAGE} CONFIG QUIET)
    if(${arg_PACKAGE}_FOUND AND ${arg_PACKAGE}_VERSION VERSION_GREATER_EQUAL arg_VERSION)
      set_target_properties(${arg_TARGET} PROPERTIES IMPORTED_GLOBAL TRUE)
      message(STATUS "vq: ${arg_PACKAGE} ${${arg_PACKAGE}_VERSION} found")
      set(found TRUE)
    endif()
  endif()
  if(found)
    if(name STREQUAL "simd")
      vq_without_xtl()
    endif()
    target_link_libraries(${provided} INTERFACE ${arg_TARGET})
    return()
  endif()

  if(${arg_PACKAGE}_FOUND)
    set(finding "was found as ${${arg_PACKAGE}_VERSION} only")
  else()
    set(finding "was not found")
  endif()
  if(NOT VQ_FETCH_DEPENDENCIES)
    message(FATAL_ERROR "vq: ${arg_PACKAGE} ${arg_VERSION} or later is needed and ${finding}. "
      "Install it (Debian: ${arg_DEBIAN}), name its place in CMAKE_PREFIX_PATH, or allow a "
      "download with -DVQ_FETCH_DEPENDENCIES=ON.")
  endif()
  message(STATUS "vq: ${arg_PACKAGE} ${finding}; taking ${arg_URL}")
  if(DEFINED arg_INCLUDE)
    # A subfolder that does not exist: unpack, but leave the library's own CMakeLists.txt alone.
    set(leave_alone SOURCE_SUBDIR only-headers-are-needed)
  endif()
  FetchContent_Declare(${arg_PACKAGE} URL ${arg_URL} URL_HASH SHA256=${arg_SHA256} ${leave_alone})
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  foreach(option IN LISTS arg_OPTIONS)
    string(REPLACE "=" ";" option ${option})
    set(${option})
  endforeach()
  FetchContent_MakeAvailable(${arg_PACKAGE})
  if(DEFINED arg_INCLUDE)
    string(TOLOWER ${arg_PACKAGE} lower)
    target_include_directories(${provided} INTERFACE ${${lower}_SOURCE_DIR}/${arg_INCLUDE})
  else()
    target_link_libraries(${provided} INTERFACE ${arg_TARGET})
    # Its warnings are not ours.
    target_include_directories(${provided} SYSTEM INTERFACE
      $<TARGET_PROPERTY:${arg_TARGET},INTERFACE_INCLUDE_DIRECTORIES>)
  endif()
endfunction()
