# shellcheck shell=bash
# Sourced by the run scripts: what they need from the system, and how much of the machine to use.

# need <package>=<probe>...
# Installs the Debian packages whose probe is not there. A probe is a command, or, with a slash at
# its end, a folder below an include directory, or, with one at its beginning, a file. Without a way to install, missing libraries are left
# to CMake, which downloads them; a missing tool ends the script with a sentence.
need() {
  local entry package probe tools=() libraries=()
  for entry in "$@"; do
    package=${entry%%=*} probe=${entry#*=}
    if [[ $probe == /* ]]; then
      [[ -e $probe ]] || libraries+=("$package")
    elif [[ $probe == */ ]]; then
      [[ -d /usr/include/$probe || -d /usr/local/include/$probe ]] || libraries+=("$package")
    else
      command -v "$probe" >/dev/null || tools+=("$package")
    fi
  done
  local missing=("${tools[@]}" "${libraries[@]}")
  ((${#missing[@]})) || return 0

  install_packages "${missing[@]}" && return 0
  if ((${#tools[@]})); then
    echo "vq: missing: ${missing[*]} (names of Debian packages)." >&2
    echo "vq: install them, for example as root with: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "vq: not installed: ${libraries[*]}; CMake will download these libraries" >&2
}

# install_packages <package>...
# Returns 1 where the Debian packages cannot be installed.
install_packages() {
  local as_root=()
  if ((EUID != 0)); then
    # Without a terminal sudo could not ask for a password.
    if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      return 1
    fi
  fi
  command -v apt-get >/dev/null || return 1
  echo "vq: installing $*"
  "${as_root[@]}" apt-get update -qq || echo "vq: apt-get update failed; trying what is cached" >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null && return 0
  echo "vq: apt-get could not install $*" >&2
  return 1
}

# Compilations at a time: one per core, and no more than memory allows at 1.5 GB each.
jobs_for_this_machine() {
  local cores megabytes
  cores=$(nproc 2>/dev/null || echo 2)
  megabytes=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo 2>/dev/null || true)
  if [[ -n $megabytes ]] && ((megabytes / 1500 < cores)); then
    cores=$((megabytes / 1500))
  fi
  echo $((cores > 0 ? cores : 1))
}
