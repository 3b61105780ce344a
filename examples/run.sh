#!/usr/bin/env bash
# Builds and runs a demo: trained CNNs in FP32 and INT8, a vision transformer in 8, 6 and 4 bits, or
# CLIP and LLaVA with a precision for each part; or mixed precision against uniform precision.
#   bash examples/run.sh [--model DIR] [--data FILE] [--json FILE]
#   bash examples/run.sh vit [--variants 'w4a4-*'] [--json FILE] [--page FILE.html]
#   bash examples/run.sh llava|clip [--variants '*.vision'] [--json FILE]
#   bash examples/run.sh mixed [--models resnet20,vit] [--tables DIR] [--json FILE]
# The command-line tool is built too: build/release/bin/vq (examples/vq/README.md).
# VQ_PRESET selects another preset of CMakePresets.json than release.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/cmake/packages.sh"

need g++=c++ cmake=cmake ninja-build=ninja \
  nlohmann-json3-dev=nlohmann/ libeigen3-dev=eigen3/ libxsimd-dev=xsimd/ libcli11-dev=CLI/

demo=cnn_demo
if [[ ${1:-} == vit ]]; then
  demo=vit_demo
  shift
elif [[ ${1:-} == llava || ${1:-} == clip ]]; then
  demo=language_demo  # which takes the word as its command
elif [[ ${1:-} == mixed ]]; then
  demo=mixed_demo
  shift
fi
preset=${VQ_PRESET:-release}
(
  cd "$root"
  cmake --preset "$preset" -DVQ_BUILD_TESTS=OFF -DVQ_BUILD_BENCHMARKS=OFF -DVQ_BUILD_EXAMPLES=ON
  cmake --build --preset "$preset" --parallel "$(jobs_for_this_machine)" --target "$demo" vq_tool
)
# In the caller's folder, so that relative names mean what they say.
exec "$root/build/$preset/bin/$demo" "$@"
