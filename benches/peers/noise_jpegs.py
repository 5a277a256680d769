"""Makes a shard of small JPEGs of noise for pillow_check.py: 1 x 1 to 100 x 64 pixels, gray and in every sampling that
Pillow writes, some with restart markers, some with Huffman tables of their own.

usage: python3 noise_jpegs.py OUT.tar [--count 3000]
Needs: numpy, pillow.
"""
import argparse
import io
import tarfile

import numpy as np
from PIL import Image

ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("--count", type=int, default=3000)
args = ap.parse_args()
rng = np.random.default_rng(0)
with tarfile.open(args.out, "w") as out:
    for number in range(args.count):
        width, height = (1, 1) if number == 0 else (int(rng.integers(1, 101)), int(rng.integers(1, 65)))
        noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        options = {"quality": int(rng.integers(5, 101)), "optimize": number % 5 == 0}
        if number % 4 == 3:
            noise = noise.convert("L")
        else:
            options["subsampling"] = number % 4
        if number % 3 == 0:
            options["restart_marker_blocks"] = int(rng.integers(1, 20))
        file = io.BytesIO()
        noise.save(file, "JPEG", **options)
        info = tarfile.TarInfo(f"{number:05}.jpg")
        info.size = file.tell()
        file.seek(0)
        out.addfile(info, file)
