#!/usr/bin/env python3
"""Runs build/.../bin/vq on small checkpoints.

    python3 tests/tool/test_tool.py PROGRAM [names of tests]
"""
import json
import math
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import checkpoints as ck  # noqa: E402

PROGRAM = None
MAKE = ROOT / "benchmarks" / "checkpoint" / "make_checkpoint.py"
LLM = "language_model.model.layers.0.self_attn.q_proj.weight"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="vq-test-tool-"))
        cls.model = cls.shared / "llava"
        subprocess.run([sys.executable, MAKE, cls.model, "--tiny", "--layers", "3",
                        "--vision-layers", "1", "--shard-gb", "0.0006"],
                       check=True, stdout=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared)

    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(dir=self.shared))

    def vq(self, *arguments, code=0, **more):
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                              timeout=120, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def report(self, *arguments, code=0, **more):
        return json.loads(self.vq(*arguments, "--json", "-", "--quiet", code=code, **more).stdout)

    def quantize(self, *arguments, source=None, to=None, recipe="vlm-asymmetric", **more):
        to = to or self.dir / "out"
        return self.report("quantize", source or self.model, to, "--recipe", recipe, *arguments,
                           **more)

    def refused(self, *arguments, code=1, **more):
        """The one sentence."""
        done = self.vq(*arguments, code=code, **more)
        self.assertEqual(done.stdout, "")
        lines = [l for l in done.stderr.splitlines() if ": warning: " not in l]
        self.assertEqual(len(lines), 1, done.stderr)
        return lines[0]

    def small(self, tensors, config=None, name="small"):
        folder = self.dir / name
        folder.mkdir()
        ck.write_safetensors(folder / "model.safetensors", tensors, {"format": "pt"})
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        return folder

    def llava_with(self, change):
        """A copy of the model with the values of one weight changed."""
        folder = self.dir / "changed"
        shutil.copytree(self.model, folder)
        where = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
        tensors, metadata = ck.read_safetensors(folder / where[LLM])
        dtype, shape, data = tensors[LLM]
        tensors[LLM] = (dtype, shape, change(data))
        ck.write_safetensors(folder / where[LLM], tensors, metadata)
        return folder


