"""Shards of drawn images, for examples that are given none."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image


def shards(folder: Path, count: int = 256, size: int = 48) -> Path:
    """Writes `count` JPEGs of ten kinds of waves into one shard of `folder`, with labels."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    with tarfile.open(folder / "drawn-000.tar", "w") as tar:
        for index in range(count):
            label = index % 10
            angle, phase = np.pi * label / 10, rng.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * (2 + label % 5) * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            colour = rng.uniform(40, 127, 3)
            pixels = (127 + wave[..., None] * colour + rng.normal(0, 6, (size, size, 3))).clip(0, 255)
            out = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(out, "JPEG", quality=90)
            for extension, contents in [("jpg", out.getvalue()), ("cls", str(label).encode())]:
                member = tarfile.TarInfo(f"{index:06}.{extension}")
                member.size = len(contents)
                tar.addfile(member, io.BytesIO(contents))
    return folder
