"""Makes the golden values that `tests/golden.rs` holds the pipeline against.

    pip install pillow numpy torch torchvision
    python pipeline/tests/golden/make_golden.py

Every picture is made here, from a seed. Pixels go into `pixels.bin` (raw RGB bytes, one after another), encoded files
into `files/`, and `manifest.json` says which bytes belong to which case. The versions used are in the manifest.
"""

import io
import json
import math
import struct
from pathlib import Path

import numpy as np
import PIL
import torchvision
from PIL import Image, ImageDraw, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F

HERE = Path(__file__).parent


class Golden:
    """Collects cases and the pixels they refer to."""

    def __init__(self):
        self.pixels = bytearray()
        self.known = {}
        self.cases = []

    def image(self, image):
        """Stores an RGB image once and returns its reference."""
        assert image.mode == "RGB", image.mode
        raw = image.tobytes()
        key = (image.size, raw)
        if key not in self.known:
            self.known[key] = {"width": image.width, "height": image.height, "offset": len(self.pixels)}
            self.pixels += raw
        return self.known[key]

    def case(self, op, source, expected, **parameters):
        self.cases.append(
            {"op": op, "source": self.image(source), "expected": self.image(expected), "parameters": parameters}
        )

    def file(self, name, data):
        (HERE / "files" / name).write_bytes(data)
        expected = Image.open(io.BytesIO(data)).convert("RGB")
        self.cases.append({"op": "decode", "file": name, "expected": self.image(expected)})


