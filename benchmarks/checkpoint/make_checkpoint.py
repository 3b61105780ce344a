#!/usr/bin/env python3
"""Writes a checkpoint with the names and shapes of LLaVA-1.5-7B and weights of no meaning.

    python3 benchmarks/checkpoint/make_checkpoint.py DIR                 14.1 GB in 3 shards
    python3 benchmarks/checkpoint/make_checkpoint.py DIR --layers 8 --shard-gb 1

For measuring how fast and in how much memory a tool works. The values are finite halves between
2^-11 and 2^-4 in magnitude, the same for the same --seed; the disk is the limit, not Python.
Standard library only.
"""
import argparse
import json
import random
import struct
from pathlib import Path

VISION = dict(hidden=1024, layers=24, ffn=4096, heads=16, patch=14, image=336)
TEXT = dict(hidden=4096, layers=32, ffn=11008, heads=32, vocab=32064)


def tensors(vision, text):
    """Names and shapes, in the order of the files."""
    h, f = vision["hidden"], vision["ffn"]
    tower = "vision_tower.vision_model."
    positions = (vision["image"] // vision["patch"]) ** 2 + 1
    yield tower + "embeddings.class_embedding", [h]
    yield tower + "embeddings.patch_embedding.weight", [h, 3, vision["patch"], vision["patch"]]
    yield tower + "embeddings.position_embedding.weight", [positions, h]
    for norm in ("pre_layrnorm", "post_layernorm"):
        yield f"{tower}{norm}.weight", [h]
        yield f"{tower}{norm}.bias", [h]
    for i in range(vision["layers"]):
        layer = f"{tower}encoder.layers.{i}."
        for name, out, inputs in [("self_attn.k_proj", h, h), ("self_attn.v_proj", h, h),
                                  ("self_attn.q_proj", h, h), ("self_attn.out_proj", h, h),
                                  ("mlp.fc1", f, h), ("mlp.fc2", h, f)]:
            yield f"{layer}{name}.weight", [out, inputs]
            yield f"{layer}{name}.bias", [out]
        for norm in ("layer_norm1", "layer_norm2"):
            yield f"{layer}{norm}.weight", [h]
            yield f"{layer}{norm}.bias", [h]

    H, F, V = text["hidden"], text["ffn"], text["vocab"]
    for name, out, inputs in [("linear_1", H, h), ("linear_2", H, H)]:
        yield f"multi_modal_projector.{name}.weight", [out, inputs]
        yield f"multi_modal_projector.{name}.bias", [out]

    model = "language_model.model."
    yield model + "embed_tokens.weight", [V, H]
    for i in range(text["layers"]):
        layer = f"{model}layers.{i}."
        for name, out, inputs in [("self_attn.q_proj", H, H), ("self_attn.k_proj", H, H),
                                  ("self_attn.v_proj", H, H), ("self_attn.o_proj", H, H),
                                  ("mlp.gate_proj", F, H), ("mlp.up_proj", F, H),
                                  ("mlp.down_proj", H, F)]:
            yield f"{layer}{name}.weight", [out, inputs]
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{norm}.weight", [H]
    yield model + "norm.weight", [H]
    yield "language_model.lm_head.weight", [V, H]


def config(vision, text):
    return {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": 32000,
        "model_type": "llava",
        "projector_hidden_act": "gelu",
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "text_config": {
            "model_type": "llama", "hidden_size": text["hidden"],
            "num_hidden_layers": text["layers"], "num_attention_heads": text["heads"],
            "num_key_value_heads": text["heads"], "intermediate_size": text["ffn"],
            "vocab_size": text["vocab"], "max_position_embeddings": 4096, "rms_norm_eps": 1e-05,
            "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False},
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": vision["hidden"],
            "num_hidden_layers": vision["layers"], "num_attention_heads": vision["heads"],
            "intermediate_size": vision["ffn"], "image_size": vision["image"],
            "patch_size": vision["patch"], "projection_dim": 768, "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-05},
    }


def halves(size, seed):
    """`size` bytes of finite halves, evenly spread over seven exponents and both signs."""
    values = bytearray(random.Random(seed).randbytes(size))
    # The upper byte is sign, five bits of exponent and two of mantissa.
    upper = bytes(b & 0x83 | (4 + (b >> 2 & 31) % 7) << 2 for b in range(256))
    values[1::2] = values[1::2].translate(upper)
    return bytes(values)


def write_shard(path, entries, pool, draw):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, size in entries:
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        view = memoryview(pool)
        for _, _, size in entries:
            at = draw.randrange(len(pool) // 2) * 2  # of its own for every tensor
            while size:
                piece = view[at:at + size]
                file.write(piece)
                size -= len(piece)
                at = 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--layers", type=int, default=TEXT["layers"], help="of the decoder")
    arguments.add_argument("--vision-layers", type=int, default=VISION["layers"])
    arguments.add_argument("--tiny", action="store_true",
                           help="widths divided by 32, for tests: names and structure stay")
    arguments.add_argument("--shard-gb", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()

    vision, text = dict(VISION, layers=given.vision_layers), dict(TEXT, layers=given.layers)
    if given.tiny:
        for part in (vision, text):
            part.update({k: part[k] // 32 for k in ("hidden", "ffn")}, heads=part["heads"] // 16)
        text["vocab"], vision["image"] = 1002, 56
    shards, room = [], 0
    for name, shape in tensors(vision, text):
        size = 2
        for extent in shape:
            size *= extent
        if not shards or size > room:
            shards.append([])
            room = int(given.shard_gb * 1e9)
        shards[-1].append((name, shape, size))
        room -= size

    given.folder.mkdir(parents=True)
    pool, draw = halves(1 << (20 if given.tiny else 26), given.seed), random.Random(given.seed + 1)
    where = {}
    for i, entries in enumerate(shards, 1):
        name = ("model.safetensors" if len(shards) == 1
                else f"model-{i:05d}-of-{len(shards):05d}.safetensors")
        write_shard(given.folder / name, entries, pool, draw)
        where.update((tensor, name) for tensor, _, _ in entries)
    total = sum(size for entries in shards for _, _, size in entries)
    if len(shards) > 1:
        (given.folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {"total_size": total}, "weight_map": where}, indent=2) + "\n")
    (given.folder / "config.json").write_text(json.dumps(config(vision, text), indent=2) + "\n")
    (given.folder / "tokenizer.json").write_text('{"version": "1.0"}\n')
    print(f"{given.folder}: {len(where)} tensors, {total // 2:,} parameters, {total / 1e9:.3f} GB, "
          f"{len(shards)} shards")


if __name__ == "__main__":
    main()