class Quantize(Case):
    def test_what_is_written(self):
        found = self.quantize("--shard-size", "300KB")
        self.assertTrue(found["complete"])
        self.assertEqual([c["component"] for c in found["components"]],
                         ["vision", "connector", "language_model", "head", "embedding"])
        out, source = ck.read_folder(self.dir / "out"), ck.read_folder(self.model)
        for name, stored in source.items():
            if ".layers." in name and name.startswith("language_model") and "proj" in name:
                self.assertEqual(out[name][0], "U8")
            else:
                self.assertEqual(out[name], stored, name)
        dtype, shape, data = source[LLM]
        codes, _ = ck.nf4_codes(ck.values_of(dtype, data))
        self.assertEqual(out[LLM], ("U8", [len(codes) // 2, 1], bytes(
            high << 4 | low for high, low in zip(codes[::2], codes[1::2]))))
        state = json.loads(out[LLM + ".quant_state.bitsandbytes__nf4"][2])
        self.assertEqual({k: state[k] for k in ("quant_type", "blocksize", "dtype", "shape")},
                         {"quant_type": "nf4", "blocksize": 64, "dtype": "float16", "shape": shape})

    def test_configuration_and_small_files(self):
        (self.model / "notes.txt").write_text("kept")
        (self.model / "pytorch_model.bin").write_text("not copied")
        self.quantize("--shard-size", "300KB")
        out = self.dir / "out"
        config = json.loads((out / "config.json").read_text())
        before = json.loads((self.model / "config.json").read_text())
        settings = config.pop("quantization_config")
        self.assertEqual(config, before)
        self.assertEqual(settings["quant_method"], "bitsandbytes")
        self.assertIs(settings["load_in_4bit"], True)
        self.assertEqual(settings["bnb_4bit_quant_type"], "nf4")
        self.assertIs(settings["bnb_4bit_use_double_quant"], True)
        self.assertEqual(settings["bnb_4bit_compute_dtype"], "float16")
        for entry in ("vision_tower", "model.vision_tower", "lm_head"):
            self.assertIn(entry, settings["llm_int8_skip_modules"])
        self.assertEqual((out / "notes.txt").read_text(), "kept")
        self.assertFalse((out / "pytorch_model.bin").exists())
        index = json.loads((out / "model.safetensors.index.json").read_text())
        self.assertEqual(index["metadata"]["total_size"],
                         sum(len(data) for _, _, data in ck.read_folder(out).values()))
        for name in set(index["weight_map"].values()):
            self.assertLess((out / name).stat().st_size, 320_000)
            self.assertEqual(ck.read_safetensors(out / name)[1]["format"], "pt")

    def test_the_bytes_depend_on_nothing_but_the_options(self):
        self.quantize("--shard-size", "50KB", "--jobs", "1", to=self.dir / "one")
        self.quantize("--shard-size", "50KB", "--jobs", "4", to=self.dir / "four")
        expected = ck.contents(self.dir / "one")
        self.assertEqual(ck.contents(self.dir / "four"), expected)

        parts = self.dir / "parts"
        for k in (3, 1):
            found = self.quantize("--shard-size", "50KB", "--part", f"{k}/3", to=parts)
            self.assertFalse(found["complete"])
        early = self.refused("quantize", self.model, parts, "--recipe", "vlm-asymmetric",
                             "--shard-size", "50KB", "--finish")
        self.assertIn("not finished: --part 2/3", early)
        self.assertFalse(parts.exists())
        self.quantize("--shard-size", "50KB", "--part", "2/3", to=parts)
        found = self.quantize("--shard-size", "50KB", "--finish", to=parts)
        self.assertTrue(found["complete"])
        self.assertEqual(ck.contents(parts), expected)
        self.assertFalse((self.dir / "parts.partial").exists())

    def interrupt(self, how, out):
        """Stops a run after its first shard; returns its exit code."""
        partial = out.with_name(out.name + ".partial")
        run = subprocess.Popen([PROGRAM, "quantize", self.model, out, "--recipe", "vlm-asymmetric",
                                "--shard-size", "5KB", "--jobs", "1"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while run.poll() is None and not list(partial.glob("*.safetensors")):
            time.sleep(0.0005)
        run.send_signal(how)
        _, message = run.communicate(timeout=60)
        return run.returncode, message

    def test_a_killed_run_goes_on_to_the_same_bytes(self):
        self.quantize("--shard-size", "5KB", to=self.dir / "expected")
        expected = ck.contents(self.dir / "expected")
        for attempt in range(10):  # the program may be faster than the signal
            out = self.dir / f"killed{attempt}"
            code, _ = self.interrupt(signal.SIGKILL, out)
            if code == -signal.SIGKILL:
                break
        self.assertEqual(code, -signal.SIGKILL)
        self.assertFalse(out.exists())
        found = self.quantize("--shard-size", "5KB", to=out)
        kept = sum(s["kept"] for s in found["shards"])
        self.assertGreater(kept, 0)
        self.assertLess(kept, len(found["shards"]))
        self.assertEqual(ck.contents(out), expected)

    def test_ctrl_c_says_how_to_go_on(self):
        for attempt in range(10):
            out = self.dir / f"stopped{attempt}"
            code, message = self.interrupt(signal.SIGINT, out)
            if code == 4:
                break
        self.assertEqual(code, 4, message)
        self.assertIn("the same command goes on from there", message)
        self.assertFalse(out.exists())
        self.assertTrue(self.quantize("--shard-size", "5KB", to=out)["complete"])

    def test_shards_of_other_options_are_not_kept(self):
        out = self.dir / "out"
        self.quantize("--shard-size", "50KB", "--part", "1/2", to=out)
        found = self.quantize("--shard-size", "50KB", to=out, recipe="all-nf4")
        self.assertEqual([s["file"] for s in found["shards"] if s["kept"]
                          and "nf4" in s["file"]], [])
        self.quantize("--shard-size", "50KB", to=self.dir / "fresh", recipe="all-nf4")
        self.assertEqual(ck.contents(out), ck.contents(self.dir / "fresh"))

    def test_dry_run_writes_nothing(self):
        found = self.quantize("--dry-run")
        self.assertGreater(found["total"]["bytes"], 0)
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_eight_bits(self):
        recipe = self.dir / "mine.json"
        recipe.write_text(json.dumps({"name": "mine", "rules": [
            {"component": "language_model", "format": "int8-channel"},
            {"component": "vision", "format": "keep"}]}))
        self.quantize(recipe=recipe)
        out, source = ck.read_folder(self.dir / "out"), ck.read_folder(self.model)
        dtype, (rows, columns), data = source[LLM]
        values = ck.values_of(dtype, data)
        self.assertEqual(out[LLM][:2], ("I8", [rows, columns]))
        row = values[:columns]
        absmax = max(map(abs, row))
        layer = LLM[:-len(".weight")]
        self.assertEqual(ck.values_of("F32", out[layer + ".SCB"][2])[0], absmax)
        codes = ck.values_of("I8", out[LLM][2])[:columns]
        for code, value in zip(codes, row):
            self.assertLessEqual(abs(code - value * 127 / absmax), 0.5 + 1e-4)
        settings = json.loads((self.dir / "out" / "config.json").read_text())["quantization_config"]
        self.assertIs(settings["load_in_8bit"], True)
        self.assertIs(settings["load_in_4bit"], False)

    def recipe_file(self, *rules):
        path = self.dir / "recipe.json"
        path.write_text(json.dumps({"name": "mine", "rules": list(rules)}))
        return path

    def test_our_own_layout_holds_every_format(self):
        layer = "language_model.model.layers.0."
        formats = {"self_attn.q_proj": "int4-group32", "self_attn.k_proj": "int2-channel",
                   "self_attn.v_proj": "int3-tensor", "self_attn.o_proj": "int5-channel",
                   "mlp.gate_proj": "e4m3-channel", "mlp.up_proj": "fp4-block128",
                   "mlp.down_proj": "nf4-block64-dq256"}
        recipe = self.recipe_file(
            *({"pattern": layer + name, "format": f} for name, f in formats.items()),
            {"component": "language_model", "format": "int8-channel"},
            {"pattern": "*patch_embedding", "format": "int6-tensor"},
            {"component": "vision", "format": "bf16"})
        self.quantize("--format", "vq", recipe=recipe)
        out, source = ck.read_folder(self.dir / "out"), ck.read_folder(self.model)
        found = self.report("verify", self.model, self.dir / "out", "--min-sqnr", "3")
        stored = {t["name"]: t for t in found["tensors"]}
        for name, f in formats.items():
            self.assertEqual(stored[layer + name + ".weight"]["format"], f)
        config = json.loads((self.dir / "out" / "config.json").read_text())
        self.assertEqual(config["quantization_config"]["quant_method"], "vq")

        name = "language_model.model.layers.1.self_attn.q_proj.weight"
        dtype, (rows, columns), data = source[name]
        values = ck.values_of(dtype, data)
        codes = ck.values_of("I8", out[name + ".codes"][2])
        scales = ck.values_of("F32", out[name + ".scales"][2])
        for row in range(rows):
            at = slice(row * columns, (row + 1) * columns)
            absmax = max(map(abs, values[at]))
            self.assertAlmostEqual(scales[row] * 127, absmax, places=6)
            for code, value in zip(codes[at], values[at]):
                self.assertLessEqual(abs(code - value / scales[row]), 0.5 + 1e-4)

        self.report("dequantize", self.dir / "out", self.dir / "back")
        back = ck.read_folder(self.dir / "back")
        self.assertEqual({n: t[1] for n, t in back.items()}, {n: t[1] for n, t in source.items()})
        self.assertEqual(back[name][0], "F16")
        for i, value in enumerate(ck.values_of("F16", back[name][2])):
            expected = codes[i] * scales[i // columns]
            self.assertLessEqual(abs(value - expected), abs(expected) * 2 ** -10 + 2 ** -25)
        self.assertNotIn("quantization_config",
                         json.loads((self.dir / "back" / "config.json").read_text()))

    def test_a_plain_vision_transformer(self):
        weights = [0.01 * ((7 * i) % 23 - 11) for i in range(64 * 64)]
        folder = self.small({
            "vit.encoder.layer.0.attention.attention.query.weight":
                ("F32", [64, 64], ck.floats(weights)),
            "classifier.weight": ("F32", [10, 64], ck.floats(weights[:640]))},
            {"model_type": "vit"})
        found = self.quantize("--format", "vq", source=folder, recipe="vit-selective")
        self.assertEqual([c["component"] for c in found["components"]], ["vision"])
        self.assertEqual({f["format"]: f["tensors"] for f in found["components"][0]["formats"]},
                         {"int8-channel": 1, "f32": 1})

    def test_a_tied_head_is_reported(self):
        half = ck.halves([0.5, -0.25] * 2048)
        folder = self.small({
            "language_model.model.embed_tokens.weight": ("F16", [64, 64], half),
            "language_model.model.layers.0.mlp.up_proj.weight": ("F16", [64, 64], half),
            "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": ("F16", [64, 64], half),
        }, {"model_type": "paligemma"})
        found = self.quantize(source=folder)
        head = [c for c in found["components"] if c["component"] == "head"]
        self.assertEqual(head[0]["note"], "tied to the embedding")


class Refusals(Case):
    """A sentence each, and nothing half-written."""

    def refused_quantize(self, expected, source=None, recipe="vlm-asymmetric", to=None, **more):
        to = to or self.dir / "out"
        said = self.refused("quantize", source or self.model, to, "--recipe", recipe, **more)
        self.assertIn(expected, said)
        self.assertFalse(Path(to).exists())
        return said

    def nothing_left(self):
        self.assertEqual(list(self.dir.glob("out*")), [])

    def test_recipes(self):
        self.refused_quantize("there is no recipe 'nonsense'", recipe="nonsense")
        for text, expected in [
                ("{", "not valid JSON"),
                ('{"name": "x", "rules": []}', "'rules' must be a list"),
                ('{"name": "x", "rules": [{"component": "language_model", "format": "nf5"}]}',
                 "the format 'nf5' is unknown"),
                ('{"name": "x", "rules": [{"pattern": "visual", "format": "nf4-block64"}]}',
                 "hits no tensor")]:
            path = self.dir / "recipe.json"
            path.write_text(text)
            self.refused_quantize(expected, recipe=path)
        path.write_text('{"name": "x", "rules": '
                        '[{"component": "language_model", "format": "int4-group32"}]}')
        self.refused_quantize("no format of bitsandbytes", recipe=path)
        self.nothing_left()

    def test_sources(self):
        self.refused_quantize("no such file", source=self.dir / "nothing")
        for name, content, expected in [("empty", b"", "fewer than the 8"),
                                        ("text", b"no checkpoint at all", "the header")]:
            path = self.dir / (name + ".safetensors")
            path.write_bytes(content)
            self.refused_quantize(expected, source=path)
        (self.dir / "folder").mkdir()
        self.refused_quantize("holds neither", source=self.dir / "folder")
        shutil.copytree(self.model, self.dir / "lacking")
        next((self.dir / "lacking").glob("model-00002*")).unlink()
        self.refused_quantize("model-00002-of-", source=self.dir / "lacking")
        self.nothing_left()

    def test_unknown_architectures(self):
        half = ck.halves([0.5] * 4096)
        folder = self.small({"block.0.fc.weight": ("F16", [64, 64], half)}, {"model_type": "new"})
        self.refused_quantize("the model has vision", source=folder)
        self.nothing_left()

    def test_values_that_are_not_finite(self):
        for bits in (0x7e00, 0xfc00):
            folder = self.llava_with(lambda data: data[:100] + struct.pack("<H", bits) + data[102:])
            said = self.refused_quantize("value 50 of 16384 is NaN or infinite", source=folder)
            self.assertIn(LLM, said)
            shutil.rmtree(folder)
            shutil.rmtree(self.dir / "out.partial", ignore_errors=True)

    def test_a_destination_that_exists(self):
        (self.dir / "out").mkdir()
        said = self.refused("quantize", self.model, self.dir / "out", "--recipe", "vlm-asymmetric")
        self.assertIn("exists already", said)
        self.assertEqual(list((self.dir / "out").iterdir()), [])
        said = self.refused("quantize", self.model, self.dir / "a" / "b", "-r", "vlm-asymmetric")
        self.assertIn("there is no such folder", said)

    def test_a_destination_that_cannot_be_written(self):
        self.refused_quantize("cannot be created", to=Path("/proc/vq-test-tool"))
        if os.geteuid() != 0:
            self.dir.chmod(0o500)
            self.refused_quantize("cannot be created")
            self.dir.chmod(0o700)

    def test_a_full_disk(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        said = self.refused("quantize", self.model, self.dir / "out", "-r", "vlm-asymmetric",
                            preexec_fn=limit)
        self.assertRegex(said, "File too large|not written")
        self.assertFalse((self.dir / "out").exists())
        self.assertEqual([p.name for p in self.dir.glob("out.partial/*")], [])
        self.assertTrue(self.quantize()["complete"])

    def test_a_checkpoint_that_is_quantized_already(self):
        self.quantize()
        self.refused_quantize("quantized already", source=self.dir / "out", to=self.dir / "twice")

    def test_usage(self):
        for arguments in ([], ["nonsense"], ["quantize"], ["quantize", "a", "b"],
                          ["quantize", "a", "b", "-r", "c", "--jobs", "0"],
                          ["verify", "a"], ["inspect", "a", "--nonsense"]):
            self.vq(*arguments, code=2)
        self.assertIn("--part", self.refused("quantize", self.model, self.dir / "out", "-r",
                                             "vlm-asymmetric", "--part", "3/2"))

    def test_help(self):
        for command in ("inspect", "quantize", "dequantize", "verify"):
            self.assertIn("Examples:", self.vq(command, "--help").stdout)
        self.assertIn("Exit codes", self.vq("--help").stdout)
        self.assertRegex(self.vq("--version").stdout, r"^vq \d+\.\d+\.\d+")


class Verify(Case):
    def test_agreement(self):
        self.quantize()
        found = self.report("verify", self.model, self.dir / "out", "--min-sqnr", "15")
        self.assertEqual(found["faults"], [])
        one = [t for t in found["tensors"] if t["name"] == LLM][0]
        source, out = ck.read_folder(self.model)[LLM], ck.read_folder(self.dir / "out")
        x = ck.values_of(source[0], source[2])
        codes = [c for byte in out[LLM][2] for c in (byte >> 4, byte & 15)]
        scales = self.scales(out)
        y = [ck.NF4[c] * scales[i // 64] for i, c in enumerate(codes)]
        noise, signal = sum((b - a) ** 2 for a, b in zip(x, y)), sum(a * a for a in x)
        self.assertAlmostEqual(one["sqnr_db"], 10 * math.log10(signal / noise), places=4)
        self.assertAlmostEqual(one["max_abs_error"], max(abs(a - b) for a, b in zip(x, y)), places=6)
        cosine = sum(a * b for a, b in zip(x, y)) / math.sqrt(signal * sum(b * b for b in y))
        self.assertAlmostEqual(one["cosine"], cosine, places=7)
        by_block = []
        for at in range(0, len(x), 64):
            e = sum((b - a) ** 2 for a, b in zip(x[at:at + 64], y[at:at + 64]))
            by_block.append((e / sum(a * a for a in x[at:at + 64]), at))
        self.assertEqual(one["worst_block"]["first"], max(by_block)[1])

    def scales(self, out):
        part = {k: ck.values_of(*out[f"{LLM}.{k}"][::2])
                for k in ("absmax", "nested_absmax", "nested_quant_map")}
        offset = json.loads(out[LLM + ".quant_state.bitsandbytes__nf4"][2])["nested_offset"]
        return [part["nested_quant_map"][c] * part["nested_absmax"][i // 256] + offset
                for i, c in enumerate(part["absmax"])]

    def test_differences(self):
        out = self.dir / "out"
        self.quantize(to=out)
        self.assertIn("signal-to-noise", self.vq("verify", self.model, out, "--min-sqnr", "60",
                                                 code=3).stderr)
        tensors, metadata = ck.read_safetensors(out / "model.safetensors")
        name = "multi_modal_projector.linear_1.bias"
        dtype, shape, data = tensors[name]
        tensors[name] = (dtype, shape, bytes([data[0] ^ 1]) + data[1:])
        ck.write_safetensors(out / "model.safetensors", tensors, metadata)
        said = self.vq("verify", self.model, out, code=3).stderr
        self.assertIn(f"'{name}': differs", said)
        del tensors[name]
        ck.write_safetensors(out / "model.safetensors", tensors, metadata)
        said = self.vq("verify", self.model, out, code=3).stderr
        self.assertIn(f"'{name}': is missing", said)

    def test_a_damaged_weight_is_refused(self):
        out = self.dir / "out"
        self.quantize(to=out)
        tensors, metadata = ck.read_safetensors(out / "model.safetensors")
        del tensors[LLM + ".nested_absmax"]
        ck.write_safetensors(out / "model.safetensors", tensors, metadata)
        self.assertIn("nested_absmax", self.refused("verify", self.model, out))


class Dequantize(Case):
    def test_there_and_back(self):
        self.quantize()
        self.report("dequantize", self.dir / "out", self.dir / "back")
        back, source = ck.read_folder(self.dir / "back"), ck.read_folder(self.model)
        self.assertEqual({n: t[:2] for n, t in back.items()}, {n: t[:2] for n, t in source.items()})
        self.assertEqual(json.loads((self.dir / "back" / "config.json").read_text()),
                         json.loads((self.model / "config.json").read_text()))
        out = ck.read_folder(self.dir / "out")
        codes = [c for byte in out[LLM][2] for c in (byte >> 4, byte & 15)]
        scales = Verify.scales(self, out)
        for i, (code, value) in enumerate(zip(codes, ck.values_of("F16", back[LLM][2]))):
            expected = ck.NF4[code] * scales[i // 64]
            self.assertLessEqual(abs(value - expected), abs(expected) * 2 ** -10 + 2 ** -25)

    def test_another_type(self):
        self.quantize()
        self.report("dequantize", self.dir / "out", self.dir / "back", "--dtype", "f32",
                    "--shard-size", "500KB")
        back = ck.read_folder(self.dir / "back")
        self.assertEqual({dtype for dtype, _, _ in back.values()}, {"F32"})
        config = json.loads((self.dir / "back" / "config.json").read_text())
        self.assertEqual(config["torch_dtype"], "float32")
        self.assertNotIn("quantization_config", config)

    def test_nothing_to_do(self):
        self.assertIn("no weight in it is quantized",
                      self.refused("dequantize", self.model, self.dir / "back"))


class Inspect(Case):
    def test_components(self):
        found = self.report("inspect", self.model)
        tensors = ck.read_folder(self.model)
        self.assertEqual(found["total"]["tensors"], len(tensors))
        self.assertEqual(found["total"]["bytes"], sum(len(t[2]) for t in tensors.values()))
        vision = [c for c in found["components"] if c["component"] == "vision"][0]
        self.assertEqual(vision["tensors"], sum(n.startswith("vision_tower") for n in tensors))

    def test_statistics(self):
        rows = [[0.5, -0.25] * 8, [1.0, 0.0] * 8, [-8.0] + [0.125] * 15, [0.0] * 16]
        values = [v for row in rows for v in row]
        outlier = [0.01 * (-1) ** i for i in range(4095)] + [1.0]
        folder = self.small({
            "vit.a.weight": ("F32", [4, 16], ck.floats(values)),
            "vit.b.weight": ("F16", [4], ck.halves([1.0, float("nan"), float("inf"), -2.0])),
            "vit.c.weight": ("F32", [4096], ck.floats(outlier))})
        done = self.vq("inspect", folder, "--tensors", "--json", "-")
        found = {t["name"]: t["statistics"] for t in json.loads(done.stdout)["tensors"]}
        a = found["vit.a.weight"]
        self.assertEqual((a["absmax"], a["rows"], a["zero_rows"]), (8.0, 4, 1))
        self.assertEqual((a["row_max_to_median"], a["row_max_to_min"]), (8.0, 16.0))
        mean = sum(values) / 64
        m2 = sum((v - mean) ** 2 for v in values) / 64
        m4 = sum((v - mean) ** 4 for v in values) / 64
        self.assertAlmostEqual(a["excess_kurtosis"], m4 / m2 ** 2 - 3, places=6)
        self.assertAlmostEqual(a["deviation"], math.sqrt(m2), places=9)
        b = found["vit.b.weight"]
        self.assertEqual((b["not_finite"], b["absmax"], b["mean"]), (2, 2.0, -0.5))
        self.assertIn("2 values are not finite", done.stderr)
        self.assertEqual(found["vit.c.weight"]["beyond_6_sigma"], 1 / 4096)

    def test_a_quantized_checkpoint_shows_its_weights(self):
        self.quantize()
        found = self.report("inspect", self.dir / "out")
        llm = [c for c in found["components"] if c["component"] == "language_model"][0]
        self.assertEqual(llm["formats"][0]["format"], "nf4-block64-dq256")
        self.assertEqual(llm["formats"][0]["tensors"], 21)
        self.assertEqual(len(found["tensors"]), len(ck.read_folder(self.model)))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
