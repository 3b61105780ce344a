"""Measures what including a header costs over an empty file, and fails above the budget.

The cost is processor time of the compiler (user and system), the least of several runs each, so
that other work on the machine does not count.
"""
import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("--header", required=True)
    parser.add_argument("--budget", type=float, required=True, help="seconds")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        empty = pathlib.Path(folder, "empty.cpp")
        empty.write_text("")
        including = pathlib.Path(folder, "including.cpp")
        including.write_text(f"#include <{options.header}>\n")
        command = [options.compiler, "-std=c++20", "-fsyntax-only", "-I", options.include]
        # Interleaved, so that a slow moment of the machine meets both.
        times = [(cpu_seconds(command + [empty]), cpu_seconds(command + [including]))
                 for _ in range(options.runs)]
    base, total = (min(column) for column in zip(*times))
    cost = total - base
    print(f"{options.header}: {total:.3f} s - {base:.3f} s (empty file) = {cost:.3f} s, "
          f"budget {options.budget:.2f} s, least of {options.runs} runs")
    return 0 if cost <= options.budget else 1


if __name__ == "__main__":
    sys.exit(main())
