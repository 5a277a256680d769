"""The preset `cifar10` in PyTorch, for comparison with this project's runs: the same shards, read by Pillow and torchvision.

usage: python3 simsiam_cifar.py 'cifar10/train-*.tar' cifar10/test-000.tar [--epochs 10] [--batch-size 128] [--seed 0]
           [--stop-gradient false] [--knn-every 2]
Needs: torch, torchvision. Prints one line every --log-every steps and one per epoch, with the columns of `simsiam train`.
"""
import argparse
import glob
import io
import math
import tarfile
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
DIM, HIDDEN = 2048, 512


def read_shards(pattern):
    """(JPEG, label) of every sample, in the shards' order."""
    samples = []
    for path in sorted(glob.glob(pattern)):
        members = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, suffix = member.name.rsplit(".", 1)
                members.setdefault(key, {})[suffix] = tar.extractfile(member).read()
        samples += [(m["jpg"], int(m["cls"])) for m in members.values()]
    return samples


class Views(Dataset):
    """`count` views of each sample."""

    def __init__(self, samples, transform, count):
        self.samples, self.transform, self.count = samples, transform, count

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        jpeg, label = self.samples[i]
        image = Image.open(io.BytesIO(jpeg)).convert("RGB")
        return [self.transform(image) for _ in range(self.count)], label


PLAIN = T.Compose([T.ToTensor(), T.Normalize(MEAN, STD)])
AUGMENTED = T.Compose([
    T.RandomResizedCrop(32, scale=(0.2, 1.0)),
    T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
    T.RandomGrayscale(p=0.2),
    T.RandomHorizontalFlip(),
    PLAIN,
])


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        nn.init.zeros_(self.bn2.weight)
        self.downsample = nn.Sequential()
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class SimSiam(nn.Module):
    """ResNet-8 with the heads of appendix D."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        for module in self.encoder.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.projector = nn.Sequential(
            nn.Linear(64, DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU(),
            nn.Linear(DIM, DIM, bias=False), nn.BatchNorm1d(DIM, affine=False))
        self.predictor = nn.Sequential(
            nn.Linear(DIM, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIM))

    def forward(self, x):
        z = self.projector(self.encoder(x))
        return z, self.predictor(z)


@torch.no_grad()
def features(model, samples):
    model.eval()
    loader = DataLoader(Views(samples, PLAIN, 1), 500)
    pairs = [(F.normalize(model.encoder(views[0])), labels) for views, labels in loader]
    model.train()
    return torch.cat([f for f, _ in pairs]), torch.cat([labels for _, labels in pairs])


def knn_top1(model, train, test, k=200, temperature=0.1):
    (bank, bank_labels), (queries, labels) = features(model, train), features(model, test)
    hits = 0
    for block, truth in zip(queries.split(500), labels.split(500)):
        similarity, index = (block @ bank.T).topk(k)
        votes = torch.zeros(len(block), 10)
        votes.scatter_add_(1, bank_labels[index], (similarity / temperature).exp())
        hits += (votes.argmax(1) == truth).sum().item()
    return 100.0 * hits / len(labels)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("train")
    ap.add_argument("test")
    ap.add_argument("--epochs", type=int, default=10)
    ap.add_argument("--stop-after", type=int, default=None, help="epochs to run of the schedule's --epochs")
    ap.add_argument("--batch-size", type=int, default=128)
    ap.add_argument("--base-lr", type=float, default=0.03)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--stop-gradient", choices=["true", "false"], default="true")
    ap.add_argument("--knn-every", type=int, default=2)
    ap.add_argument("--log-every", type=int, default=10)
    ap.add_argument("--workers", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    train, test = read_shards(args.train), read_shards(args.test)
    model = SimSiam()
    base = args.base_lr * args.batch_size / 256
    groups = [[*model.encoder.parameters(), *model.projector.parameters()], list(model.predictor.parameters())]
    optimizer = torch.optim.SGD([{"params": group} for group in groups], base, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(Views(train, AUGMENTED, 2), args.batch_size, shuffle=True, drop_last=True, num_workers=args.workers)
    steps, step = args.epochs * len(loader), 0
    if args.knn_every:
        print(f"untrained: kNN top-1 {knn_top1(model, train, test):.2f} %", flush=True)
    for epoch in range(1, (args.stop_after or args.epochs) + 1):
        total = 0.0
        for (view1, view2), _ in loader:
            optimizer.param_groups[0]["lr"] = base * 0.5 * (1 + math.cos(math.pi * step / steps))
            (z1, p1), (z2, p2) = model(view1), model(view2)
            t1, t2 = (z1.detach(), z2.detach()) if args.stop_gradient == "true" else (z1, z2)
            loss = -(F.cosine_similarity(p1, t2).mean() + F.cosine_similarity(p2, t1).mean()) / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step, total = step + 1, total + loss.item()
            if step % args.log_every == 0:
                z_std = sum(F.normalize(z.detach()).std(0).mean().item() for z in (z1, z2)) / 2
                clock = time.strftime("%H:%M:%S")
                print(f"{clock} epoch {epoch}/{args.epochs}  step {step}/{steps}  loss {loss.item():.4f}  "
                      f"z_std {z_std:.4f} (1/sqrt(d) {DIM ** -0.5:.4f})", flush=True)
        knn = ""
        if args.knn_every and (epoch % args.knn_every == 0 or epoch == args.epochs):
            knn = f", kNN top-1 {knn_top1(model, train, test):.2f} %"
        print(f"epoch {epoch}/{args.epochs} done: mean loss {total / len(loader):.4f}{knn}", flush=True)


if __name__ == "__main__":
    main()
