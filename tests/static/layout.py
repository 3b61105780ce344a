"""Checks what a compiler does not: layers, includes, guards and characters of the headers.

`layout.py INCLUDE_DIR` prints one line per violation and exits with 1 if there is any.
"""
import pathlib
import re
import sys

# A folder may include itself and these; see the README of include/vq for the picture.
LEFT_OF = {
    "core": [],
    "policy": ["core"],
    "quantizer": ["core", "policy"],
    "tensor": ["core", "policy", "quantizer"],
    "fold": ["core", "policy", "quantizer"],
    "nn": ["core", "policy", "quantizer"],
    "calibrate": ["core", "policy", "quantizer", "tensor"],
    "io": ["core", "policy", "quantizer", "tensor", "fold", "calibrate", "nn"],
}
LEFT_OF["simd"] = LEFT_OF["io"]
LEFT_OF["analyze"] = LEFT_OF["io"] + ["io"]
LEFT_OF["optimize"] = LEFT_OF["analyze"] + ["analyze"]
LEFT_OF["plan"] = LEFT_OF["optimize"] + ["optimize"]

# A front door, vq/<name>.hpp, opens this folder and what stands left of it.
FRONT_DOOR = {
    "quant": "quantizer", "tensor": "tensor", "simd": "simd", "nn": "nn", "fold": "fold",
    "calibrate": "calibrate", "io": "io", "sensitivity": "analyze", "optimize": "optimize",
    "plan": "plan", "dispatch": "core", "version": None,
}

# Firmware compiles these folders, so they use what exists without an operating system.
FIRMWARE_READY = {"core", "policy", "quantizer", "fold", "nn"}
FREESTANDING = {
    "array", "bit", "compare", "concepts", "cstddef", "cstdint", "initializer_list", "limits",
    "new", "span", "type_traits", "utility",
}
# Deleted functions, construction in place, <new>.
HARMLESS = re.compile(r"= delete\b|::new \(|#include[^\n]*")
NEVER_THERE = re.compile(r"\b(throw|new|delete|malloc|free|printf|std::(string|vector|cout))\b")

# Each third-party library is seen by the folders of its component alone.
THIRD_PARTY = [
    (re.compile(r"^(xsimd/|.*intrin\.h$|arm_neon\.h$|arm_sve\.h$)"), {"simd"}),
    (re.compile(r"^nlohmann/"), {"io", "plan"}),
    (re.compile(r"^(Eigen|unsupported/Eigen)/"), {"optimize"}),
]
NOWHERE = {"iostream", "print", "regex"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def check(header, relative):
    raw = header.read_bytes()
    if not raw.isascii():
        yield "contains a character outside ASCII"
    text = raw.decode("ascii", "replace")

    parts = relative.parts[1:]  # without vq/
    folder = parts[0] if len(parts) > 1 else None
    door = None if folder else relative.stem
    if folder and folder not in LEFT_OF:
        yield f"the folder {folder} is not one of the layers"
        return
    if door and door not in FRONT_DOOR:
        yield "is not one of the front doors"
        return

    guard = "_".join(relative.with_suffix("").parts).upper() + "_HPP"
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        yield f"has no include guard named {guard}"
    if "#pragma once" in text:
        yield "uses #pragma once"

    for bracket, name in INCLUDE.findall(text):
        if bracket == '"':
            yield f'includes "{name}" with quotation marks'
        elif name.startswith("vq/"):
            yield from check_own(folder, door, name)
        else:
            yield from check_foreign(folder, name)

    if folder in FIRMWARE_READY:
        found = NEVER_THERE.search(HARMLESS.sub("", COMMENT.sub("", text)))
        if found:
            yield f"uses {found[0]}, which a firmware-ready layer must not"


def check_own(folder, door, name):
    target = name.removeprefix("vq/").split("/")
    if folder:
        if len(target) == 1:
            if target[0] != "version.hpp":
                yield f"includes the front door <{name}>"
        elif target[0] != folder and target[0] not in LEFT_OF[folder]:
            yield f"includes <{name}>, which does not stand left of {folder}"
        return
    opened = FRONT_DOOR[door]
    reachable = [opened, *LEFT_OF[opened]] if opened else []
    layer = FRONT_DOOR.get(target[0].removesuffix(".hpp")) if len(target) == 1 else target[0]
    if layer not in reachable and target[0] != "version.hpp":
        yield f"includes <{name}>, which is beyond its layer {opened}"


def check_foreign(folder, name):
    for pattern, folders in THIRD_PARTY:
        if pattern.match(name):
            if folder not in folders:
                yield f"includes <{name}>, which only {' and '.join(sorted(folders))} may"
            return
    if folder in FIRMWARE_READY and name not in FREESTANDING:
        yield f"includes <{name}>, which is no freestanding header"
    if name in NOWHERE:
        yield f"includes <{name}>"


def main(root):
    headers = sorted(root.rglob("*.hpp"))
    problems = [f"{header}: {problem}" for header in headers
                for problem in check(header, header.relative_to(root))]
    for problem in problems:
        print(problem)
    print(f"{len(headers)} headers, {len(problems)} problems")
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
