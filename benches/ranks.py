#!/usr/bin/env python3
"""Compares one process of two threads with two ranks of one thread that divide the same batches: images/s, memory, losses.

    cargo build --features mpi
    benches/ranks.py SHARDS... --out benches/results/ranks.md

Runs alternate. Needs mpirun, and as many cores as ranks.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = {
    "1 rank": [],
    "1 rank, --deterministic": ["--deterministic"],
    "2 ranks": [],
    "2 ranks, --deterministic": ["--deterministic"],
}


def train(variant, folder, args):
    """The median of images/s over the log lines, the largest resident size of a process in MiB, what `communication` finds, and the
    losses."""
    ranks, sizes = int(variant[0]), folder.with_name("sizes")
    launch = ["mpirun", "-n", str(ranks), "--bind-to", "none"] if ranks > 1 else []
    command = [*launch, "/usr/bin/time", "-a", "-o", str(sizes), "-f", "%M", str(args.program), "train", "--shards", *args.shards,
               "--preset", "cifar10", "--arch", args.arch, "--batch-size", str(args.batch_size), "--epochs", "1",
               "--limit", str(args.batch_size * args.steps), "--knn-every", "0", "--log-every", "5",
               "--checkpoint-every", "1000000", "--run-dir", str(folder), "--trace", str(folder.with_name("trace.json")), *VARIANTS[variant]]
    environment = os.environ | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                                "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "images_per_s" in line]
    resident = max(map(int, sizes.read_text().split()))
    rate = statistics.median(line["images_per_s"] for line in lines[1:])
    return rate, resident / 1024, communication(folder.with_name("trace.json")), [line["loss"] for line in lines]


def communication(trace):
    """How long the first rank's main thread communicates in the training steps after the first: the share in percent, and the
    median duration of one exchange in ms."""
    events = [event for event in json.loads(trace.read_text()) if event["ph"] == "X"]
    ends = [event["ts"] + event["dur"] for event in events if event["name"] == "update"]
    within = [event for event in events if ends[0] <= event["ts"] < ends[-1]]
    waits = [event["dur"] for event in within if event["name"] in ("all-gather", "all-reduce")]
    return 100 * sum(waits) / (ends[-1] - ends[0]), statistics.median(waits) / 1000 if waits else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", nargs="+")
    parser.add_argument("--program", type=Path, default=ROOT / "target/debug/simsiam")
    parser.add_argument("--arch", default="resnet18-cifar-w32")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    found = {variant: [] for variant in VARIANTS}
    for run in range(args.runs):
        for variant in VARIANTS:
            with tempfile.TemporaryDirectory() as folder:
                found[variant].append(train(variant, Path(folder) / "run", args))
            print(f"run {run + 1}, {variant}: {found[variant][-1][0]:.1f} images/s", flush=True)

    base = [rate for rate, *_ in found["1 rank"]]
    losses = {variant: runs[0][-1] for variant, runs in found.items()}
    lines = ["# Two ranks compared with one process", "",
             f"{processor()}, {os.cpu_count()} virtual cores. {args.arch}, a global batch of {args.batch_size}, {args.steps} steps, "
             f"medians of {args.runs} alternating runs (lowest to highest). Written by", "",
             f"    benches/ranks.py SHARDS --arch {args.arch} --batch-size {args.batch_size} --steps {args.steps} --runs {args.runs} --out ...", "",
             "| | images/s | times one rank | MiB per rank, largest | communication, % of a step | median exchange, ms "
             "| largest relative difference of a loss |",
             "|---|---|---|---|---|---|---|"]
    for variant, runs in found.items():
        shares, exchanges = zip(*(communicated for _, _, communicated, _ in runs))
        ratios = [rate / of_one for (rate, *_), of_one in zip(runs, base)]
        reference = losses["1 rank, --deterministic" if "determ" in variant else "1 rank"]
        difference = max(abs(a - b) / abs(b) for a, b in zip(losses[variant], reference))
        lines.append(f"| {variant} | {spread([rate for rate, *_ in runs], 1)} | {spread(ratios, 2)} | "
                     f"{max(resident for _, resident, *_ in runs):.0f} | "
                     f"{spread(shares, 1)} | {statistics.median(exchanges):.2f} | {difference:.1e} |")
    lines += ["", "The threads are divided among the ranks: one rank has two threads, two ranks have one each. Losses are compared with those of one rank with the "
              "same order of sums. Rates are compared with that of one rank in the same round. Communication is the time in which the first rank's "
              "main thread exchanges, by `--trace`; most of it is spent waiting for a slower rank."]
    args.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def processor():
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
