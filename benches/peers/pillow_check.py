"""Counts the images of a data set whose pixels are not Pillow's, at 1, 1/2, 1/4 and 1/8 of their size.

usage: cargo run -p simsiam-pipeline --example pixel_checksums -- SHARD.tar... | python3 pillow_check.py SHARD.tar...
Needs: pillow.
"""
import io
import sys
import tarfile
import zlib

import PIL
from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


def samples(paths):
    for path in paths:
        with tarfile.open(path) as shard:
            for member in shard:
                if member.name.lower().endswith(SUFFIXES):
                    folder, slash, name = member.name.rpartition("/")
                    yield folder + slash + name.split(".")[0], shard.extractfile(member).read()


def pillow(data, scale):
    """The checksum of what Pillow decodes at this scale; None where `draft` has no such size."""
    image = Image.open(io.BytesIO(data))
    if scale > 1:
        if min(image.size) < scale:
            return None
        image.draft(None, (image.width // scale, image.height // scale))
        if image.decoderconfig[0] != scale:
            return None
    return f"{zlib.crc32(image.convert('RGB').tobytes()):08x}"


images, compared, differ = 0, 0, 0
for (key, data), line in zip(samples(sys.argv[1:]), sys.stdin, strict=True):
    found_key, *found = line.rsplit(maxsplit=4)
    assert found_key == key, f"{found_key} where {key} was expected: other shards, or another order?"
    pairs = [(crc, pillow(data, scale)) for crc, scale in zip(found, (1, 2, 4, 8)) if crc != "-"]
    pairs = [(crc, expected) for crc, expected in pairs if expected is not None]
    images += 1
    compared += len(pairs)
    if any(crc != expected for crc, expected in pairs):
        differ += 1
        print(f"{key} differs: {pairs}")
print(f"Pillow {PIL.__version__}: {images} images, {compared} sizes of them compared, {differ} images differ")
