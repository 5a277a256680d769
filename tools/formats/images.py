"""Image files of many layouts, made without an encoder: PNG, TIFF, BMP, GIF and PNM."""

import itertools
import struct
import zlib

import numpy as np

RNG = np.random.default_rng(5)


def packed(row, bits, order=">"):
    """Samples as bytes; those of fewer than 8 bits share bytes, the first in the highest bits."""
    if bits >= 8:
        return np.asarray(row).astype(f"{order}u{bits // 8}").tobytes()
    text = "".join(format(int(value), f"0{bits}b") for value in row)
    text += "0" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def random_bytes(count):
    return RNG.integers(0, 256, count, dtype=np.uint8).tobytes()


# PNG


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(kind, bits, width, height, interlaced=False, chunks=(), colors=None):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    values = RNG.integers(0, colors or 1 << bits, (height, width, channels))
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for left, top, right, down in passes if interlaced else [(0, 0, 1, 1)]:
        part = values[top::down, left::right]
        if part.size:
            raw += b"".join(b"\0" + packed(row.reshape(-1), bits) for row in part)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced)
    body = [png_chunk(name, data) for name, data in chunks] + [png_chunk(b"IDAT", zlib.compress(raw))]
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + b"".join(body) + png_chunk(b"IEND", b"")


def pngs():
    depths = {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}
    sizes = [(1, 1), (5, 7), (19, 13)]
    for kind, interlaced, (width, height) in itertools.product(depths, (False, True), sizes):
        for bits in depths[kind]:
            name = f"png_kind{kind}_bits{bits}_{'interlaced' if interlaced else 'plain'}_{width}x{height}"
            make = lambda *chunks, **more: png(kind, bits, width, height, interlaced, chunks, **more)
            if kind == 3:
                palette = (b"PLTE", random_bytes(3 << bits))
                yield name, make(palette)
                yield f"{name}_transparent", make(palette, (b"tRNS", random_bytes(1 << bits)))
                yield f"{name}_first_transparent", make(palette, (b"tRNS", b"\0"))
                yield f"{name}_beyond", make((b"PLTE", random_bytes(3)), colors=1 << bits)
                continue
            yield name, make()
            yield f"{name}_gamma", make((b"gAMA", struct.pack(">I", 22727)))
            if kind in (0, 2):
                clear = struct.pack(f">{kind + 1}H", *RNG.integers(0, 1 << bits, kind + 1))
                yield f"{name}_transparent", make((b"tRNS", clear))
                yield f"{name}_transparent_low", make((b"tRNS", struct.pack(f">{kind + 1}H", *[7] * (kind + 1))), colors=min(12, 1 << bits))


# TIFF


def tiff_file(tags, blocks, order, is_tiled):
    """`tags`: values by number, of 16 bits each."""
    offsets, lengths = (324, 325) if is_tiled else (273, 279)
    tags = dict(tags) | {offsets: [0] * len(blocks), lengths: [len(block) for block in blocks]}
    at = 8 + 2 + 12 * len(tags) + 4
    blob = b""

    def place(data):
        nonlocal blob
        blob += data + b"\0" * (len(data) % 2)
        return at + len(blob) - len(data) - len(data) % 2

    tags[offsets] = [place(block) for block in blocks]
    entries = b""
    for number in sorted(tags):
        kind, letter = (4, "I") if number in (offsets, lengths) else (3, "H")
        raw = struct.pack(f"{order}{len(tags[number])}{letter}", *tags[number])
        value = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{order}I", place(raw))
        entries += struct.pack(f"{order}HHI", number, kind, len(tags[number])) + value
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(tags)) + entries + b"\0" * 4 + blob


def tiff(photometric, bits, samples, extra=(), order="<", planar=False, tile=None, rows=None, predictor=1, compression=1, fill=1, more=()):
    width, height = 13, 9
    values = RNG.integers(0, 1 << min(bits, 31), (height, width, samples))
    tags = {256: [width], 257: [height], 258: [bits] * samples, 259: [compression], 262: [photometric], 277: [samples]}
    tags |= {284: [2 if planar else 1]} | dict(more)
    tags |= {338: extra} if extra else {}
    tags |= {317: [predictor]} if predictor != 1 else {}
    tags |= {266: [fill]} if fill != 1 else {}
    tags |= {322: [tile], 323: [tile]} if tile else {278: [rows or height]}
    blocks = []
    for plane in np.split(values, samples, axis=2) if planar else [values]:
        down, right = (tile, tile) if tile else (rows or height, width)
        for top, left in itertools.product(range(0, height, down), range(0, width, right)):
            part = plane[top : top + down, left : left + right]
            if tile:
                part = np.pad(part, ((0, down - part.shape[0]), (0, right - part.shape[1]), (0, 0)))
            if predictor == 2:
                part = np.concatenate([part[:, :1], (part[:, 1:] - part[:, :-1]) % (1 << bits)], axis=1)
            data = [packed(row.reshape(-1), bits, order) for row in part]
            if compression == 32773:
                data = [b"".join(bytes([len(run) - 1]) + run for run in itertools.starmap(bytes.__getitem__, ((row, slice(at, at + 128)) for at in range(0, len(row), 128)))) for row in data]
            data = b"".join(data)
            if fill == 2:
                data = bytes(int(format(byte, "08b")[::-1], 2) for byte in data)
            blocks.append(zlib.compress(data) if compression == 8 else data)
    return tiff_file(tags, blocks, order, bool(tile))


