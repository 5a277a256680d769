#!/usr/bin/env python3
"""Runs the program and Pillow on the inputs of ../shared/cases, and writes docs/cases.md.

    cargo build && python3 tools/cases.py                          # needs numpy and Pillow 13
    SIMSIAM_INSTRUCTIONS=scalar python3 tools/cases.py --out -     # as the program would on another processor

Ends with exit code 1 if a verdict is a fault.
"""

import argparse
import collections
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"jpg", "jpeg", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "img"}
# Kinds of what `inspect` finds that are images without a sample.
UNUSED_IMAGES = {"dotted_name", "second_image", "hidden_name", "no_extension", "link", "unread_format"}

Row = collections.namedtuple("Row", "input what expected seen verdict")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=ROOT.parent / "shared/cases", help="folder of the inputs")
    parser.add_argument("--program", type=Path, default=ROOT / "target/debug/simsiam")
    parser.add_argument("--out", default=str(ROOT / "docs/cases.md"), help="the report; - for standard output")
    args = parser.parse_args()
    known = table(args.cases / "TABLE.md")
    jpegs = sorted([*args.cases.glob("jpeg/*.jpg"), *args.cases.glob("minimal/*.jpg")])
    tars = sorted([*args.cases.glob("tar/*.tar"), *args.cases.glob("minimal/*.tar")])
    if not jpegs or not tars:
        parser.error(f"{args.cases}: no cases (expected jpeg/*.jpg and tar/*.tar in it)")
    names = [str(path.relative_to(args.cases)) for path in [*jpegs, *tars]]
    with tempfile.TemporaryDirectory() as folder:
        program = Program(args.program, Path(folder))
        seen = [*program.pixels(jpegs), *(program.shard(path) for path in tars)]
    rows = []
    for name, (expected, text, verdict) in zip(names, seen):
        what, said = known.get(name, ("", ""))
        rows.append(Row(name, what, expected or said, text, verdict))
    report = "\n".join(write(rows, len(jpegs)))
    if args.out == "-":
        print(report)
    else:
        Path(args.out).write_text(report + "\n")
        print(f"{args.out}: {counts(rows)}")
    sys.exit(any(row.verdict == "fault" for row in rows))


def table(path):
    """Description and expected result of each input, by name."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in path.read_text().splitlines()]
    return {row[0]: (row[2], row[3]) for row in rows if len(row) >= 4 and "/" in row[0]}


class Program:
    """The program, and a folder for its input and output."""

    def __init__(self, path, folder):
        self.path, self.folder = path.resolve(), folder
        self.environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1"}

    def run(self, *arguments):
        command = [str(self.path), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, errors="replace")
        plain = lambda text: re.sub(r"\x1b\[[0-9;]*m", "", text)
        return done.returncode, plain(done.stdout), plain(done.stderr)

    def pixels(self, paths):
        """Expected, seen and verdict for each image: its pixels compared with Pillow's."""
        with tarfile.open(self.folder / "images.tar", "w") as shard:
            for number, path in enumerate(paths):
                shard.add(path, f"{number:04}.jpg")
        code, out, err = self.run("unpack", "images.tar", "pixels", "--format", "png")
        if code not in (0, 1):
            sys.exit(f"unpack: exit code {code}: {err}")
        causes = dict(re.findall(r'left out shard images.tar, sample \d+ "(\d+)": (.*)', out))
        for number, path in enumerate(paths):
            yield judge_pixels(path.read_bytes(), self.folder / f"pixels/{number:04}.png", causes.get(f"{number:04}"))

    def shard(self, path):
        """Expected, seen and verdict for a shard, by the second `inspect`, which finds an index."""
        (self.folder / path.name).write_bytes(path.read_bytes())
        first, (code, out, err) = (self.run("inspect", path.name, "--verify", "--json") for _ in range(2))
        said = list(dict.fromkeys(line.strip() for line in err.splitlines() if line.strip()))
        expected = "" if path.parent.name == "tar" else "every image is a sample or counted"
        if code == 2:
            return expected, " ".join(said), "refused" if len(said) == 1 else "fault"
        report = json.loads(out)
        found = {one["kind"]: one for one in report.get("found", [])}
        unused = sum(one["count"] for kind, one in found.items() if kind in UNUSED_IMAGES)
        said += [f"{one['count']} {one['description']}" for one in found.values()] + report.get("notes", [])
        said = list(dict.fromkeys(said))
        labels = ", ".join(f"{images} x {label}" for label, images in report["labels"].items()) or "none"
        seen = [f"samples {report['samples']}", f"labels {labels}", f"unlabelled {report['unlabelled']}"]
        seen += [f"unused {unused}", f"bad {len(report['bad'])}", *said]
        verdict = "ok"
        if first != (code, out, err):
            seen, verdict = [*seen, "the first look says something else"], "fault"
        elif report["samples"] + unused < images(path):
            seen, verdict = [*seen, f"{images(path)} images are there"], "fault"
        elif report["unlabelled"] and has_labels(path) and not said:
            seen, verdict = [*seen, "silent about labels"], "fault"
        return expected, "; ".join(seen), verdict


