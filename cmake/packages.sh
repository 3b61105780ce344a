# shellcheck shell=bash
# Sourced by the run scripts: what they need from the system, and how much of the machine to use.

# need <package>=<probe>...
# Installs the Debian packages whose probe is not there. A probe is a command, or, with a slash at
# its end, a folder below an include directory. Without a way to install, missing libraries are left
# to CMake, which downloads them; a missing tool ends the script with a sentence.
need() {
  local entry package probe tools=() libraries=()
  for entry in "$@"; do
    package=${entry%%=*} probe=${entry#*=}
    if [[ $probe == */ ]]; then
      [[ -d /usr/include/$probe || -d /usr/local/include/$probe ]] || libraries+=("$package")
    else
      command -v "$probe" >/dev/null || tools+=("$package")
    fi
  done
  local missing=("${tools[@]}" "${libraries[@]}")
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    # Without a terminal sudo could not ask for a password.
    if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
      as_root=(sudo)
    else
      as_root=(false)
    fi
  fi
  if command -v apt-get >/dev/null && [[ ${as_root[*]} != false ]]; then
    echo "vq: installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq || echo "vq: apt-get update failed; trying what is cached" >&2
    if "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
      return 0
    fi
    echo "vq: apt-get could not install ${missing[*]}" >&2
  fi
  if ((${#tools[@]})); then
    echo "vq: missing: ${missing[*]} (names of Debian packages)." >&2
    echo "vq: install them, for example as root with: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "vq: not installed: ${libraries[*]}; CMake will download these libraries" >&2
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
