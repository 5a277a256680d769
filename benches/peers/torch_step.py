"""PyTorch's rate of SimSiam steps on the CPU: both views forward, backward, and the SGD update, in float32, eager.

usage: python3 torch_step.py ARCH [--batch-size N] [--layout nchw|channels_last] [--threads N] [--seconds S]
Prints versions and `images_per_s: N`, the median over five windows; an image is two views. ARCH is resnet8 or resnet18-cifar
(at 32 pixels, projector of 2 layers) or resnet50 (at 224, projector of 3 layers).
Needs: torch, torchvision.
"""
import argparse
import resource
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

DIM, HIDDEN = 2048, 512


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = nn.Sequential()
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + self.downsample(x), inplace=True)


def encoder(arch):
    """The encoder, its features, the images' size, and the projector's layers."""
    if arch == "resnet8":
        layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
                  Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*layers), 64, 32, 2
    if arch == "resnet18-cifar":
        model = torchvision.models.resnet18()
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = model.fc = nn.Identity()
        return model, 512, 32, 2
    model = torchvision.models.resnet50()
    model.fc = nn.Identity()
    return model, 2048, 224, 3


class SimSiam(nn.Module):
    def __init__(self, arch):
        super().__init__()
        self.encoder, features, self.size, layers = encoder(arch)
        widths = [features] + [DIM] * layers
        projector = []
        for width_in, width in zip(widths[:-2], widths[1:-1]):
            projector += [nn.Linear(width_in, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        self.projector = nn.Sequential(*projector, nn.Linear(DIM, DIM, bias=False), nn.BatchNorm1d(DIM, affine=False))
        self.predictor = nn.Sequential(
            nn.Linear(DIM, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(inplace=True), nn.Linear(HIDDEN, DIM))

    def forward(self, x1, x2):
        z1, z2 = self.projector(self.encoder(x1)), self.projector(self.encoder(x2))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()) / 2


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("arch", choices=["resnet8", "resnet18-cifar", "resnet50"])
    ap.add_argument("--batch-size", type=int, default=128)
    ap.add_argument("--layout", choices=["nchw", "channels_last"], default="nchw")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seconds", type=float, default=12)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    model = SimSiam(args.arch)
    views = [torch.randn(args.batch_size, 3, model.size, model.size) for _ in range(2)]
    if args.layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        views = [view.contiguous(memory_format=torch.channels_last) for view in views]
    heads = list(model.predictor.parameters())
    rest = [*model.encoder.parameters(), *model.projector.parameters()]
    optimizer = torch.optim.SGD([{"params": rest}, {"params": heads}], 0.05, momentum=0.9, weight_decay=1e-4)

    def rate(seconds):
        started, images = time.perf_counter(), 0
        while images == 0 or time.perf_counter() - started < seconds:
            optimizer.zero_grad()
            model(*views).backward()
            optimizer.step()
            images += args.batch_size
        return images / (time.perf_counter() - started)

    rate(args.seconds / 6)
    rates = [rate(args.seconds / 6) for _ in range(5)]
    print(f"versions: torch {torch.__version__}, {args.layout}")
    print(f"peak_rss_mib: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")
    print(f"images_per_s: {statistics.median(rates):.1f}")


if __name__ == "__main__":
    main()
