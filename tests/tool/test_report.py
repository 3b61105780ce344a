#!/usr/bin/env python3
"""The page of `vq report`: what stands in it, and what a browser makes of it.

    python3 tests/tool/test_report.py PROGRAM [names of tests]

Where Chromium is installed it opens the page; elsewhere these tests are skipped.
"""
import html
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from html.parser import HTMLParser
from pathlib import Path

sys.dont_write_bytecode = True
PROGRAM = None
MODELS = Path(__file__).resolve().parents[2] / "examples" / "models"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "path", "rect", "br"}


class Page(HTMLParser):
    """Text by element, classes, and whether every element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.classes, self.names = [], {}, [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.classes += (dict(attributes).get("class") or "").split()
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.names.append(tag)
        self.classes += (dict(attributes).get("class") or "").split()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open[-1] == tag, (tag, self.open)
            self.open.pop()

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data.strip())


def inputs(folder):
    layers = [f"vit.encoder.layer.{i}.output.dense" for i in range(6)]
    trials = [{"procedure": "alone", "format": 0, "layer": i, "measure": [10.0 ** -i, 1.2 * 10.0 ** -i]}
              for i in range(6)]
    table = {"vq_sensitivity": 1, "about": {"measure": "KL <made up>"}, "complete": True,
             "layers": [{"name": n} for n in layers], "formats": ["int3-channel"], "trials": trials}
    rows = [{"model": "vit", "variant": f"row-{b}", "bytes": b, "top1": a, "images": 2000}
            for b, a in ((1000, 60.5), (2000, 80.25), (3000, 79.0), (4000, 85.75))]
    memory = {"budget": 16e9, "options": [
        {"recipe": name, "memory": {"items": [{"what": "weights: language_model", "bytes": w},
                                              {"what": "cache", "bytes": 2e9}]}}
        for name, w in (("as-is", 26e9), ("vlm-asymmetric", 8e9))]}
    for name, value in (("table", table), ("rows", {"rows": rows}), ("memory", memory)):
        (folder / f"{name}.json").write_text(json.dumps(value))


def pixels(png):
    """Rows of bytes of an 8-bit RGB or RGBA image."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            packed += body
        at += length + 12
    assert depth == 8 and colour in (2, 6)
    size, stride = (3 if colour == 2 else 4), width * (3 if colour == 2 else 4)
    raw, before, rows = zlib.decompress(packed), bytearray(stride), []
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            left = line[i - size] if i >= size else 0
            above, corner = before[i], before[i - size] if i >= size else 0
            if kind == 4:
                p = left + above - corner
                d = (abs(p - left), abs(p - above), abs(p - corner))
                add = left if d[0] <= d[1] and d[0] <= d[2] else above if d[1] <= d[2] else corner
            else:
                add = (0, left, above, (left + above) // 2)[kind]
            line[i] = (line[i] + add) & 255
        rows.append(line)
        before = line
    return size, rows


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = Path(tempfile.mkdtemp(prefix="vq-test-report-"))
        inputs(cls.dir)
        cls.page = cls.dir / "page.html"
        done = cls.vq("--evaluation", "rows.json", "--sensitivity", "table.json", "--memory",
                      "memory.json", "--model", MODELS / "vit", "--recipe", "vit-selective", "--layers",
                      "2", "--out", "page.html")
        assert done.returncode == 0, done.stderr
        cls.text = cls.page.read_text()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    @classmethod
    def vq(cls, *arguments):
        return subprocess.run([PROGRAM, "report", *map(str, arguments)], cwd=cls.dir,
                              capture_output=True, text=True, timeout=120)

    def test_every_section_has_its_numbers_and_its_source(self):
        page = Page(self.text)
        self.assertEqual(page.open, [])
        self.assertEqual(page.text["h1"], ["vit"])
        self.assertEqual(len(page.text["h2"]), 5)
        cells = page.text["td"]
        for cell in ("row-1000", "row-2000", "row-4000", "85.75", "vision"):
            self.assertIn(cell, cells)
        self.assertNotIn("row-3000", cells)  # beaten by row-2000
        words = page.text["text"]
        self.assertIn("row-3000", words)
        self.assertIn("#1", words)
        self.assertIn("vlm-asymmetric", words)
        for source in ("rows.json", "table.json", "memory.json", "vit-selective"):
            self.assertTrue(any(source in s for s in page.text["span"]), source)
        self.assertEqual(sum("dots" == c for c in page.classes), 4)
        self.assertEqual(sum("of-front" == c for c in page.classes), 3)
        self.assertGreaterEqual(page.names.count("svg"), 1 + 1 + 4 + 1)
        self.assertIn("KL &lt;made up>", self.text)

    def test_needs_no_network_and_no_script(self):
        self.assertNotRegex(self.text, r"(?i)<script|https?:|@import|url\(|<link|<img|<iframe")
        self.assertIn("prefers-color-scheme: dark", self.text)
        self.assertIn("@media print", self.text)
        self.assertIn('name="viewport"', self.text)

    def test_what_is_wrong_is_said_and_nothing_is_written(self):
        (self.dir / "empty.json").write_text("")
        (self.dir / "other.json").write_text("{}")
        for arguments, words in (
                (("--evaluation", "empty.json"), "empty.json"),
                (("--evaluation", "other.json"), "no row"),
                (("--sensitivity", "other.json"), "not a table of sensitivities"),
                (("--memory", "other.json"), "not the JSON of vq memory"),
                (("--recipe", "vit-selective"), "--model"),
                (("--memory", "none.json"), "no such file"),
                ((), "nothing to report")):
            done = self.vq(*arguments, "--out", "wrong.html")
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn(words, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1)
            self.assertFalse((self.dir / "wrong.html").exists())

    def test_rows_of_vq_eval_and_of_the_mixed_demo(self):
        evaluated = {"recipe": "mine", "items": 2000, "measures": [
            {"measure": "top-1", "float": 0.8575, "quantized": 0.845}],
            "precision": {"components": [], "total": {"tensors": 3, "parameters": 9, "bytes": 1500}}}
        mixed = {"rows": [{"model": "vit", "uniform": f"int{b}-channel", "uniform_bytes": 100 * b,
                           "mixed_bytes": 99 * b, "float_bytes": 3200, "float_accuracy": 0.8575,
                           "uniform_accuracy": 0.7 + b / 100, "mixed_accuracy": 0.8 + b / 100,
                           "test_items": 2000} for b in (3, 4)]}
        (self.dir / "eval.json").write_text(json.dumps(evaluated))
        (self.dir / "mixed.json").write_text(json.dumps(mixed))
        done = self.vq("--evaluation", "eval.json", "--evaluation", "mixed.json", "--out", "both.html")
        self.assertEqual(done.returncode, 0, done.stderr)
        page = Page((self.dir / "both.html").read_text())
        names = sorted(w for w in page.text["text"] if w[0].isalpha() and w != "bytes")
        self.assertEqual(names, ["float", "int3-channel", "int4-channel", "mine",
                                 "plan for int3-channel", "plan for int4-channel"])
        self.assertIn("84.00", page.text["td"])

    # Clusters of points with long names, as rows of one byte size are.
    def crowded(self):
        rows = [{"variant": f"plan-{i}-for-int{b}-channel", "bytes": 100000 * b + 300 * i,
                 "top1": 60 + 5 * b + 0.2 * (i % 3), "images": 2000}
                for b in (3, 4, 5) for i in range(5)]
        (self.dir / "crowded.json").write_text(json.dumps({"rows": rows}))
        for name in ("crowded.html", "again.html"):
            done = self.vq("--evaluation", "crowded.json", "--out", name)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.dir / "crowded.html").read_bytes(),
                         (self.dir / "again.html").read_bytes())
        return {row["variant"] for row in rows}, self.dir / "crowded.html"

    @unittest.skipUnless(CHROMIUM, "Chromium is not installed")
    def test_no_name_of_a_point_covers_another(self):
        names, page = self.crowded()
        script = """<script>
          const seen = document.createElement("pre");
          seen.textContent = JSON.stringify([...document.querySelectorAll("text.name")].map(t => {
            const b = t.getBBox(); return [t.textContent, b.x, b.y, b.width, b.height]; }));
          document.body.append(seen);
        </script></body>"""
        page.write_text(page.read_text().replace("</body>", script))
        dom = self.browse("--dump-dom", "--window-size=1000,900", page=page).stdout
        boxes = json.loads(html.unescape(re.search(r"(?s)<pre>(.*?)</pre>", dom)[1]))
        self.assertEqual({b[0] for b in boxes}, names, "all found room")
        for i, (name, x, y, w, h) in enumerate(boxes):
            self.assertTrue(0 <= x and x + w <= 640 and 0 <= y and y + h <= 330, name)
            for other, x2, y2, w2, h2 in boxes[:i]:
                apart = x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
                self.assertTrue(apart, f"{name} and {other}")

    def browse(self, *arguments, page=None):
        profile = tempfile.mkdtemp(dir=self.dir)
        return subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--hide-scrollbars", f"--user-data-dir={profile}", *arguments,
             (page or self.page).as_uri()], capture_output=True, text=True, timeout=120)

    @unittest.skipUnless(CHROMIUM, "Chromium is not installed")
    def test_a_browser_shows_it(self):
        dom = self.browse("--dump-dom").stdout
        page = Page(re.sub(r"(?s)<style>.*?</style>", "", dom))
        self.assertEqual(len(page.text["h2"]), 5)
        self.assertIn("row-4000", page.text["text"])
        for scheme, background in (("1", (255, 255, 255)), ("0", (0x14, 0x17, 0x1b))):
            shot = self.dir / "shot.png"
            shot.unlink(missing_ok=True)
            self.browse("--window-size=420,700", f"--screenshot={shot}",
                        f"--blink-settings=preferredColorScheme={scheme}")
            size, rows = pixels(shot)
            self.assertEqual(tuple(rows[5][5 * size:5 * size + 3]), background)
            colours = {bytes(row[i:i + 3]) for row in rows for i in range(0, len(row), size)}
            # The front is drawn, in the colour of its scheme, and nothing is wider than a phone.
            front = (0xb3, 0x26, 0x1e) if scheme == "1" else (0xff, 0x9a, 0x8d)
            self.assertIn(bytes(front), colours)


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
