#!/usr/bin/env bash
# Benchmarks beside current peers: a newer Debian in a folder, with the libraries that it packages
# (oneDNN, XNNPACK, gemmlowp, ONNX Runtime, ggml, PyTorch), in which the benchmarks are built and run.
#   sudo bash benchmarks/peers/newer-debian.sh [--mirror URL] [--suite NAME] FOLDER [options of vq_benchmarks]
# The first call installs (about 3 GB); later ones only build and run. Relative names of files mean
# the current folder. Nothing outside FOLDER is changed; to remove it all, delete FOLDER.
# Variables VQ_CMAKE_OPTIONS and VQ_PREFIX ("taskset -c 1") go to CMake and before the program.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
suite=sid mirror=

die() { echo "newer-debian.sh: $*" >&2; exit 1; }

while [[ ${1:-} == --mirror || ${1:-} == --suite ]]; do
  [[ $# -ge 2 ]] || die "$1 needs a value"
  [[ $1 == --mirror ]] && mirror=$2 || suite=$2
  shift 2
done
[[ $# -ge 1 && $1 != -* ]] || die "name the folder for the installation"
folder=$1
shift
((EUID == 0)) || die "needs root, for debootstrap and chroot"
command -v debootstrap >/dev/null || die "needs debootstrap (apt-get install debootstrap)"

# The mirror that this system takes its own packages from.
if [[ -z $mirror ]]; then
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    head -n 1) || true
  [[ -n $mirror ]] || die "this system names no mirror of Debian; give one with --mirror URL"
fi

packages=(g++ cmake ninja-build libbenchmark-dev libxsimd-dev libeigen3-dev nlohmann-json3-dev
  libdnnl-dev libxnnpack-dev libpthreadpool-dev libgemmlowp-dev libonnxruntime-dev libggml-dev
  libtorch-dev)
if [[ ! -e $folder/.installed ]]; then
  echo "newer-debian.sh: installing $suite in $folder" >&2
  mkdir -p "$folder"
  [[ -e $folder/etc/debian_version ]] ||
    debootstrap --variant=minbase "$suite" "$folder" "$mirror" >&2
  chroot "$folder" apt-get update -qq >&2 || true
  DEBIAN_FRONTEND=noninteractive chroot "$folder" \
    apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
  touch "$folder/.installed"
fi

# A mount namespace of its own: the mounts vanish with it.
folder=$(cd "$folder" && pwd)
export folder root here=$PWD VQ_CMAKE_OPTIONS=${VQ_CMAKE_OPTIONS:-} VQ_PREFIX=${VQ_PREFIX:-}
exec unshare --mount bash -euo pipefail -c '
  mkdir -p "$folder/vq" "$folder/here"
  mount --bind -o ro "$root" "$folder/vq"
  mount --bind "$here" "$folder/here"
  mount -t proc proc "$folder/proc"
  mount --rbind /sys "$folder/sys"
  exec chroot "$folder" bash -euo pipefail -c '\''
    cd /here
    cmake -G Ninja -S /vq -B /build -DCMAKE_BUILD_TYPE=Release -DVQ_BUILD_TESTS=OFF \
      -DVQ_BUILD_EXAMPLES=OFF -DVQ_BUILD_BENCHMARKS=ON -DCMAKE_CXX_SCAN_FOR_MODULES=OFF $VQ_CMAKE_OPTIONS >&2
    nice cmake --build /build --target vq_benchmarks >&2
    exec $VQ_PREFIX /build/bin/vq_benchmarks "$@"
  '\'' newer-debian "$@"
' newer-debian "$@"
