#!/usr/bin/env python3
"""Runs build/.../bin/vq eval on the bundled models.

    python3 tests/tool/test_eval.py PROGRAM [names of tests]
"""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = None
MODELS = Path(__file__).resolve().parents[2] / "examples" / "models"


class Eval(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="vq-test-eval-")
        self.addCleanup(self.folder.cleanup)

    def vq(self, *arguments, code=0):
        done = subprocess.run([PROGRAM, "eval", *map(str, arguments)], capture_output=True,
                              text=True, timeout=280)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def report(self, *arguments):
        return json.loads(self.vq(*arguments, "--json", "-", "--quiet").stdout)

    def recipe(self, **rule):
        path = Path(self.folder.name) / "mine.json"
        path.write_text(json.dumps({"name": "mine", "rules": [rule]}))
        return path

    def test_a_cnn_with_int8_weights_is_as_accurate_as_pytorch_says(self):
        mine = self.recipe(component="vision", format="int8-channel", convolutions=True)
        found = self.report(MODELS / "resnet20", "--recipe", mine)
        self.assertEqual(found["items"], 2000)
        top1 = found["measures"][0]
        self.assertEqual(top1["measure"], "top-1")
        self.assertAlmostEqual(top1["float"], 0.8810, places=6)
        peer = json.loads((MODELS / "peer-accuracy.json").read_text())["results"]["resnet20"]
        theirs = peer["sim_w8a32_per_channel_unfolded_minmax"]["top1_2000"]
        self.assertLessEqual(abs(top1["quantized"] - theirs), 0.0015)
        formats = found["precision"]["components"][0]["formats"]
        self.assertEqual(formats[0]["format"], "int8-channel")

    def test_clip_with_an_int8_text_tower(self):
        found = self.report(MODELS / "clip", "--recipe", "clip-text-int8")
        measures = {m["measure"]: m for m in found["measures"]}
        self.assertAlmostEqual(measures["image to text R@1"]["float"], 0.815, places=6)
        self.assertAlmostEqual(measures["text to image R@1"]["float"], 0.838, places=6)
        self.assertLessEqual(abs(measures["image to text R@1"]["quantized"] - 0.815), 0.003)

    def test_what_is_wrong_is_said(self):
        said = self.vq(MODELS / "clip", "--recipe", "no-such-recipe", code=1).stderr
        self.assertIn("there is no recipe 'no-such-recipe'", said)
        said = self.vq(MODELS / "clip", "--recipe", "clip-text-int8", "--data", "/no/where",
                       code=1).stderr
        self.assertIn("/no/where: there is no such folder", said)
        said = self.vq(MODELS / "resnet20", "--recipe", "vlm-asymmetric", code=1).stderr
        self.assertIn("recipe 'vlm-asymmetric': rule 1", said)
        self.vq(MODELS / "nothing", "--recipe", "all-nf4", code=1)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
