"""Draws the kNN accuracy and the loss of a run over its epochs.

usage: python benches/curve.py RUN --out curve.svg [--raw-pixels 41.1]
Needs matplotlib. `--raw-pixels` draws a line at the kNN accuracy of the raw pixels.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

BLUE, ORANGE, GRAY = "#0b6bcb", "#c2410c", "#59626e"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--raw-pixels", type=float)
    args = parser.parse_args()
    lines = [json.loads(line) for line in (args.run / "metrics.jsonl").read_text().splitlines()]
    knn = [(line["epoch"], line["knn_top1"]) for line in lines if "knn_top1" in line]
    epochs = [(line["epoch"], line["epoch_loss"]) for line in lines if "epoch_loss" in line]

    plt.rcParams.update({"font.family": "sans-serif", "svg.fonttype": "none", "svg.hashsalt": "simsiam"})
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(*zip(*knn), color=BLUE, marker="o")
    left.annotate(f"{knn[-1][1]:.1f} %", knn[-1], xytext=(2, -16), textcoords="offset points", ha="right", color=BLUE)
    left.annotate(f"untrained {knn[0][1]:.1f} %", knn[0], xytext=(8, -2), textcoords="offset points", color=BLUE)
    if args.raw_pixels:
        left.axhline(args.raw_pixels, color=GRAY, linestyle="--", linewidth=1)
        left.text(knn[-1][0], args.raw_pixels - 0.6, "kNN on raw pixels", color=GRAY, ha="right", va="top")
    left.set(xlabel="epoch", ylabel="kNN top-1, %", title="kNN of the features")
    right.plot(*zip(*epochs), color=ORANGE)
    right.set(xlabel="epoch", ylabel="loss", title="loss, at best -1")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.tight_layout()
    figure.savefig(args.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