def judge_pixels(encoded, png, cause):
    try:
        pillow, expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int), "as Pillow: pixels"
    except Exception as error:  # Pillow has no common kind
        pillow, expected = None, f"refused (Pillow: {type(error).__name__})"
    if cause is not None:
        return expected, cause, "refused"
    found = np.asarray(Image.open(png)).astype(int)
    if pillow is None:
        return expected, f"decoded to {found.shape[1]} x {found.shape[0]}", "fault"
    if found.shape != pillow.shape:
        return expected, f"{found.shape[1]} x {found.shape[0]}, not {pillow.shape[1]} x {pillow.shape[0]}", "fault"
    difference = abs(found - pillow)
    return expected, f"max {difference.max()} mean {difference.mean():.2f}", "ok" if difference.max() == 0 else "fault"


def members(path):
    """Extension and contents of the regular files of a tar and of those joined to it."""
    with tarfile.open(path, ignore_zeros=True) as archive:
        for member in archive:
            base = member.name.rsplit("/", 1)[-1]
            if member.isfile() and "." in base.strip("."):
                yield base.split(".", 1)[1].lower(), archive.extractfile(member).read()


def images(path):
    return sum(extension.rsplit(".", 1)[-1] in IMAGES for extension, _ in members(path))


def has_labels(path):
    return any(extension == "cls" or extension == "json" and re.search(rb'"(label|cls)"\s*:', contents)
               for extension, contents in members(path))


def counts(rows):
    found = collections.Counter(row.verdict for row in rows)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in ("ok", "refused", "fault"))


def write(rows, jpegs):
    instructions = os.environ.get("SIMSIAM_INSTRUCTIONS")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    yield "# Inputs that other loaders handle wrongly"
    yield ""
    yield f"Written by `python3 tools/cases.py` at {commit}: {len(rows)} inputs, {counts(rows)}. Compared with Pillow {PIL.__version__},"
    yield f"with `SIMSIAM_INSTRUCTIONS={instructions}`." if instructions else "with the processor's best instruction set."
    yield ""
    yield "- **seen**: for a JPEG, the largest and the mean difference from Pillow in levels of 255, after `simsiam unpack --format png`."
    yield "  For a tar, the counts and warnings of the second `simsiam inspect --verify`, which reads the index of the first."
    yield "- **refused**: one error that names shard, key and cause; the sample is counted as bad."
    yield "- **fault**: pixels other than Pillow's, an image that is neither a sample nor counted as unused, or a label dropped without a"
    yield "  message."
    for title, part in (("JPEG", rows[:jpegs]), ("Tar", rows[jpegs:])):
        yield from ("", f"## {title}", "", "| input | what | expected | seen | verdict |", "|---|---|---|---|---|")
        for row in part:
            yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


if __name__ == "__main__":
    main()