def tiffs():
    colors = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
    palette = lambda bits: {320: RNG.integers(0, 65536, 3 << bits).tolist()}
    extras = [(), (0,), (1,), (2,), (0, 0), (1, 0), (2, 1)]
    for order, photometric in itertools.product("<>", colors):
        for bits, extra, planar in itertools.product((1, 2, 4, 8, 16, 32), extras, (False, True)):
            if planar and bits < 8 or photometric == 3 and bits > 8:
                continue
            more = palette(bits) if photometric == 3 else {}
            name = f"tiff_{order}_p{photometric}_bits{bits}_extra{''.join(map(str, extra))}_{'planar' if planar else 'chunky'}"
            yield name, tiff(photometric, bits, colors[photometric] + len(extra), extra, order, planar, more=more)
        ways = {
            "tiled": {"tile": 16}, "strips": {"rows": 2}, "reversed": {"fill": 2}, "deflate": {"compression": 8},
            "packbits": {"compression": 32773}, "predictor": {"predictor": 2, "compression": 8}, "planes_in_tiles": {"tile": 16, "planar": True},
            "planes_in_strips": {"rows": 4, "planar": True}, "predicted_planes": {"rows": 4, "planar": True, "predictor": 2, "compression": 8},
        }  # fmt: skip
        for extra, bits, way in itertools.product(extras[:4], (1, 4, 8, 16), ways):
            if "predict" in way and bits < 8 or bits < 8 and (extra or colors[photometric] > 1) or photometric == 3 and bits > 8:
                continue
            more = palette(bits) if photometric == 3 else {}
            name = f"tiff_{order}_{way}_p{photometric}_bits{bits}_extra{''.join(map(str, extra))}"
            yield name, tiff(photometric, bits, colors[photometric] + len(extra), extra, order, more=more, **ways[way])
        if photometric == 2:
            for orientation in range(1, 9):
                yield f"tiff_{order}_orientation{orientation}", tiff(2, 8, 3, (), order, more={274: [orientation]})


# BMP


