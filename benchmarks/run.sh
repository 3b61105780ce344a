#!/usr/bin/env bash
# Builds and runs the benchmarks; prints one table.
#   bash benchmarks/run.sh [--json FILE] [options for Google Benchmark]
# VQ_PRESET selects another preset of CMakePresets.json than release; VQ_CMAKE_OPTIONS goes to CMake,
# as in VQ_CMAKE_OPTIONS=-DVQ_FBGEMM_DIR=/opt/fbgemm.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/cmake/packages.sh"

need g++=c++ cmake=cmake ninja-build=ninja libbenchmark-dev=benchmark/ \
  nlohmann-json3-dev=nlohmann/ libeigen3-dev=eigen3/ libxsimd-dev=xsimd/

# Peers that Debian packages. Without one of them the table lacks a column, no more.
for peer in libdnnl-dev=dnnl.h libxnnpack-dev=xnnpack.h libpthreadpool-dev=pthreadpool.h \
  libgemmlowp-dev=gemmlowp; do
  [[ -e /usr/include/${peer#*=} ]] || install_packages "${peer%%=*}" >&2 || true
done

preset=${VQ_PRESET:-release}
(
  cd "$root"
  cmake --preset "$preset" -DVQ_BUILD_TESTS=OFF -DVQ_BUILD_BENCHMARKS=ON -DVQ_BUILD_EXAMPLES=OFF \
    ${VQ_CMAKE_OPTIONS:-}
  cmake --build --preset "$preset" --parallel "$(jobs_for_this_machine)" --target vq_benchmarks
) >&2
# In the caller's folder, so that relative names mean what they say.
exec "$root/build/$preset/bin/vq_benchmarks" "$@"
