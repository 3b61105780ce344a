"""Compares the code in the project's Markdown files with the compiled files it is cut from.

A fenced block is preceded by a comment that names a file and a region of it:

    <!-- snippet: examples/01_conv_int8.cpp#quantize -->
    ```cpp
    ...
    ```

The region stands in that file between lines `// [quantize]` and `// [/quantize]`; a remark may
follow on the first. The common indentation does not count. `snippets.py ROOT` lists the differences and exits with 1 if there are
any; `snippets.py ROOT --update` writes the regions into the documents instead.
"""
import pathlib
import re
import sys
import textwrap

BLOCK = re.compile(
    r"<!-- snippet: (?P<file>[^#\s]+)#(?P<region>\S+) -->\n"
    r"(?P<fence>```\w*\n)(?P<text>.*?)(?P<end>^```$)", re.DOTALL | re.MULTILINE)


def region(path, name):
    """The lines between `// [name]` and `// [/name]`, without their common indentation."""
    text = path.read_text(encoding="utf-8")
    found = re.search(
        rf"^[ ]*// \[{re.escape(name)}\](?:  [^\n]*)?\n(.*?)^[ ]*// \[/{re.escape(name)}\]$", text,
        re.DOTALL | re.MULTILINE)
    return textwrap.dedent(found.group(1)) if found else None


def main(root, update):
    problems, count = [], 0
    for document in sorted(root.rglob("*.md")):
        relative = document.relative_to(root)
        if relative.parts[0] in ("build", ".git"):
            continue
        text = document.read_text(encoding="utf-8")
        marks = text.count("<!-- snippet:")

        def check(match):
            nonlocal count, marks
            count += 1
            marks -= 1
            source = root / match["file"]
            wanted = region(source, match["region"]) if source.is_file() else None
            if wanted is None:
                problems.append(f"{relative}: {match['file']} has no region [{match['region']}]")
                return match[0]
            if wanted != match["text"] and not update:
                problems.append(f"{relative}: the block differs from {match['file']}"
                                f"#{match['region']}, which says\n{wanted}")
            return match[0].replace(match["fence"] + match["text"], match["fence"] + wanted)

        updated = BLOCK.sub(check, text)
        if marks:
            problems.append(f"{relative}: {marks} snippet comment(s) without a fenced block below")
        if update and updated != text:
            document.write_text(updated, encoding="utf-8")
    for problem in problems:
        print(problem)
    print(f"{count} snippets, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), "--update" in sys.argv[2:]))
