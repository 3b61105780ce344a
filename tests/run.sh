#!/usr/bin/env bash
# Builds and runs the tests; then what they measured and how many golden vectors ran, passed and were
# skipped; the last line is the summary of ctest.
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

log=build/$preset/Testing/Temporary
ctest --preset "$preset" --parallel "$jobs" | tee "build/$preset/ctest.log" && passed=0 || passed=1
printf '\n'
grep -hE '^(golden |vq/quant\.hpp: |firmware\.cpp, |undefined symbols: | +[0-9]+ +[0-9]+ +[0-9]+$)' \
  "$log/LastTest.log" | awk '!seen[$0]++' || true
grep -E '^[0-9]+% tests passed' "build/$preset/ctest.log" || true
exit $passed
