"""Compares simsiam.Loader with torch's DataLoader and torchvision in alternating runs: images/s into torch tensors, memory, start-up.

usage: python loader.py SHARD.tar... [--recipe imagenet|cifar10] [--workers N] [--runs 5] [--rust COMMAND] [--out NAME]
       python loader.py --quick       drawn images and short runs, to see that it works
Writes NAME.json and NAME.md. An image is decoded once and gives two augmented, normalised views. Each run is a process of
its own; memory is its and its workers' proportional share (PSS) without file pages, start-up is from the first line after
the imports to the first batch. COMMAND is the crate's own example, to which recipe, batch, workers, seconds and shards are
appended:
    --rust 'cargo run --release -q -p simsiam-pipeline --example plain_loop --'
"""

import argparse
import io
import json
import os
import platform
import random
import shlex
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

SIZES = {"imagenet": 224, "cifar10": 32}
LABELS = {"simsiam": "simsiam.Loader", "torch": "torch DataLoader, torchvision", "rust": "the Rust pipeline itself"}


def simsiam_batches(args):
    import simsiam
    import torch

    loader = simsiam.Loader(args.shards, args.recipe, args.batch_size, args.workers)
    while True:
        for batch in loader:
            yield torch.from_dlpack(batch.view1), torch.from_dlpack(batch.view2)


class Tars:
    """The images of tars: where each lies, read from the file when it is asked for."""

    def __init__(self, shards, view):
        self.view, self.images = view, []
        for shard in shards:
            with tarfile.open(shard) as tar:
                members = [member for member in tar if member.name.endswith(".jpg")]
            self.images += [(shard, member.offset_data, member.size) for member in members]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        from PIL import Image

        shard, offset, size = self.images[index]
        with open(shard, "rb") as file:
            file.seek(offset)
            image = Image.open(io.BytesIO(file.read(size))).convert("RGB")
        return self.view(image), self.view(image)


class Blur:
    """The paper's, by Pillow."""

    def __call__(self, image):
        from PIL import ImageFilter

        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


def torch_batches(args):
    """facebookresearch/simsiam's own transforms."""
    import torch
    from torchvision import transforms as T

    torch.set_num_threads(1)
    blur = [T.RandomApply([Blur()], p=0.5)] if args.recipe == "imagenet" else []
    view = T.Compose([
        T.RandomResizedCrop(SIZES[args.recipe], scale=(0.2, 1.0)),
        T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        T.RandomGrayscale(p=0.2), *blur, T.RandomHorizontalFlip(), T.ToTensor(),
        T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    loader = torch.utils.data.DataLoader(
        Tars(args.shards, view), args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )  # fmt: skip
    while True:
        yield from loader


def memory_mib():
    """Anonymous memory of this process and its children, shared pages by their share; None where the system tells nothing."""
    total, waiting = 0, [os.getpid()]
    while waiting:
        process = waiting.pop()
        try:
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            children = Path(f"/proc/{process}/task/{process}/children").read_text()
        except OSError:
            return None
        fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        total += sum(int(fields[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem") if name in fields)
        waiting += [int(child) for child in children.split()]
    return total / 1024


def measure(args):
    """One run of one loader: the rate after a third of the time to warm up."""
    __import__("torch")
    started = time.perf_counter()
    batches = {"simsiam": simsiam_batches, "torch": torch_batches}[args.one](args)
    next(batches)
    first = time.perf_counter()
    counted, images = None, 0
    for view, _ in batches:
        now = time.perf_counter()
        if counted is None:
            counted = now if now - first >= args.seconds / 3 else None
            continue
        images += len(view)
        if now - counted >= args.seconds:
            rate = images / (now - counted)
            return {"images_per_s": rate, "start_s": first - started, "memory_mib": memory_mib()}


def run(label, args):
    settings = [args.recipe, str(args.batch_size), str(args.workers), str(args.seconds)]
    if label == "rust":
        command = [*shlex.split(args.rust), *settings, *args.shards]
    else:
        names = ("--recipe", "--batch-size", "--workers", "--seconds")
        pairs = [part for pair in zip(names, settings) for part in pair]
        command = [sys.executable, __file__, *args.shards, "--one", label, *pairs]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(runs, key, digits=0):
    """Median, lowest and highest."""
    values = [run[key] for run in runs if run.get(key) is not None]
    if not values:
        return "–"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(results, args):
    rate = lambda label: statistics.median(run["images_per_s"] for run in results[label])
    versions = ", ".join(f"{name} {version(name)}" for name in ("simsiam", "torch", "torchvision", "pillow"))
    lines = [
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.workers} workers, batches of "
        f"{args.batch_size}, recipe {args.recipe}; {args.runs} alternating runs each; medians (lowest to highest); {versions}.",
        "", "| | images/s | memory, MiB | first batch, s | resumes | same bytes for any workers |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for label, runs in results.items():
        exact = "no | no" if label == "torch" else "exactly, within an epoch | yes"
        cells = spread(runs, "images_per_s"), spread(runs, "memory_mib"), spread(runs, "start_s", 2)
        lines.append(f"| {LABELS[label]} | {' | '.join(cells)} | {exact} |")
    lines += ["", f"simsiam.Loader reaches {rate('simsiam') / rate('torch'):.2f} times the rate of torch's DataLoader"]
    if "rust" in results:
        lines[-1] += f" and {rate('simsiam') / rate('rust'):.3f} times that of the Rust pipeline"
    lines[-1] += "."
    return "\n".join(lines)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("shards", nargs="*")
    ap.add_argument("--recipe", default="imagenet", choices=SIZES)
    ap.add_argument("--batch-size", type=int, default=128)
    ap.add_argument("--workers", type=int, default=os.cpu_count())
    ap.add_argument("--seconds", type=float, default=12)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--rust", help="command of the crate's example; without it there is no ratio to the Rust pipeline")
    ap.add_argument("--out", default="loader")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--one", choices=["simsiam", "torch"], help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.one:
        print(json.dumps(measure(args)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.quick:
            sys.path.append(str(Path(__file__).parent.parent / "examples"))
            shards = __import__("drawn").shards(Path(folder))
            args.shards, args.out = [str(shards / "drawn-000.tar")], f"{folder}/loader"
            args.recipe, args.batch_size, args.workers, args.seconds, args.runs = "cifar10", 32, 2, 0.5, 1
        if not args.shards:
            ap.error("no shards to measure with: name tars, or use --quick")
        results = {label: [] for label in ("simsiam", "torch", *(["rust"] if args.rust else []))}
        for number in range(args.runs):
            for label, runs in results.items():
                runs.append(run(label, args))
                print(f"run {number + 1}, {LABELS[label]}: {runs[-1]['images_per_s']:.0f} images/s", flush=True)
        text = table(results, args)
        print(text)
        Path(f"{args.out}.md").write_text(text + "\n")
        Path(f"{args.out}.json").write_text(json.dumps({"settings": vars(args), "runs": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
