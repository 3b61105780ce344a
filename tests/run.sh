#!/usr/bin/env bash
# Builds and runs the tests; the last lines are the summary of ctest.
#   bash tests/run.sh [options for cmake]
# VQ_PRESET selects another preset of CMakePresets.json than release.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source cmake/packages.sh

need g++=c++ cmake=cmake ninja-build=ninja python3=python3 catch2=catch2/ \
  nlohmann-json3-dev=nlohmann/ libeigen3-dev=eigen3/ libxsimd-dev=xsimd/ libcli11-dev=CLI/

preset=${VQ_PRESET:-release}
jobs=$(jobs_for_this_machine)
cmake --preset "$preset" -DVQ_BUILD_TESTS=ON "$@"
cmake --build --preset "$preset" --parallel "$jobs"
ctest --preset "$preset" --parallel "$jobs"