def bmp(bits, width, height, compression=0, header=40, palette=(), masks=(), data=None):
    """A negative height is that of rows from top to bottom."""
    if data is None:
        rows = range(abs(height))
        values = lambda: RNG.integers(0, min(1 << bits, max(len(palette), 1)), width)
        row = lambda: packed(values(), bits) if bits <= 8 else random_bytes(width * bits // 8)
        data = b"".join(row().ljust((width * bits + 31) // 32 * 4, b"\0") for _ in rows)
    colors = b"".join(bytes(color) + (b"" if header == 12 else b"\0") for color in palette)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 2835, 2835, len(palette), 0)
        words = struct.pack(f"<{len(masks)}I", *masks)
        info = (info + words).ljust(header, b"\0") if header > 40 else info + words
    offset = 14 + len(info) + len(colors)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + info + colors + data


def bmp_runs(bits, width, height, steps):
    """Runs, literal pixels, and where asked steps to the right and lines that end early."""
    data = b""
    for _ in range(height):
        x = 0
        while x < width:
            kind, count = RNG.integers(0, 4), min(width - x, int(RNG.integers(1, 6)))
            if steps and kind == 0 and x + count < width:
                data += bytes([0, 2, count, 0])
            elif kind == 1 and count >= 3:
                literal = random_bytes(count if bits == 8 else (count + 1) // 2)
                data += bytes([0, count]) + literal + b"\0" * (len(literal) % 2)
            else:
                data += bytes([count]) + random_bytes(1)
            x += count
            if steps and RNG.random() < 0.1:
                break
        data += b"\0\0"
    return data + b"\0\1"


def bmps():
    color = lambda: tuple(int(value) for value in RNG.integers(0, 256, 3))
    masks = {
        16: [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F), (0xF00, 0xF0, 0xF)],
        24: [(0xFF0000, 0xFF00, 0xFF)],
        32: [(0xFF0000, 0xFF00, 0xFF), (0xFF000000, 0xFF0000, 0xFF00), (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0, 0, 0, 0)],
    }  # fmt: skip
    for (width, height), header in itertools.product([(1, 1), (13, 9), (33, -4), (13, -9)], (12, 40, 52, 56, 64, 108, 124)):
        if header == 12 and height < 0:
            continue
        size = f"{width}x{height}_header{header}"
        for bits in (1, 4, 8):
            for used in (1 << bits, max(2, (1 << bits) // 2)):
                if header != 12 or used == 1 << bits:
                    yield f"bmp_bits{bits}_{size}_colors{used}", bmp(bits, width, height, header=header, palette=[color() for _ in range(used)])
        for bits in (16, 24, 32):
            yield f"bmp_bits{bits}_{size}", bmp(bits, width, height, header=header)
            for mask in masks[bits] if header not in (12, 64) else []:
                name = f"bmp_bits{bits}_{size}_{'_'.join(format(part, 'x') for part in mask)}"
                yield name, bmp(bits, width, height, 3, header, masks=mask)
    for bits, steps, (width, height) in itertools.product((4, 8), (False, True), [(13, 9), (8, 8), (31, 3)]):
        palette = [color() for _ in range(1 << bits)]
        data = bmp_runs(bits, width, height, steps)
        yield f"bmp_runs{bits}_{width}x{height}{'_steps' if steps else ''}", bmp(bits, width, height, 3 - bits // 4, palette=palette, data=data)


# GIF


def gif_codes(indices, bits):
    """LZW of single indices, begun anew before the codes would grow."""
    clear = 1 << bits
    codes = [clear]
    for number, index in enumerate(indices):
        codes += [clear, int(index)] if number and number % (clear - 2) == 0 else [int(index)]
    stream = sum(code << (bits + 1) * at for at, code in enumerate([*codes, clear + 1]))
    data = stream.to_bytes(((len(codes) + 1) * (bits + 1) + 7) // 8, "little")
    blocks = b"".join(bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255))
    return bytes([bits]) + blocks + b"\0"


def gif(screen, frames, palette=b"", background=0):
    flags = lambda colors: 0x80 | (len(colors) // 3).bit_length() - 2 if colors else 0
    data = b"GIF89a" + struct.pack("<HHBBB", *screen, flags(palette), background, 0) + palette
    for left, top, width, height, own, interlaced, disposal, transparent in frames:
        if disposal is not None:
            control = disposal << 2 | (transparent is not None)
            data += b"\x21\xf9\4" + struct.pack("<BHB", control, 0, transparent or 0) + b"\0"
        colors = len(own or palette) // 3
        indices = RNG.integers(0, colors, (height, width))
        data += b"\x2c" + struct.pack("<HHHHB", left, top, width, height, flags(own) | 0x40 * interlaced) + own
        data += gif_codes(indices.reshape(-1), max(2, colors.bit_length() - 1))
    return data + b"\x3b"


def gifs():
    screen = (12, 10)
    places = {"whole": (0, 0, 12, 10), "part": (3, 2, 5, 4), "beyond": (8, 6, 10, 10), "outside": (30, 30, 5, 5)}
    for (place, frame), own, interlaced, disposal in itertools.product(places.items(), (0, 4, 256), (False, True), (None, 0, 1, 2, 3)):
        for transparent, background in itertools.product((None, 0, 3) if disposal is not None else (None,), (0, 9, 200)):
            one = (*frame, random_bytes(3 * own), interlaced, disposal, transparent)
            two = (1, 1, 4, 4, random_bytes(12), False, disposal, transparent)
            name = f"gif_{place}_own{own}_{'interlaced' if interlaced else 'plain'}_d{disposal}_t{transparent}_b{background}"
            yield name, gif(screen, [one], random_bytes(48), background)
            yield f"{name}_two", gif(screen, [one, two], random_bytes(48), background)
    yield "gif_no_screen", gif((0, 0), [(0, 0, 12, 10, b"", False, None, None)], random_bytes(48))
    yield "gif_gray", gif(screen, [(*places["part"], b"", False, None, None)], bytes(value for index in range(256) for value in [index] * 3))


# PNM


def pnms():
    width, height = 11, 7
    greatest = (1, 2, 7, 15, 100, 127, 128, 200, 254, 255, 256, 257, 300, 1000, 1023, 4095, 32767, 32768, 65534, 65535)
    for most, (plain, raw, channels) in itertools.product(greatest, ((2, 5, 1), (3, 6, 3))):
        values = RNG.integers(0, most + 1, width * height * channels)
        size = f"{width} {height}\n{most}\n"
        yield f"pnm_p{plain}_{most}", f"P{plain}\n# made\n{size}{' '.join(map(str, values))}\n".encode()
        yield f"pnm_p{raw}_{most}", f"P{raw}\n{size}".encode() + packed(values, 8 if most < 256 else 16)
    bits = RNG.integers(0, 2, (height, width))
    yield "pnm_p1", f"P1 {width} {height}\n{' '.join(map(str, bits.reshape(-1)))}".encode()
    yield "pnm_p1_tight", f"P1 {width} {height}\n{''.join(map(str, bits.reshape(-1)))}".encode()
    yield "pnm_p4", f"P4 {width} {height}\n".encode() + b"".join(packed(row, 1) for row in bits)
    yield "pnm_crlf", f"P6\r\n{width} {height}\r\n255\n".encode() + random_bytes(width * height * 3)
    yield "pnm_over", f"P6 {width} {height} 100\n".encode() + random_bytes(width * height * 3)


def all_files():
    yield from itertools.chain(pngs(), tiffs(), bmps(), gifs(), pnms())
