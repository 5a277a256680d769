"""Decodes photographs with simsiam and with libjpeg-turbo alternately, on one core, and prints a table.

usage: python benches/decode.py SHARD.tar... [--runs 5] [--rounds 3]
Needs pillow, which re-encodes the photographs as progressive files; a C compiler and libjpeg-turbo's headers; and cargo.
"""

import argparse
import io
import statistics
import subprocess
import tarfile
import tempfile
from pathlib import Path

from PIL import Image, ImageFile

HERE = Path(__file__).parent
# Pillow saves a progressive file in one block, which must be large enough.
ImageFile.MAXBLOCK = 1 << 26
KINDS = {
    "as they are (baseline)": None,
    "progressive 4:2:0": dict(quality=90, subsampling=2, progressive=True),
    "progressive 4:4:4": dict(quality=90, subsampling=0, progressive=True),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shards", nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="rounds; each file counts with its least time")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        turbo = folder / "turbo_decode_rate"
        version = subprocess.run(["cc", "-E", "-dM", "-include", "stdio.h", "-include", "jpeglib.h", "-x", "c", "/dev/null"],
                                 check=True, capture_output=True, text=True).stdout
        version = next((line.split()[-1] for line in version.splitlines() if "LIBJPEG_TURBO_VERSION " in line), "?")
        subprocess.run(["cc", "-O2", HERE / "peers/turbo_decode_rate.c", "-ljpeg", "-o", turbo], check=True)
        subprocess.run(["cargo", "build", "-q", "-p", "simsiam-pipeline", "--example", "decode_rate"], check=True)
        programs = [HERE.parent / "target/debug/examples/decode_rate", turbo]
        cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
        print(f"{cpu}, one core; libjpeg-turbo {version}; medians (lowest to highest) of {args.runs} alternating runs\n")
        print("| photographs | simsiam, images/s | libjpeg-turbo, images/s | ratio |")
        print("|---|---|---|---|")
        for kind, options in KINDS.items():
            files = photographs(args.shards, options, folder)
            rates = ([], [])
            for _ in range(args.runs):
                for program, rate in zip(programs, rates):
                    command = ["taskset", "-c", "0", program, str(args.rounds), *files]
                    rate.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            own, peer = ([f"{statistics.median(rate):.0f} ({min(rate):.0f} to {max(rate):.0f})" for rate in rates])
            ratios = [a / b for a, b in zip(*rates)]
            print(f"| {len(files)}, {kind} | {own} | {peer} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |", flush=True)


def photographs(shards, options, folder):
    """The shards' JPEGs as files, unchanged or re-encoded with these options."""
    paths = []
    for shard in shards:
        with tarfile.open(shard) as archive:
            for member in archive:
                if not member.name.endswith(".jpg"):
                    continue
                data = archive.extractfile(member).read()
                if options:
                    out = io.BytesIO()
                    Image.open(io.BytesIO(data)).convert("RGB").save(out, "JPEG", **options)
                    data = out.getvalue()
                paths.append(folder / f"{len(paths):05}.jpg")
                paths[-1].write_bytes(data)
    return paths


if __name__ == "__main__":
    main()
