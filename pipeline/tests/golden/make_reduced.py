"""Writes reduced.txt: checksums of JPEGs decoded at 1, 1/2, 1/4 and 1/8 by Pillow, for tests/golden.rs.

A line is: file, denominator of the scale, width, height, CRC-32 of the RGB bytes. Made with Pillow 13.0.0.
`sampling-440.jpg` is made here: the data of the 4:2:2 file, read as 4:4:0, which is a picture of its own. The files of
`odd-jpegs.tar` are the first 72 of `benches/peers/odd_jpegs.c` with a largest side of 64.
"""

import io
import tarfile
import zlib
from pathlib import Path

from PIL import Image

folder = Path(__file__).parent
files = folder / "files"

data = bytearray((files / "baseline-422.jpg").read_bytes())
data[data.index(b"\xff\xc0") + 11] = 0x12
(files / "sampling-440.jpg").write_bytes(data)


def jpegs():
    for path in sorted(files.glob("*.jpg")):
        yield path.name, path.read_bytes()
    with tarfile.open(folder / "odd-jpegs.tar") as archive:
        for member in archive:
            yield member.name, archive.extractfile(member).read()


lines = []
for name, data in jpegs():
    for scale in (1, 2, 4, 8):
        image = Image.open(io.BytesIO(data))
        # What `draft` does, which refuses scales at which a side vanishes.
        width, height = (-(-side // scale) for side in image.size)
        image.tile = [image.tile[0]._replace(extents=(0, 0, width, height))]
        image._size = (width, height)
        image.decoderconfig = (scale, 0)
        rgb = image.convert("RGB")
        lines.append(f"{name} {scale} {rgb.width} {rgb.height} {zlib.crc32(rgb.tobytes())}\n")
(folder / "reduced.txt").write_text("".join(lines))
