"""The encoders of this folder in PyTorch. Needs torch, torchvision and safetensors.

    from encoder import encoder

    model, normalise = encoder("simsiam-resnet18-cifar-w16-cifar10.safetensors")
    features = model(normalise(images))          # images: batch x 3 x 32 x 32, values in 0 to 1 -> batch x 128
"""

import torch
from safetensors import safe_open
from torch import nn
from torchvision.models.resnet import BasicBlock, conv1x1


class SmallResNet18(nn.Module):
    """ResNet-18 for small images: a 3 x 3 stem, no max-pooling, stages of `width`, 2, 4 and 8 times as many channels. Names as torchvision's."""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.layer1 = self.stage(width, width, stride=1)
        self.layer2 = self.stage(width, 2 * width, stride=2)
        self.layer3 = self.stage(2 * width, 4 * width, stride=2)
        self.layer4 = self.stage(4 * width, 8 * width, stride=2)

    @staticmethod
    def stage(width_in, width, stride):
        downsample = nn.Sequential(conv1x1(width_in, width, stride), nn.BatchNorm2d(width)) if stride > 1 else None
        return nn.Sequential(BasicBlock(width_in, width, stride, downsample), BasicBlock(width, width))

    def forward(self, images):
        x = self.bn1(self.conv1(images)).relu()
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))


def encoder(path):
    """The network in evaluation mode, and the function that normalises its images as in training."""
    with safe_open(path, "pt") as file:
        weights = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    model = SmallResNet18(weights["conv1.weight"].shape[0])
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    mean, std = (torch.tensor([float(v) for v in metadata[key].split()]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return model.eval(), lambda images: (images - mean) / std
