"""Small checkpoints made by hand, and their bytes read back. Standard library only."""
import json
import struct
from pathlib import Path

WIDTH = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1, "I8": 1, "F8_E4M3": 1}


def f32(x):
    """The nearest float of 32 bits."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def halves(values):
    return struct.pack(f"<{len(values)}e", *values)


def floats(values):
    return struct.pack(f"<{len(values)}f", *values)


def values_of(dtype, data):
    code = {"F32": "f", "F16": "e", "U8": "B", "I8": "b"}[dtype]
    return list(struct.unpack(f"<{len(data) // WIDTH[dtype]}{code}", data))


def write_safetensors(path, tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes)."""
    header, offset = ({"__metadata__": metadata} if metadata else {}), 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text +
                           b"".join(data for _, _, data in tensors.values()))


def read_safetensors(path):
    """name -> (dtype, shape, bytes), and the metadata."""
    content = Path(path).read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    header = json.loads(content[8:8 + length])
    data = content[8 + length:]
    metadata = header.pop("__metadata__", {})
    return {name: (t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]])
            for name, t in header.items()}, metadata


def read_folder(folder):
    """All tensors of a checkpoint, through its index where it has one."""
    folder = Path(folder)
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return read_safetensors(folder / "model.safetensors")[0]
    where = json.loads(index.read_text())["weight_map"]
    shards = {name: read_safetensors(folder / name)[0] for name in set(where.values())}
    return {name: shards[shard][name] for name, shard in where.items()}


def contents(folder):
    """name -> bytes of every file."""
    return {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir())}


NF4 = [f32(x) for x in (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0)]
BOUNDARIES = [f32(f32(a + b) / 2) for a, b in zip(NF4, NF4[1:])]


def nf4_codes(values, block=64):
    """Codes and scales of full blocks, computed from the definition."""
    codes, scales = [], []
    for at in range(0, len(values), block):
        part = values[at:at + block]
        absmax = max(abs(v) for v in part)
        scales.append(absmax)
        reciprocal = f32(1 / absmax)
        for v in part:
            t = f32(v * reciprocal)
            codes.append(sum(b < t for b in BOUNDARIES))
    return codes, scales
