#!/usr/bin/env python3
"""An 8-bit RGB picture of Chromium as one with a palette, a quarter of the bytes.

    python3 examples/images/compress.py FROM.png TO.png

Of more than 256 colours the most frequent stay, and those that are far from all others; rows are
stored without a filter, which suits drawings.
"""
import struct
import sys
import zlib


def chunks(data):
    at = 8
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind, data[at + 8:at + 8 + length]
        at += length + 12


def pixels(data):
    """Width and rows of (r, g, b)."""
    parts = list(chunks(data))
    width, height, depth, colour = struct.unpack(">IIBB", parts[0][1][:10])
    assert depth == 8 and colour in (2, 6)
    size = 3 if colour == 2 else 4
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    stride, before = width * size, bytearray(width * size)
    for y in range(height):
        kind = raw[y * (stride + 1)]
        line = bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride if kind else 0):
            left, above = line[i - size] if i >= size else 0, before[i]
            corner = before[i - size] if i >= size else 0
            p = left + above - corner
            d = (abs(p - left), abs(p - above), abs(p - corner))
            nearest = left if d[0] <= d[1] and d[0] <= d[2] else above if d[1] <= d[2] else corner
            line[i] = line[i] + (left, above, (left + above) // 2, nearest)[kind - 1] & 255
        before = line
        yield [tuple(line[i:i + 3]) for i in range(0, stride, size)]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def distance(p, q):
    return sum((a - b) ** 2 for a, b in zip(p, q))


def main(source, target):
    with open(source, "rb") as file:
        rows = list(pixels(file.read()))
    exact = {p for row in rows for p in row}
    if len(exact) > 256:
        counts = {}
        for row in rows:
            for p in row:
                counts[p] = counts.get(p, 0) + 1
        order = sorted(counts, key=lambda p: (-counts[p], p))
        kept, rest = order[:64], order[64:]
        far = {p: min(distance(p, k) for k in kept) for p in rest}
        while len(kept) < 256:
            worst = max(rest, key=lambda p: (counts[p] * far[p], p))
            kept.append(worst)
            far = {p: min(far[p], distance(p, worst)) for p in rest}
        nearest = {p: min(kept, key=lambda k: distance(k, p)) for p in exact}
    else:
        kept, nearest = sorted(exact), {p: p for p in exact}
    number = {p: kept.index(nearest[p]) for p in exact}
    raw = b"".join(b"\0" + bytes(number[p] for p in row) for row in rows)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 3, 0, 0, 0)
    with open(target, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) +
                   chunk(b"PLTE", b"".join(bytes(p) for p in kept)) +
                   chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


main(*sys.argv[1:])
