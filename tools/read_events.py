#!/usr/bin/env python3
"""Reads a run's event files with the `tensorboard` package, and prints their contents.

    python3 tools/read_events.py RUN/tensorboard

Exits with 1 if the package finds less than a run of one epoch writes.
"""

import csv
import io
import sys
from pathlib import Path

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(folder: Path) -> int:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    for tag in tags["scalars"]:
        points = events.Scalars(tag)
        print(f"{tag}: {len(points)} points, last {points[-1].value:.6g} at step {points[-1].step}")
    for tag in tags["histograms"]:
        histogram = events.Histograms(tag)[-1].histogram_value
        print(f"{tag}: {histogram.num:.0f} values from {histogram.min:.4g} to {histogram.max:.4g}")
        assert sum(histogram.bucket) == histogram.num
    for tag in tags["images"]:
        shown = events.Images(tag)[-1]
        image = Image.open(io.BytesIO(shown.encoded_image_string))
        image.load()
        assert image.size == (shown.width, shown.height)
        print(f"{tag}: {image.size[0]} x {image.size[1]} {image.format}")

    features = list(csv.reader((folder / "features.tsv").open(), delimiter="\t"))
    labels = list(csv.reader((folder / "metadata.tsv").open(), delimiter="\t", quoting=csv.QUOTE_NONE))
    sprite = Image.open(folder / "sprite.png")
    print(f"projector: {len(features)} features of {len(features[0])}, sprite {sprite.size}")
    assert len(labels) == len(features) + 1, "a heading and a line for each feature"
    missing = {"train/loss", "train/lr"} - set(tags["scalars"]) or {"views"} - set(tags["images"])
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
