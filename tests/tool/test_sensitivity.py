#!/usr/bin/env python3
"""vq sensitivity, vq plan and vq safety on the bundled networks.

    python3 tests/tool/test_sensitivity.py PROGRAM
"""
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "examples" / "models"
PROGRAM = None


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="vq-test-sensitivity-"))

    def tearDown(self):
        shutil.rmtree(self.dir)

    def vq(self, *arguments, code=0):
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                              timeout=200)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def measure(self, to, *more, code=0):
        return self.vq("sensitivity", MODELS / "resnet20", "-o", to, "--images", 8, "--subsets", 2,
                       "--formats", "int8-channel,int3-channel", *more, code=code)


class Sensitivity(Case):
    def test_every_layer_in_every_format(self):
        out = self.dir / "table.json"
        text = self.measure(out, "--show", 3).stdout
        self.assertIn("int3-channel", text)
        table = json.loads(out.read_text())
        self.assertTrue(table["complete"])
        self.assertEqual(len(table["layers"]), 22)
        self.assertEqual(len(table["trials"]), 44)
        mean = [sum(t["measure"]) for t in table["trials"]]
        self.assertLess(sum(mean[:22]), sum(mean[22:]))  # 8 bits hurt less than 3

    def test_an_interrupted_run_goes_on_to_the_same_bytes(self):
        whole, parts = self.dir / "whole.json", self.dir / "parts.json"
        self.measure(whole)
        run = subprocess.Popen(
            [PROGRAM, "sensitivity", MODELS / "resnet20", "-o", parts, "--images", "8",
             "--subsets", "2", "--formats", "int8-channel,int3-channel", "-j", "1"],
            stdout=subprocess.DEVNULL)
        time.sleep(0.25)
        run.send_signal(signal.SIGINT)
        self.assertIn(run.wait(timeout=60), (0, 4, -signal.SIGINT))
        self.measure(parts)
        self.assertEqual(parts.read_bytes(), whole.read_bytes())

    def test_a_table_of_something_else_is_kept(self):
        out = self.dir / "table.json"
        self.measure(out)
        before = out.read_bytes()
        done = self.vq("sensitivity", MODELS / "resnet20", "-o", out, "--images", 8, "--formats",
                       "int4-channel", code=1)
        self.assertIn("holds other measurements", done.stderr)
        self.assertEqual(out.read_bytes(), before)

    def test_estimates_make_a_table_like_a_measured_one(self):
        measured, table = self.dir / "measured.json", self.dir / "table.json"
        self.measure(measured)
        for proxy in ("output-sqnr", "output-fisher", "fisher", "second-order"):
            table.unlink(missing_ok=True)
            text = self.measure(table, "--proxy", proxy, "--against", measured).stdout
            rho = [float(line.split()[2]) for line in text.splitlines()
                   if line.startswith(("int8-channel ", "int3-channel ")) and line.split()[1] == "22"]
            self.assertEqual(len(rho), 2)
            self.assertTrue(all(-1 <= r <= 1 for r in rho))
            if proxy == "fisher":
                self.assertGreater(rho[1], 0.4)  # 8 images
            found = json.loads(table.read_text())
            self.assertEqual(found["about"]["proxy"], proxy)
            self.assertIn("estimate", found["about"]["measure"])
            self.assertEqual(len(found["trials"]), 44)
            self.vq("plan", table, "--model", MODELS / "resnet20", "--bits", 5)
        self.assertIn("holds other measurements", self.measure(table, code=1).stderr)
        self.assertIn("unknown", self.measure(table, "--proxy", "guess", code=1).stderr)
        self.assertIn("not inputs", self.vq(
            "sensitivity", MODELS / "resnet20", "--inputs", "--proxy", "fisher", "-o", table,
            code=1).stderr)

    def test_what_is_unknown_is_said(self):
        done = self.vq("sensitivity", MODELS / "resnet20", "-o", self.dir / "t.json", "--formats",
                       "int1-channel", "--images", 2, code=1)
        self.assertIn("int1-channel", done.stderr)
        done = self.vq("sensitivity", self.dir, "-o", self.dir / "t.json", code=1)
        self.assertIn("config.json", done.stderr)


class Plan(Case):
    def test_a_plan_is_a_recipe_that_fits(self):
        table, plan = self.dir / "table.json", self.dir / "plan.json"
        self.measure(table)
        done = self.vq("plan", table, "--model", MODELS / "resnet20", "--bits", 5, "-o", plan)
        self.assertIn("proven to be the least", done.stdout)
        rules = json.loads(plan.read_text())["rules"]
        self.assertEqual({r["format"] for r in rules}, {"int8-channel", "int3-channel"})
        sent = json.loads(self.vq("plan", table, "--model", MODELS / "resnet20", "--bits", 5,
                                  "--json", "-", "-q").stdout)
        self.assertLessEqual(sent["bytes"], sent["limit"])
        self.assertEqual(len(sent["layers"]), 22)

    def test_pins(self):
        table, pins = self.dir / "table.json", self.dir / "pins.json"
        self.measure(table)
        pins.write_text('{"name": "p", "rules": [{"pattern": "fc.weight", "format": "keep"}]}')
        sent = json.loads(self.vq("plan", table, "--model", MODELS / "resnet20", "--bits", 5,
                                  "--pin", pins, "--json", "-", "-q").stdout)
        self.assertEqual(sent["layers"][-1], {"module": "fc", "format": "keep", "bytes": 2560,
                                              "cost": 0.0})

    def test_what_does_not_fit_is_said(self):
        table = self.dir / "table.json"
        self.measure(table)
        done = self.vq("plan", table, "--model", MODELS / "resnet20", "--bytes", 50000, code=1)
        self.assertIn("bytes are allowed and the smallest formats take", done.stderr)
        self.vq("plan", table, "--model", MODELS / "resnet20", code=2)


class Safety(Case):
    def test_verdicts(self):
        sent = json.loads(self.vq("safety", MODELS / "resnet20", "--json", "-", "-q").stdout)
        safe = {t["name"]: all(layer["safe"] for layer in t["layers"]) for t in sent["targets"]}
        self.assertTrue(safe["widened"] and safe["vnni"] and safe["neon_dot"])
        self.assertFalse(safe["avx2"] or safe["16-bit sums"])
        text = self.vq("safety", MODELS / "resnet20", "--target", "avx2").stdout
        self.assertIn("conv1: on avx2", text)
        self.vq("safety", MODELS / "resnet20", "--target", "abacus", code=1)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
