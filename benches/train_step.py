"""Runs SimSiam steps of this project and of PyTorch alternately on the same cores and prints a table.

usage: python benches/train_step.py [--runs 5] [--threads 2] [--only resnet8]
Needs torch and torchvision, and the built program, `cargo build` (or another one, with `--binary`).

Both compute the same step: two views forward, the symmetric loss, backward, SGD with momentum; fp32; the same encoder,
projector (2048) and predictor (512). PyTorch runs eagerly, with NCHW and with channels-last tensors.
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

CASES = {"resnet8": (128, 32), "resnet18-cifar": (64, 32), "resnet50": (8, 224)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--binary", default="target/debug/simsiam")
    parser.add_argument("--torch", nargs=2, metavar=("ARCH", "LAYOUT"), help="one PyTorch run; prints JSON")
    args = parser.parse_args()
    if args.torch:
        print(json.dumps(time_torch(*args.torch, args.steps, args.threads)))
        return
    print_table(args)


def print_table(args):
    import torch

    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), platform.processor())
    print(f"{cpu}, {args.threads} threads; PyTorch {torch.__version__}; medians of {args.runs} alternating runs\n")
    print("| step | batch | who | images/s | spread | MiB |")
    print("|---|---|---|---|---|---|")
    for arch, (batch, _) in CASES.items():
        if args.only not in arch:
            continue
        own = [args.binary, "bench", "--stage", "train", "--json", "--arch", arch, "--batch-size", str(batch), "--seconds", "12"]
        torch_run = [sys.executable, __file__, "--steps", str(args.steps), "--threads", str(args.threads), "--torch", arch]
        commands = {"this": own, "PyTorch, NCHW": [*torch_run, "nchw"], "PyTorch, channels last": [*torch_run, "channels_last"]}
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


def time_torch(arch, layout, steps, threads):
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
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
        z = [model["f"](view) for view in views]
        p = [model["h"](one) for one in z]
        loss = -sum(F.cosine_similarity(p[i], z[1 - i].detach()).mean() for i in range(2)) / 2
        loss.backward()
        sgd.step()

    wall = []
    for i in range(2 + steps):
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
    widths, blocks = {"resnet8": ([16, 32, 64], 1), "resnet18-cifar": ([64, 128, 256, 512], 2)}[arch]
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
