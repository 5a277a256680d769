"""Makes one shard of 12-megapixel JPEGs from smaller photographs, enlarged to 4000 x 3000 with simulated grain.

usage: python3 large_photographs.py OUT.tar SHARD.tar [--count 40]
Needs: numpy, pillow.
"""
import argparse
import io
import tarfile

import numpy as np
from PIL import Image

ap = argparse.ArgumentParser()
ap.add_argument("out")
ap.add_argument("shard")
ap.add_argument("--count", type=int, default=40)
args = ap.parse_args()
grain = np.random.default_rng(0)
with tarfile.open(args.shard) as source, tarfile.open(args.out, "w") as out:
    photographs = (member for member in source if member.name.endswith(".jpg"))
    for number, member in zip(range(args.count), photographs):
        photograph = Image.open(io.BytesIO(source.extractfile(member).read())).convert("RGB")
        pixels = np.asarray(photograph.resize((4000, 3000), Image.BICUBIC), dtype=np.float32)
        pixels += grain.normal(0.0, 3.0, pixels.shape).astype(np.float32)
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        info = tarfile.TarInfo(f"{number:03}.jpg")
        info.size = file.tell()
        file.seek(0)
        out.addfile(info, file)
