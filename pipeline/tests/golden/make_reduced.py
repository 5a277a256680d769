"""Writes reduced.txt: checksums of JPEGs decoded at 1, 1/2, 1/4 and 1/8 by Pillow (`Image.draft`), for tests/golden.rs.

A line is: file, denominator of the scale, width, height, CRC-32 of the RGB bytes. Made with Pillow 13.0.0.
`sampling-440.jpg` is made here: the data of the 4:2:2 file, read as 4:4:0, which is a picture of its own.
"""

import io
import zlib
from pathlib import Path

from PIL import Image

folder = Path(__file__).parent
files = folder / "files"

data = bytearray((files / "baseline-422.jpg").read_bytes())
data[data.index(b"\xff\xc0") + 11] = 0x12
(files / "sampling-440.jpg").write_bytes(data)

lines = []
for path in sorted(files.glob("*.jpg")):
    for scale in (1, 2, 4, 8):
        image = Image.open(io.BytesIO(path.read_bytes()))
        full_scale_only = image.info.get("progressive") or image.mode == "CMYK"
        if scale > 1:
            if full_scale_only or min(image.size) < scale:
                continue
            image.draft(None, (image.width // scale, image.height // scale))
            assert image.decoderconfig[0] == scale
        elif full_scale_only:
            continue
        rgb = image.convert("RGB")
        lines.append(f"{path.name} {scale} {rgb.width} {rgb.height} {zlib.crc32(rgb.tobytes())}\n")
(folder / "reduced.txt").write_text("".join(lines))
