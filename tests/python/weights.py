"""Checks that weights give the same features in PyTorch, ONNX Runtime and this program, on 64 images.

usage: python3 tests/python/weights.py SIMSIAM [--archs resnet8,resnet18-cifar,resnet18,resnet50]
Needs: torch, torchvision, safetensors, onnxruntime, numpy, Pillow. SIMSIAM is the program, such as target/debug/simsiam.

For each architecture: random weights from PyTorch -> `simsiam import` -> `simsiam export` (the same bits, and torchvision misses only `fc`) -> `simsiam
embed` and ONNX Runtime compared with PyTorch. Ends with exit code 1 if a relative error is 1e-4 or more.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import torch
import torch.nn as nn
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import transforms as T
from torchvision.models.resnet import BasicBlock, conv1x1

IMAGES = 64
BOUND = 1e-4
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


class CifarResNet(nn.Module):
    """He et al.'s ResNet for 32 x 32 images, with projection shortcuts: `blocks` is 1 for ResNet-8, 3 for ResNet-20."""

    def __init__(self, blocks):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            self.stage(*widths, blocks) for widths in ((16, 16), (16, 32), (32, 64)))
        self.fc = nn.Linear(64, 10)

    @staticmethod
    def stage(width_in, width, blocks):
        stride = width // width_in
        downsample = nn.Sequential(conv1x1(width_in, width, 2), nn.BatchNorm2d(width)) if stride == 2 else None
        first = BasicBlock(width_in, width, stride, downsample)
        return nn.Sequential(first, *(BasicBlock(width, width) for _ in range(blocks - 1)))

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.bn1(self.conv1(x)).relu())))
        return self.fc(x.mean((2, 3)))


def resnet18_cifar():
    """torchvision's ResNet-18 with a stem for 32 x 32 images."""
    model = torchvision.models.resnet18()
    model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return model


sys.path.append(str(pathlib.Path(__file__).parents[2] / "zoo"))
from encoder import SmallResNet18  # noqa: E402

MODELS = {
    "resnet18-cifar-w16": lambda: SmallResNet18(16),
    "resnet18-cifar-w32": lambda: SmallResNet18(32),
    "resnet8": lambda: CifarResNet(1),
    "resnet20": lambda: CifarResNet(3),
    "resnet18-cifar": resnet18_cifar,
    "resnet18": torchvision.models.resnet18,
    "resnet34": torchvision.models.resnet34,
    "resnet50": torchvision.models.resnet50,
}


def randomise(model):
    """Batch norm as after training: nothing is left at 0 or 1, where a mistake would not show."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.0)
        nn.init.normal_(norm.bias, std=0.1)
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)


def make_images(folder):
    """Smooth random pictures, 40 to 300 pixels a side, as PNG."""
    random = np.random.default_rng(0)
    (folder / "class").mkdir(parents=True)
    for i in range(IMAGES):
        small = Image.fromarray(random.integers(0, 256, (7, 7, 3), dtype=np.uint8))
        small.resize(tuple(random.integers(40, 300, 2)), Image.Resampling.BICUBIC).save(folder / "class" / f"{i:03}.png")


def plain(size):
    """torchvision's transform for evaluation: 32 pixels are resized to and not cropped, 224 are cropped out of 256."""
    mean, std = CIFAR if size == 32 else IMAGENET
    return T.Compose([T.Resize(32 if size == 32 else 256), T.CenterCrop(size), T.ToTensor(), T.Normalize(mean, std)])


def relative_error(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(arch, simsiam, shards, images, folder):
    """The greatest relative errors of `simsiam embed` and of ONNX Runtime."""
    run = lambda *arguments: subprocess.run([simsiam, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    model = MODELS[arch]().eval()
    randomise(model)
    save_file(model.state_dict(), folder / "theirs.safetensors")
    run("import", folder / "theirs.safetensors", "--run-dir", folder / "run")
    run("export", folder / "run", "--format", "torch", "--out", folder / "ours.safetensors")
    run("export", folder / "run", "--format", "onnx", "--out", folder / "ours.onnx")
    run("embed", folder / "run", "--shards", shards, "--out", folder / "features.npy")

    exported = load_file(folder / "ours.safetensors")
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in exported.items())
    other = MODELS[arch]()
    left = other.load_state_dict(exported, strict=False)
    classifier = {"fc.weight", "fc.bias"} & set(other.state_dict())
    assert set(left.missing_keys) == classifier and not left.unexpected_keys, left
    other.fc = nn.Identity()

    size = 224 if arch in ("resnet18", "resnet34", "resnet50") else 32
    transform = plain(size)
    keys = (folder / "features.keys.txt").read_text().split("\n")[:IMAGES]
    pixels = torch.stack([transform(Image.open(images / f"{key}.png").convert("RGB")) for key in keys])
    with torch.no_grad():
        expected = other.eval()(pixels).numpy()
    onnx = onnxruntime.InferenceSession(folder / "ours.onnx").run(["features"], {"images": pixels.numpy()})[0]
    return relative_error(np.load(folder / "features.npy"), expected), relative_error(onnx, expected)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("simsiam")
    parser.add_argument("--archs", default="resnet8,resnet18-cifar,resnet18,resnet50")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        make_images(folder / "images")
        subprocess.run([arguments.simsiam, "pack", folder / "images", folder / "shards"], check=True, stdout=subprocess.DEVNULL)
        print("| | simsiam embed | ONNX Runtime |\n|---|---|---|")
        for arch in arguments.archs.split(","):
            (folder / arch).mkdir()
            errors = check(arch, arguments.simsiam, folder / "shards", folder / "images", folder / arch)
            print(f"| {arch} | {errors[0]:.1e} | {errors[1]:.1e} |", flush=True)
            worst = max(worst, *errors)
    sys.exit(worst >= BOUND)


main()
