#!/usr/bin/env python3
"""`vq memory` on configurations of published models and on a small checkpoint.

    python3 tests/tool/test_memory.py PROGRAM [names of tests]

The numbers are those of the library's tests (tests/plan/memory.cpp); here it is asked how the
command passes options on, and what it says when they are wrong.
"""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import checkpoints as ck  # noqa: E402

PROGRAM = None
CONFIGS = HERE.parent / "plan" / "configs"
LLAVA = CONFIGS / "llava-1.5-7b.json"
LLAMA = CONFIGS / "llama-3.2-11b-vision.json"


class Memory(unittest.TestCase):
    def vq(self, *arguments, code=0):
        done = subprocess.run([PROGRAM, "memory", *map(str, arguments)], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def report(self, *arguments, code=0):
        return json.loads(self.vq(*arguments, "--json", "-", "--quiet", code=code).stdout)

    def item(self, report, what):
        return sum(i["bytes"] for i in report["memory"]["items"] if i["what"].startswith(what))

    def test_weights_follow_the_recipe(self):
        as_is = self.report(LLAVA)
        self.assertEqual(as_is["memory"]["weights"], 2 * 7_063_427_072)
        small = self.report(LLAVA, "--recipe", "vlm-asymmetric")
        self.assertAlmostEqual(small["memory"]["weights"] / 1e9, 4.516, delta=0.0006)
        self.assertEqual(self.item(small, "weights: vision"), 2 * 303_507_456)

    def test_the_total_is_the_sum_of_the_items(self):
        memory = self.report(LLAVA, "-r", "vlm-asymmetric")["memory"]
        self.assertEqual(memory["total"], sum(i["bytes"] for i in memory["items"]))
        for phase in memory["phases"]:
            self.assertEqual(phase["bytes"], sum(i["bytes"] for i in phase["items"]))

    def test_context_images_and_cache(self):
        cache = lambda *options: self.item(self.report(LLAVA, *options), "key-value cache")
        self.assertEqual(cache("-c", 2048, "-i", "none"), 2048 * 524_288)
        self.assertEqual(cache("-c", 2048), (2048 + 576) * 524_288)
        self.assertEqual(cache("-c", 2048, "-i", "1x1", "9x9"), (2048 + 1152) * 524_288)
        self.assertEqual(cache("-c", 2048, "-i", "none", "--cache", "f8"), 1024 * 524_288)
        self.assertEqual(cache("-c", 2048, "-i", "none", "--batch", 3), 3 * 2048 * 524_288)
        self.assertEqual(self.item(self.report(LLAMA), "cross-attention cache"), 6404 * 32_768)

    def test_eager_attention_and_all_scores_are_the_peak(self):
        phases = lambda *options: {p["name"]: p["bytes"] for p in
                                   self.report(LLAMA, *options)["memory"]["phases"]}
        fused, eager = phases(), phases("--attention", "eager", "--scores", "all")
        self.assertEqual(eager["vision tower"] - fused["vision tower"], 2 * 6432**2 * 16 * 2)
        self.assertEqual(eager["scores of the vocabulary"], 2048 * 128_256 * 6)

    def test_a_budget_proposes_a_recipe(self):
        found = self.report(LLAMA, "--budget", "16GB")
        self.assertEqual(found["recipe"], "vlm-int8")
        totals = [option["total"] for option in found["options"]]
        self.assertEqual(totals, sorted(totals, reverse=True))
        self.assertLessEqual(found["memory"]["total"], 16_000_000_000)
        longer = self.report(LLAMA, "-r", "vlm-int8", "-b", "16GB", "-c",
                             found["longest_context"])
        self.assertTrue(longer["fits"])
        self.assertEqual(longer["longest_context"], found["longest_context"])

    def test_what_does_not_fit_is_said_with_its_reason(self):
        tight = self.report(LLAMA, "-r", "vlm-asymmetric", "-b", "12GB", "-i", "1120x1120",
                            "--attention", "eager", code=3)
        self.assertFalse(tight["fits"])
        self.assertIn("6432 x 6432 x 16 heads", tight["why_not"])
        self.assertTrue(tight["why_not"].endswith("with fused attention it fits"))
        nothing = self.report(CONFIGS / "llama-3.2-90b-vision.json", "-b", "24GB", code=3)
        self.assertIn("the weights alone take", nothing["why_not"])

    def test_both_units_are_printed(self):
        text = self.vq(LLAVA, "--budget", "16GiB").stdout
        self.assertIn("17.180 GB (16.000 GiB)", text)
        self.assertRegex(text, r"what +GB +GiB +why")

    def test_a_checkpoint_of_an_unknown_model_is_counted_from_its_headers(self):
        with tempfile.TemporaryDirectory() as folder:
            shape = [8, 4]
            ck.write_safetensors(Path(folder) / "model.safetensors",
                                 {"fc.weight": ("F16", shape, bytes(64)),
                                  "fc.bias": ("F16", [8], bytes(16))}, {"format": "pt"})
            done = self.vq(folder)
            self.assertIn("only weights are counted", done.stderr)
            self.assertEqual(self.report(folder)["memory"]["weights"], 80)

    def test_wrong_input_is_one_sentence(self):
        for options, sentence in (
                (["nowhere"], "vq: memory: nowhere: there is no such file"),
                ([LLAVA, "-i", "100"], "'100' is not WIDTHxHEIGHT"),
                ([LLAVA, "-i", "0x10"], "'0x10' is not WIDTHxHEIGHT"),
                ([LLAVA, "-b", "16"], "the size '16' is not understood"),
                ([LLAVA, "-r", "vlm"], "there is no recipe 'vlm'"),
                ([LLAVA, "-r", "clip-text-int8"], "hits no tensor of")):
            done = self.vq(*options, code=1)
            self.assertIn(sentence, done.stderr)
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.splitlines()), 1)
        self.vq(LLAVA, "--cache", "f9", code=2)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