def picture(width, height, seed):
    """Gradients, shapes and noise: smooth parts, edges, texture and saturated colours."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / max(width - 1, 1), y / max(height - 1, 1)
    planes = [255 * u, 255 * v, 127 + 127 * np.sin(6 * u + 4 * v + seed)]
    image = Image.fromarray(np.stack(planes, -1).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, right = sorted(rng.integers(0, width + 1, 2).tolist())
        top, bottom = sorted(rng.integers(0, height + 1, 2).tolist())
        color = tuple(rng.integers(0, 256, 3).tolist())
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((left, top, right, bottom), fill=color)
    noise = rng.integers(-20, 21, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + noise, 0, 255).astype(np.uint8))


def every_color(side=24):
    """Random colours with many grays, primaries and ties between channels."""
    rng = np.random.default_rng(7)
    colors = rng.integers(0, 256, (side * side, 3))
    colors[: side * 4] = rng.choice([0, 1, 127, 128, 254, 255], (side * 4, 3))
    colors[side * 4 : side * 6] = colors[side * 4 : side * 6, :1]
    return Image.fromarray(colors.reshape(side, side, 3).astype(np.uint8))


def resize_cases(golden):
    boxes = {  # (width, height): [(top, left, height, width)]
        (32, 32): [(0, 0, 32, 32), (3, 5, 20, 20), (0, 1, 31, 17), (10, 12, 15, 14), (31, 31, 1, 1)],
        (137, 91): [(0, 0, 91, 137), (7, 13, 70, 64), (20, 100, 64, 37), (0, 0, 91, 2), (45, 60, 1, 70), (1, 1, 33, 35)],
        (1, 47): [(0, 0, 47, 1), (10, 0, 3, 1)],
        (60, 1): [(0, 0, 1, 60), (0, 7, 1, 1)],
        (1, 1): [(0, 0, 1, 1)],
        (200, 150): [(0, 0, 150, 200), (11, 17, 128, 128)],
    }
    for (width, height), cuts in boxes.items():
        source = picture(width, height, width * 1000 + height)
        for size in (32, 24):
            for top, left, h, w in cuts:
                expected = F.resized_crop(source, top, left, h, w, [size, size])
                golden.case("resize", source, expected, top=top, left=left, height=h, width=w, size=size)
    source = picture(137, 91, 137 * 1000 + 91)
    golden.case("resize", source, F.resized_crop(source, 5, 9, 80, 100, [64, 64]), top=5, left=9, height=80, width=100, size=64)


def reduced_box(denominator, left, top, width, height):
    """The whole pixels of a reduced image that a box touches, and the box within them."""
    right, bottom = (left + width) / denominator, (top + height) / denominator
    outer = (left // denominator, top // denominator, math.ceil(right), math.ceil(bottom))
    return outer, (left / denominator - outer[0], top / denominator - outer[1], right - outer[0], bottom - outer[1])


def reduced_cases(golden):
    """Boxes of an image that was decoded at a fraction of its size; the filter sees the pixels that the box touches."""
    for number, (denominator, left, top, width, height, size) in enumerate([
        (2, 0, 0, 137, 91, 32), (2, 13, 7, 101, 70, 24), (2, 1, 3, 136, 20, 32), (2, 40, 5, 17, 83, 16),
        (4, 5, 10, 300, 190, 32), (4, 0, 0, 403, 299, 32), (4, 102, 33, 97, 255, 24), (4, 3, 1, 9, 290, 16),
        (8, 3, 5, 780, 570, 32), (8, 77, 91, 300, 400, 24), (8, 1, 1, 6, 6, 16), (8, 100, 6, 640, 594, 33),
    ]):
        source = picture(101, 75, 900 + number)
        outer, box = reduced_box(denominator, left, top, width, height)
        expected = source.crop(outer).resize((size, size), Image.Resampling.BILINEAR, box=box)
        golden.case(
            "reduced", source, expected,
            top=top, left=left, height=height, width=width, size=size, denominator=denominator,
        )


def interpolation_cases(golden):
    """The other filters: boxes at odd places, edges of black and white (a cubic filter overshoots), reduced images, evaluation."""
    board = Image.fromarray((np.indices((60, 80)).sum(0) // 5 % 2 * 255).astype(np.uint8)).convert("RGB")
    sources = [  # (left, top, width, height)
        (picture(137, 91, 137 * 1000 + 91), [(0, 0, 137, 91), (13, 7, 64, 70), (60, 45, 70, 1), (1, 1, 9, 6)]),
        (picture(32, 32, 32 * 1000 + 32), [(0, 0, 32, 32), (5, 3, 20, 20), (12, 10, 14, 15), (31, 31, 1, 1)]),
        (board, [(0, 0, 80, 60), (3, 4, 31, 29), (7, 1, 8, 50)]),
    ]
    for name in ("bicubic", "box"):
        mode = InterpolationMode[name.upper()]
        for source, boxes in sources:
            for left, top, w, h in boxes:
                for size in (24, 33):
                    expected = F.resized_crop(source, top, left, h, w, [size, size], mode)
                    golden.case(name, source, expected, top=top, left=left, height=h, width=w, size=size, interpolation=name)
        for denominator, left, top, w, h, size in [(2, 13, 7, 101, 70, 24), (4, 3, 1, 9, 290, 16), (8, 77, 91, 300, 400, 24)]:
            source = picture(101, 75, 900)
            outer, box = reduced_box(denominator, left, top, w, h)
            expected = source.crop(outer).resize((size, size), Image.Resampling[name.upper()], box=box)
            golden.case(
                name, source, expected, top=top, left=left, height=h, width=w, size=size, denominator=denominator,
                interpolation=name,
            )
        for width, height, resize, size in [(137, 91, 37, 32), (33, 50, 32, 32)]:
            source = picture(width, height, width * 1000 + height)
            expected = F.center_crop(F.resize(source, resize, mode), [size, size])
            golden.case(name, source, expected, resize=resize, size=size, interpolation=name)


def evaluation_cases(golden):
    for width, height, resize, size in [
        (137, 91, 37, 32), (91, 137, 36, 32), (32, 32, 32, 32), (50, 33, 32, 32), (33, 50, 32, 32),
        (1, 3, 37, 32), (200, 150, 73, 64), (20, 25, 37, 32),
    ]:
        source = picture(width, height, width * 1000 + height)
        expected = F.center_crop(F.resize(source, resize), [size, size])
        golden.case("evaluation", source, expected, resize=resize, size=size)


def color_cases(golden):
    for source in (picture(32, 32, 1), every_color()):
        for factor in (0.0, 0.6, 0.73, 0.999, 1.0, 1.001, 1.2345, 1.4):
            golden.case("brightness", source, F.adjust_brightness(source, factor), factor=factor)
            golden.case("contrast", source, F.adjust_contrast(source, factor), factor=factor)
            golden.case("saturation", source, F.adjust_saturation(source, factor), factor=factor)
        for factor in (-0.5, -0.1, -0.05, -0.003, 0.001, 0.02, 0.0712, 0.1, 0.33, 0.5):
            golden.case("hue", source, F.adjust_hue(source, factor), factor=factor)
        golden.case("gray", source, F.rgb_to_grayscale(source, 3))
        golden.case("flip", source, F.hflip(source))
    dark = picture(24, 24, 2).point(lambda value: value // 9)
    golden.case("contrast", dark, F.adjust_contrast(dark, 1.4), factor=1.4)
    golden.case("flip", picture(33, 33, 3), F.hflip(picture(33, 33, 3)))


def blur_cases(golden):
    for side in (1, 2, 3, 5, 32, 45):
        source = picture(side, side, side)
        for sigma in (0.1, 0.25, 0.5, 0.8, 1.0, 1.41, 1.7, 1.99, 2.0) + ((3.0, 6.5) if side != 45 else ()):
            golden.case("blur", source, source.filter(ImageFilter.GaussianBlur(sigma)), sigma=sigma)


def level_cases(golden):
    dark = picture(24, 24, 2).point(lambda value: value // 9 + 20)
    plain = Image.new("RGB", (8, 8), (7, 200, 255))
    for source in (picture(24, 24, 1), every_color(), dark, plain):
        for threshold in (0.0, 76.5, 128.0, 255.0, 256.0):
            golden.case("solarize", source, F.solarize(source, threshold), threshold=threshold)
        for bits in (1, 3, 7, 8):
            golden.case("posterize", source, F.posterize(source, bits), bits=bits)
        golden.case("invert", source, F.invert(source))
        golden.case("autocontrast", source, F.autocontrast(source))
        golden.case("equalize", source, F.equalize(source))
        for factor in (0.0, 0.1, 0.73, 1.0, 1.27, 1.9, 7.0):
            golden.case("sharpness", source, F.adjust_sharpness(source, factor), factor=factor)
        golden.case("vertical_flip", source, F.vflip(source))
    for side in (1, 2, 3):
        golden.case("sharpness", picture(side, side, side), F.adjust_sharpness(picture(side, side, side), 1.5), factor=1.5)


def affine_cases(golden):
    """What RandomRotation, RandomAffine, RandAugment and a padded crop do, with the functions that they call."""
    for source in (picture(24, 24, 1), picture(33, 33, 3)):
        size = source.width
        for angle in (-180.0, -137.3, -30.0, -9.0, -0.4, 0.0, 0.7, 12.5, 45.0, 90.0, 101.9, 180.0):
            golden.case("rotate", source, F.rotate(source, angle), angle=angle)
        for angle, translate, scale, shear in [
            (0.0, (5, 0), 1.0, (0.0, 0.0)), (0.0, (0, -7), 1.0, (0.0, 0.0)), (0.0, (-3, 4), 1.0, (0.0, 0.0)),
            (0.0, (0, 0), 0.7, (0.0, 0.0)), (0.0, (1, 2), 1.35, (0.0, 0.0)), (20.0, (0, 0), 1.0, (0.0, 0.0)),
            (-33.3, (3, -2), 0.9, (8.5, 0.0)), (7.0, (0, 0), 1.1, (-12.0, 0.0)), (170.0, (-6, 6), 1.2, (0.0, 0.0)),
        ]:
            expected = F.affine(source, angle, list(translate), scale, list(shear))
            golden.case("affine", source, expected, angle=angle, translate=translate, scale=scale, shear=shear)
        for shear in [(16.7, 0.0), (-5.1, 0.0), (0.0, 16.7), (0.0, -44.7), (44.7, 0.0)]:
            expected = F.affine(source, 0.0, [0, 0], 1.0, list(shear), center=[0, 0])
            golden.case("affine", source, expected, shear=shear, scale=1.0, corner=True)
        padded = F.pad(source, 4)
        for left, top in ((0, 0), (8, 8), (3, 6), (4, 4)):
            shift = (4 - left, 4 - top)
            expected = F.crop(padded, top, left, size, size)
            golden.case("affine", source, expected, translate=shift, scale=1.0)


def view_cases(golden):
    """Whole views, several operations in sequence."""
    adjust = {
        "brightness": F.adjust_brightness,
        "contrast": F.adjust_contrast,
        "saturation": F.adjust_saturation,
        "hue": F.adjust_hue,
    }
    rng = np.random.default_rng(11)
    for number in range(12):
        source = picture(137, 91, 500 + number % 3)
        size = 32
        height, width = int(rng.integers(20, 92)), int(rng.integers(20, 138))
        top, left = int(rng.integers(0, 92 - height)), int(rng.integers(0, 138 - width))
        order = [list(adjust)[i] for i in rng.permutation(4)]
        factors = {name: float(rng.uniform(0.6, 1.4)) for name in adjust} | {"hue": float(rng.uniform(-0.1, 0.1))}
        gray, flip = bool(number % 4 == 3), bool(number % 2)
        sigma = float(rng.uniform(0.1, 2.0)) if number % 3 else None
        view = F.resized_crop(source, top, left, height, width, [size, size])
        for name in order:
            view = adjust[name](view, factors[name])
        if gray:
            view = F.rgb_to_grayscale(view, 3)
        if sigma is not None:
            view = view.filter(ImageFilter.GaussianBlur(sigma))
        if flip:
            view = F.hflip(view)
        golden.case(
            "view", source, view, top=top, left=left, height=height, width=width, size=size, order=order,
            gray=gray, sigma=sigma, flip=flip, **factors,
        )


def encoded(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_adobe_marker(jpeg, transform):
    """Replaces or inserts the APP14 marker that names the colour transform."""
    marker = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, transform)
    at = jpeg.find(b"\xff\xee\x00\x0eAdobe")
    if at >= 0:
        return jpeg[:at] + marker + jpeg[at + 16 :]
    return jpeg[:2] + marker + jpeg[2:]


def without_segment(jpeg, marker):
    at = jpeg.find(bytes([0xFF, marker]))
    length = struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
    return jpeg[:at] + jpeg[at + 2 + length :]


def decode_cases(golden):
    (HERE / "files").mkdir(exist_ok=True)
    source = picture(61, 45, 21)
    gray = source.convert("L")
    cmyk = source.convert("CMYK")
    for name, subsampling in {"444": 0, "422": 1, "420": 2}.items():
        golden.file(f"baseline-{name}.jpg", encoded(source, "JPEG", quality=90, subsampling=subsampling))
        golden.file(f"progressive-{name}.jpg", encoded(source, "JPEG", quality=85, subsampling=subsampling, progressive=True))
    golden.file("smooth-420.jpg", encoded(picture(64, 48, 22).filter(ImageFilter.GaussianBlur(3)), "JPEG", quality=95, subsampling=2))
    golden.file("cifar.jpg", encoded(picture(32, 32, 23), "JPEG", quality=90))
    golden.file("one-pixel.jpg", encoded(picture(1, 1, 24), "JPEG"))
    golden.file("one-column-420.jpg", encoded(picture(1, 19, 25), "JPEG", subsampling=2))
    golden.file("restart.jpg", encoded(source, "JPEG", quality=90, restart_marker_blocks=3))
    # The checksums of reduced.txt are enough for it.
    wide = picture(350, 210, 26).filter(ImageFilter.GaussianBlur(1))
    (HERE / "files" / "wide-420-restart.jpg").write_bytes(
        encoded(wide, "JPEG", quality=75, subsampling=2, restart_marker_blocks=9)
    )
    golden.file("gray.jpg", encoded(gray, "JPEG", quality=90))
    golden.file("gray-progressive.jpg", encoded(gray, "JPEG", quality=90, progressive=True))
    exif = Image.Exif()
    exif[0x0112] = 6
    golden.file("exif-rotated.jpg", encoded(source, "JPEG", quality=90, exif=exif))
    rgb = encoded(source, "JPEG", quality=95, keep_rgb=True)
    golden.file("rgb-ids.jpg", rgb)
    golden.file("rgb-adobe.jpg", with_adobe_marker(without_segment(encoded(source, "JPEG", quality=95), 0xE0), 0))
    ink = encoded(cmyk, "JPEG", quality=95)
    golden.file("cmyk-adobe.jpg", with_adobe_marker(ink, 0))
    golden.file("ycck-adobe.jpg", with_adobe_marker(ink, 2))
    golden.file("cmyk-no-marker.jpg", without_segment(ink, 0xEE))
    golden.file("cmyk-progressive.jpg", encoded(cmyk, "JPEG", quality=90, progressive=True))

    alpha = np.asarray(gray.rotate(90).resize(source.size))
    rgba = Image.fromarray(np.dstack([np.asarray(source), alpha]))
    gray_alpha = Image.merge("LA", (gray, Image.fromarray(alpha)))
    deep = Image.fromarray(np.linspace(0, 65535, 61 * 45).reshape(45, 61).astype(np.uint16))
    palette = source.quantize(40)
    golden.file("rgb.png", encoded(source, "PNG"))
    golden.file("rgba.png", encoded(rgba, "PNG"))
    golden.file("gray.png", encoded(gray, "PNG"))
    golden.file("gray-alpha.png", encoded(gray_alpha, "PNG"))
    golden.file("gray-16.png", encoded(deep, "PNG"))
    golden.file("rgb-16.png", png_16_bit(source, seed=3))
    golden.file("palette.png", encoded(palette, "PNG"))
    golden.file("palette-transparent.png", encoded(palette, "PNG", transparency=5))
    golden.file("rgb-transparent.png", encoded(source, "PNG", transparency=source.getpixel((4, 4))))
    golden.file("one-bit.png", encoded(source.convert("1"), "PNG"))
    golden.file("two-bit.png", encoded(source.quantize(4), "PNG", bits=2))
    golden.file("lossless.webp", encoded(source, "WEBP", lossless=True))
    golden.file("lossless-alpha.webp", encoded(rgba, "WEBP", lossless=True, exact=True))
    golden.file("lossy.webp", encoded(source, "WEBP", quality=80))
    golden.file("palette.gif", encoded(palette, "GIF"))
    golden.file("rgb.bmp", encoded(source, "BMP"))
    golden.file("rgb.tiff", encoded(source, "TIFF"))
    golden.file("gray-16.tiff", encoded(deep, "TIFF"))
    golden.file("rgb.ppm", encoded(source, "PPM"))


def png_16_bit(image, seed):
    """A 16-bit RGB PNG, which Pillow reads but does not write."""
    import zlib

    rng = np.random.default_rng(seed)
    high = np.asarray(image).astype(np.uint16) << 8
    deep = (high | rng.integers(0, 256, high.shape, dtype=np.uint16)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def main():
    golden = Golden()
    resize_cases(golden)
    evaluation_cases(golden)
    color_cases(golden)
    blur_cases(golden)
    view_cases(golden)
    decode_cases(golden)
    reduced_cases(golden)
    level_cases(golden)
    affine_cases(golden)
    interpolation_cases(golden)
    (HERE / "pixels.bin").write_bytes(golden.pixels)
    versions = {"pillow": PIL.__version__, "torchvision": torchvision.__version__.split("+")[0]}
    cases = ",\n".join(json.dumps(case) for case in golden.cases)
    manifest = f'{{"made_with": {json.dumps(versions)}, "cases": [\n{cases}\n]}}\n'
    (HERE / "manifest.json").write_text(manifest)
    print(f"{len(golden.cases)} cases, {len(golden.pixels)} bytes of pixels")


if __name__ == "__main__":
    main()
