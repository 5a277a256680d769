#!/usr/bin/env python3
"""Compares `simsiam unpack --format png` with Pillow on every layout of image files that `images.py` makes and Pillow writes.

    cargo build && python3 tools/formats/compare.py [WORD]     # needs numpy and Pillow 13; WORD lists the files whose line has it

A file is `same`, `differs`, `refused` (by the program alone), `refused by both` or `read` (by the program alone).
"""

import collections
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import warnings
from pathlib import Path

import numpy as np
from images import RNG, all_files
from PIL import Image

PROGRAM = Path(__file__).resolve().parents[2] / "target/debug/simsiam"


def written_by_pillow():
    """Every mode in every format and compression that takes it."""
    tiffs = [None, "packbits", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "group3", "group4", "lzma", "zstd"]
    ways = [("TIFF", {"compression": name, "big_tiff": big}) for name in tiffs for big in (False, True)]
    ways += [("TIFF", {"compression": name, "tiffinfo": {317: 2}}) for name in ("tiff_lzw", "tiff_adobe_deflate")]
    ways += [(name, {}) for name in ("PNG", "BMP", "GIF", "PPM")]
    ways += [("WEBP", more) for more in ({"lossless": True}, {"lossless": True, "exact": True}, {"quality": 30}, {"quality": 80, "alpha_quality": 10})]
    for (width, height), (kind, more) in ((size, way) for size in ((1, 1), (21, 18), (70, 33)) for way in ways):
        for mode in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "I;16", "I", "F"):
            out = io.BytesIO()
            try:
                picture(mode, width, height).save(out, kind, **more)
            except Exception:  # Pillow has no common kind
                continue
            way = "_".join(f"{name}-{value}" for name, value in more.items())
            yield f"pillow_{kind}_{mode}_{way}_{width}x{height}", out.getvalue()


def picture(mode, width, height):
    noise = lambda *shape: RNG.integers(0, 256, (height, width, *shape), dtype=np.uint8)
    match mode:
        case "L":
            return Image.fromarray(noise())
        case "RGB":
            return Image.fromarray(noise(3))
        case "1" | "P" | "PA":
            return picture("RGB", width, height).quantize(37).convert(mode)
        case "I;16":
            return Image.fromarray(RNG.integers(0, 400, (height, width), dtype=np.uint16))
        case "I":
            return Image.fromarray(RNG.integers(-300, 600, (height, width), dtype=np.int32))
        case "F":
            return Image.fromarray((RNG.random((height, width)) * 400 - 50).astype(np.float32))
        case _:
            channels = len(Image.new(mode, (1, 1)).getbands())
            return Image.frombytes(mode, (width, height), noise(channels).tobytes())


def main():
    warnings.simplefilter("ignore")
    files = dict(all_files()) | dict(written_by_pillow())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with tarfile.open(folder / "files.tar", "w") as shard:
            for number, data in enumerate(files.values()):
                member = tarfile.TarInfo(f"{number:05}.png")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
        command = [PROGRAM, "unpack", folder / "files.tar", folder / "out", "--format", "png"]
        said = subprocess.run(command, capture_output=True, text=True).stdout
        causes = dict(re.findall(r'sample \d+ "(\d+)": (.*)', said))
        rows = [judge(name, data, folder / f"out/{number:05}.png", causes.get(f"{number:05}")) for number, (name, data) in enumerate(files.items())]
    if len(sys.argv) > 1:
        print(*(" | ".join(row) for row in rows if any(sys.argv[1] in cell for cell in row)), sep="\n")
    kinds = collections.Counter((name.split("_")[0] if "pillow" not in name else name.rsplit("_")[1], verdict) for name, verdict, _ in rows)
    for (kind, verdict), count in sorted(kinds.items()):
        print(f"{kind:10} {verdict:16} {count}")
    print(f"{len(rows)} files: {dict(collections.Counter(verdict for _, verdict, _ in rows))}")


def judge(name, data, png, cause):
    try:
        image = Image.open(io.BytesIO(data))
        pillow = np.asarray(image.convert("RGB")).astype(int)
    except Exception as error:
        return name, "refused by both" if cause else "read", cause or f"{type(error).__name__}: {error}"[:80]
    if cause:
        return name, "refused", cause
    found = np.asarray(Image.open(png)).astype(int)
    if found.shape != pillow.shape:
        return name, "differs", f"{found.shape} instead of {pillow.shape}"
    difference = abs(found - pillow)
    return name, "differs" if difference.any() else "same", f"max {difference.max()} mean {difference.mean():.2f}, mode {image.mode}"


if __name__ == "__main__":
    main()
