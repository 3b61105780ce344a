"""Builds firmware.cpp as firmware would and prints its size.

The object may leave only memcpy, memmove, memset and memcmp undefined, which GCC and Clang may call
in any program. With those four it links without any library; on Arm the compiler's own arithmetic
helpers (__aeabi_*, in libgcc) stand beside them.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ALLOWED = {"memcpy", "memmove", "memset", "memcmp"}
COMPILER_HELPERS = re.compile(r"__aeabi_\w+")

FOUR_FUNCTIONS = r"""
typedef __SIZE_TYPE__ size;
void* memmove(void* to, const void* from, size n) {
  char* t = to;
  const char* f = from;
  if (t < f) while (n--) *t++ = *f++;
  else while (n--) t[n] = f[n];
  return to;
}
void* memcpy(void* to, const void* from, size n) { return memmove(to, from, n); }
void* memset(void* to, int value, size n) {
  char* t = to;
  while (n--) *t++ = (char)value;
  return to;
}
int memcmp(const void* a, const void* b, size n) {
  const unsigned char *x = a, *y = b;
  for (; n; --n, ++x, ++y) if (*x != *y) return *x - *y;
  return 0;
}
"""


def run(command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("flags", nargs="*", help="for the machine, after --")
    options = parser.parse_args()

    flags = ["-Os", "-ffreestanding", "-fno-exceptions", "-fno-rtti", *options.flags]
    bare = pathlib.Path(options.compiler).name.startswith("arm-none-eabi")
    binutils = "arm-none-eabi-" if bare else ""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        code, four, program = folder / "firmware.o", folder / "four.o", folder / "firmware.elf"
        run([options.compiler, "-std=c++20", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror",
             "-ffunction-sections", "-fdata-sections", *flags, "-I", options.include, "-c",
             options.source, "-o", code])
        undefined = {line.split()[-1] for line in run([binutils + "nm", "-u", code]).splitlines()}
        excess = {name for name in undefined - ALLOWED
                  if not (bare and COMPILER_HELPERS.fullmatch(name))}
        print("undefined symbols:", " ".join(sorted(undefined)) or "none")
        if excess:
            print("not allowed:", " ".join(sorted(excess)))
            return 1

        # Unoptimized: an optimizer may turn the loop of memmove into a call of memmove.
        (folder / "four.c").write_text(FOUR_FUNCTIONS)
        run([options.compiler, "-x", "c", "-O0", "-ffreestanding", *options.flags, "-c",
             folder / "four.c", "-o", four])
        run([options.compiler, *options.flags, "-nostdlib", *([] if bare else ["-static"]),
             "-Wl,--gc-sections", code, four, *(["-lgcc"] if bare else []), "-o", program])
        print(f"{pathlib.Path(options.source).name}, {' '.join(flags)}, bytes:")
        for line in run([binutils + "size", program]).splitlines():
            print(*(f"{column:>8}" for column in line.split()[:3]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        print(" ".join(map(str, error.cmd)), error.stderr, sep="\n")
        sys.exit(1)
