"""Writes step.json: SimSiam steps of the CIFAR ResNet-18 in PyTorch, in float64, for tests/golden_step.rs.

usage: python3 make_golden.py
Needs: torch, torchvision.

Parameters and images are a hash of their name and index, so both sides make the same ones and no weights are stored.
For each tensor the file holds its norm, four projections on hashed signs, and elements at hashed places.
"""
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision

SEED = 0  # the first that keeps the margin
BATCH, DIM, HIDDEN = 8, 2048, 512
BASE_RATE, PREDICTOR_RATE, MOMENTUM, WEIGHT_DECAY = 0.05, 0.1, 0.9, 1e-4
SAMPLES, PROJECTIONS = 48, 4
# A ReLU's input nearer to 0 than this could fall on the other side in float32, which no tolerance allows for.
MARGIN = 5e-6

torch.set_default_dtype(torch.float64)


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def hashes(name, n):
    """splitmix64 of the name's hash and 0..n."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a(f"{SEED}.{name}")) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, n):
    """Values in [-1, 1)."""
    return (hashes(name, n) >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def initial(name, shape):
    """As float32 values, which both sides hold exactly.

    A channel of a 2-d batch norm is shifted by 4 either way, the same way wherever channels are added, so that few of
    the millions of ReLU inputs are near 0. The last stage's sums are not, or the features would hardly vary.
    """
    n = int(np.prod(shape))
    u = uniform(name, n)
    if len(shape) > 1:
        value = u * np.sqrt(6.0 / np.prod(shape[1:]))
    elif name.endswith(("running_var", "weight")):
        value = 1.0 + 0.2 * u
    elif name.endswith("bias") and name.startswith("encoder") and (".layer4." not in name or "bn1" in name):
        value = 0.1 * u + 4.0 * sign("channel", n)
    else:
        value = 0.3 * u
    return torch.from_numpy(value.astype(np.float32).astype(np.float64).reshape(shape))


def sign(name, n):
    return (hashes(name, n) >> np.uint64(63)).astype(np.float64) * 2.0 - 1.0


def images(view):
    """Each image has its own colour and coarse pattern, under some noise."""
    colour = uniform(f"{view}.colour", BATCH * 3).reshape(BATCH, 3, 1, 1)
    pattern = uniform(f"{view}.pattern", BATCH * 3 * 16).reshape(BATCH, 3, 4, 4).repeat(8, 2).repeat(8, 3)
    noise = uniform(f"{view}.noise", BATCH * 3 * 32 * 32).reshape(BATCH, 3, 32, 32)
    return torch.from_numpy((2.0 * colour + pattern + 0.25 * noise).astype(np.float32).astype(np.float64))


class SimSiam(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torchvision.models.resnet18()
        self.encoder.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.encoder.maxpool = self.encoder.fc = nn.Identity()
        self.projector = nn.Sequential(
            nn.Linear(512, DIM, bias=False), nn.BatchNorm1d(DIM), nn.ReLU(),
            nn.Linear(DIM, DIM, bias=False), nn.BatchNorm1d(DIM, affine=False))
        self.predictor = nn.Sequential(
            nn.Linear(DIM, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIM))
        for name, value in self.state_dict().items():
            if value.is_floating_point():
                value.copy_(initial(name, tuple(value.shape)))

    def forward(self, first, second, stop_gradient):
        z1, z2 = (self.projector(self.encoder(x)) for x in (first, second))
        p1, p2 = self.predictor(z1), self.predictor(z2)
        target = torch.Tensor.detach if stop_gradient else lambda z: z
        similarity = lambda p, z: F.cosine_similarity(p, target(z)).mean()
        return -(similarity(p1, z2) + similarity(p2, z1)) / 2


def digest(name, value):
    v = value.detach().numpy().reshape(-1)
    places = hashes(f"{name}.places", SAMPLES) % np.uint64(len(v))
    number = lambda x: float(f"{x:.8g}")
    return {
        "norm": number(np.linalg.norm(v)),
        "projections": [number(v @ sign(f"{name}.projection{i}", len(v))) for i in range(PROJECTIONS)],
        "samples": [number(v[int(i)]) for i in places],
    }


def gradients(model):
    return {name: digest(name, p.grad) for name, p in model.named_parameters()}


def values(model):
    return {name: digest(name, v) for name, v in model.state_dict().items() if v.is_floating_point()}


def watch_margin(model):
    nearest = [np.inf]
    hook = lambda _, inputs: nearest.__setitem__(0, min(nearest[0], inputs[0].abs().min().item()))
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
            module.register_forward_pre_hook(hook)
    return nearest


def two_steps(views):
    """Digests of two steps, or None when a ReLU's input comes too near to 0 in one of them."""
    model = SimSiam()
    nearest = watch_margin(model)
    groups = [
        {"params": [*model.encoder.parameters(), *model.projector.parameters()], "lr": BASE_RATE},
        {"params": model.predictor.parameters(), "lr": PREDICTOR_RATE},
    ]
    sgd = torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    steps = []
    for step in range(2):
        sgd.zero_grad()
        loss = model(*views, stop_gradient=True)
        print("seed", SEED, "step", step, "nearest ReLU input", nearest[0], flush=True)
        if nearest[0] < MARGIN:
            return None
        loss.backward()
        grads = gradients(model)
        sgd.step()
        steps.append({"loss": loss.item(), "gradients": grads, "values": values(model)})
    return steps


def flowing(views):
    model = SimSiam()
    loss = model(*views, stop_gradient=False)
    loss.backward()
    return {"loss": loss.item(), "gradients": gradients(model)}


def main():
    global SEED
    for SEED in range(100):
        views = images("view1"), images("view2")
        if steps := two_steps(views):
            break
    golden = {"seed": SEED, "steps": steps, "flowing": flowing(views)}
    path = Path(__file__).with_name("step.json")
    path.write_text(json.dumps(golden, separators=(",", ":")))
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
