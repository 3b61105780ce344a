"""Wide units of vq_add_dispatch may define only what carries their tag in its name.

Usage: symbols.py <nm> <static library>

Of any other function that a wide unit defines weakly, the linker might keep this copy for the whole
program, which would then run wide instructions on a CPU that has none.
"""

import re
import subprocess
import sys

nm, library = sys.argv[1:]
listing = subprocess.run([nm, "--demangle", "--defined-only", library],
                         check=True, capture_output=True, text=True).stdout
unit, bad, checked = None, [], 0
for line in listing.splitlines():
    if match := re.fullmatch(r"(\w+)\.cpp\.o(bj)?:", line):
        unit = match[1]
        continue
    match = re.fullmatch(r"[0-9a-f]* *(\w) (.*)", line)
    if not match or unit in (None, "choice"):
        continue
    kind, name = match.groups()
    if kind not in "WwVvuTD" or name.startswith("DW.ref."):  # those refer to exception handling
        continue
    if kind in "Vu" and "(" not in name:  # a table: every copy has the same contents
        continue
    checked += 1
    if not re.search(rf"\bsimd::{unit}\b|\bxsimd::(avx|sse|fma|neon)\w*", name):
        bad.append(f"{unit}: {name}")
print(f"{checked} symbols of wide units")
if bad:
    sys.exit("defined without a tag:\n  " + "\n  ".join(sorted(set(bad))))
if not checked:
    sys.exit("no symbols found: is this the library?")
