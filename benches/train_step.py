"""Runs SimSiam steps and two operations of this project and of PyTorch alternately on the same cores and prints tables.

usage: python benches/train_step.py [--runs 5] [--threads 2] [--only resnet8] [--precision bf16]
Needs torch and torchvision, and the built program, `cargo build` (or another one, with `--binary`).

The operations are those of `cargo bench -p simsiam-model`: output and all gradients of a 3x3 convolution, and of batch norm with ReLU,
on 64x64x32x32. Both compute the same step: two views forward, the symmetric loss, backward, SGD with momentum; fp32; the same encoder,
projector (2048) and predictor (512). PyTorch runs eagerly, with NCHW and with channels-last tensors; in bf16 by autocast,
beside this project's bf16 and f32.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

# Name -> the criterion bench, and where criterion leaves its estimates.
OPERATIONS = {"conv 3x3 64-64": ("conv2d", "conv2d/3x3 64-64"), "batch norm + ReLU": ("batch_norm", "batch norm/with ReLU")}
CASES = {
    "resnet8": (128, 32),
    "resnet18-cifar-w16": (128, 32),
    "resnet18-cifar-w32": (128, 32),
    "resnet18-cifar": (64, 32),
    "resnet50": (8, 224),
}
# Name -> the stages' widths, and the blocks of each.
SMALL = {
    "resnet8": ([16, 32, 64], 1),
    "resnet18-cifar-w16": ([16, 32, 64, 128], 2),
    "resnet18-cifar-w32": ([32, 64, 128, 256], 2),
    "resnet18-cifar": ([64, 128, 256, 512], 2),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--binary", default="target/debug/simsiam")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--torch", nargs=2, metavar=("WHAT", "LAYOUT"), help="one PyTorch run; prints JSON")
    args = parser.parse_args()
    if args.torch:
        what, layout = args.torch
        print(json.dumps(time_operation(what, layout, args.threads) if what in OPERATIONS else time_torch(what, layout, args)))
        return
    print_table(args)
    if args.precision == "f32":
        print_operations(args)


def print_table(args):
    import torch

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.processor())
    print(f"{cpu}, {args.threads} threads, {args.precision}; PyTorch {torch.__version__}; medians of {args.runs} alternating runs\n")
    print("| step | batch | who | images/s | spread | MiB |")
    print("|---|---|---|---|---|---|")
    for arch, (batch, _) in CASES.items():
        if args.only not in arch:
            continue
        own = [args.binary, "bench", "--stage", "train", "--json", "--arch", arch, "--batch-size", str(batch), "--seconds", "12", "--precision"]
        settings = ["--steps", str(args.steps), "--threads", str(args.threads), "--precision", args.precision]
        torch_run = [sys.executable, __file__, *settings, "--torch", arch]
        this = {"this": [*own, "f32"]} if args.precision == "f32" else {"this": [*own, "bf16"], "this, f32": [*own, "f32"]}
        commands = {**this, "PyTorch, NCHW": [*torch_run, "nchw"], "PyTorch, channels last": [*torch_run, "channels_last"]}
        results = {who: [] for who in commands}
        for _ in range(args.runs):
            for who, command in commands.items():
                environment = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
                output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
                results[who].append(json.loads(output.splitlines()[-1]))
        for who, runs in results.items():
            rates = [run["images_per_s"] for run in runs]
            memory = statistics.median(run["rss_mib"] for run in runs)
            print(f"| {arch} | {batch} | {who} | {statistics.median(rates):.1f} | {min(rates):.1f} to {max(rates):.1f} | {memory:.0f} |", flush=True)


def print_operations(args):
    print("\n| operation | who | ms | spread |\n|---|---|---|---|")
    for operation, (bench, estimates) in OPERATIONS.items():
        if args.only not in operation:
            continue
        # Both keep freed memory, as the program does: else the time is that of the system handing out pages.
        keep = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "268435456"}
        own = ["cargo", "bench", "-q", "-p", "simsiam-model", "--bench", bench, "--profile", "dev"]
        environment = {**os.environ, **keep, "RAYON_NUM_THREADS": str(args.threads)}
        results = {"this": [], "nchw": [], "channels_last": []}
        for _ in range(args.runs):
            subprocess.run(own, check=True, capture_output=True, env=environment)
            results["this"].append(json.load(open(f"target/criterion/{estimates}/new/estimates.json"))["median"]["point_estimate"] / 1e6)
            for layout in ("nchw", "channels_last"):
                command = [sys.executable, __file__, "--threads", str(args.threads), "--torch", operation, layout]
                output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
                results[layout].append(json.loads(output)["ms"])
        for who, times in results.items():
            print(f"| {operation} | {who} | {statistics.median(times):.2f} | {min(times):.2f} to {max(times):.2f} |", flush=True)


def time_operation(operation, layout, threads):
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    module = nn.Conv2d(64, 64, 3, 1, 1, bias=False) if operation == "conv 3x3 64-64" else nn.Sequential(nn.BatchNorm2d(64), nn.ReLU())
    x = torch.randn(64, 64, 32, 32)
    if layout == "channels_last":
        module, x = module.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    gradient = torch.randn_like(module(x))
    times = []
    for i in range(23):
        x.grad = None
        module.zero_grad()
        start = time.perf_counter()
        module(x).backward(gradient)
        if i >= 3:
            times.append(time.perf_counter() - start)
    return {"ms": 1e3 * statistics.median(times)}


def time_torch(arch, layout, args):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    batch, size = CASES[arch]
    model = simsiam(arch)
    views = [torch.randn(batch, 3, size, size) for _ in range(2)]
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        views = [view.contiguous(memory_format=torch.channels_last) for view in views]
    sgd = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=1e-4)

    def step():
        sgd.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            z = [model["f"](view) for view in views]
            p = [model["h"](one) for one in z]
            loss = -sum(F.cosine_similarity(p[i], z[1 - i].detach()).mean() for i in range(2)) / 2
        loss.backward()
        sgd.step()

    wall = []
    for i in range(2 + args.steps):
        start = time.perf_counter()
        step()
        if i >= 2:
            wall.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images_per_s": batch / statistics.median(wall), "rss_mib": peak}


def simsiam(arch, dim=2048, hidden=512):
    import torch.nn as nn

    encoder, features = encoder_of(arch)
    widths = [features, dim, dim] if arch == "resnet50" else [features, dim]
    head = [layer for i, o in zip(widths, widths[1:]) for layer in (nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU())]
    f = nn.Sequential(encoder, *head, nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim, affine=False))
    h = nn.Sequential(nn.Linear(dim, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, dim))
    return nn.ModuleDict({"f": f, "h": h})


def encoder_of(arch):
    import torch.nn as nn
    from torchvision.models import resnet
    from torchvision.models.resnet import BasicBlock

    if arch == "resnet50":
        model = resnet.resnet50()
        model.fc = nn.Identity()
        return model, 2048
    widths, blocks = SMALL[arch]
    layers = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    channels = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            down = None
            if stride == 2:
                down = nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))
            layers.append(BasicBlock(channels, width, stride, down))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), channels


if __name__ == "__main__":
    main()
