#!/usr/bin/env bash
# Builds and runs the demo: trained CNNs in FP32 and INT8, side by side.
#   bash examples/run.sh [--model DIR] [--data FILE] [--json FILE]
# VQ_PRESET selects another preset of CMakePresets.json than release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/cmake/packages.sh"

need g++=c++ cmake=cmake ninja-build=ninja \
  nlohmann-json3-dev=nlohmann/ libeigen3-dev=eigen3/ libxsimd-dev=xsimd/ libcli11-dev=CLI/

preset=${VQ_PRESET:-release}
(
  cd "$root"
  cmake --preset "$preset" -DVQ_BUILD_TESTS=OFF -DVQ_BUILD_BENCHMARKS=OFF -DVQ_BUILD_EXAMPLES=ON
  cmake --build --preset "$preset" --parallel "$(jobs_for_this_machine)" --target cnn_demo
)
# In the caller's folder, so that relative names mean what they say.
exec "$root/build/$preset/bin/cnn_demo" "$@"
