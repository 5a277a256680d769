"""Writes losses.json: every method's loss and gradients on fixed inputs, by PyTorch in float64.

usage: python make_losses.py        (torch 2.x)

Each loss is written from its paper's equation with PyTorch's own cross_entropy and cosine_similarity where they exist.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

N, DIM, QUEUE = 6, 8, 10


def main():
    torch.manual_seed(1)
    inputs = {name: torch.randn(rows, DIM, dtype=torch.float64).mul(1e4).round().div(1e4)
              for name, rows in [("a", N), ("b", N), ("queue", QUEUE), ("c", N), ("d", N)]}
    cases = {}
    for name, loss in LOSSES.items():
        a, b = (inputs[key].clone().requires_grad_() for key in "ab")
        value = loss(a, b, inputs["queue"])
        value.backward()
        grad = lambda x: [] if x.grad is None else x.grad.flatten().tolist()
        cases[name] = {"loss": value.item(), "grad_a": grad(a), "grad_b": grad(b)}
    views = {key: inputs[key].clone().requires_grad_() for key in "abcd"}
    value = multi_crop([view / 4 for view in views.values()])
    value.backward()
    cases["swav, multi-crop"] = {"loss": value.item(), **{f"grad_{key}": view.grad.flatten().tolist() for key, view in views.items()}}
    cases["sinkhorn"] = {"codes": sinkhorn(inputs["a"] / 4, 0.05).flatten().tolist()}
    golden = {"inputs": {name: value.flatten().tolist() for name, value in inputs.items()}, "cases": cases}
    Path(__file__).with_name("losses.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def cosine(p, z):
    return -F.cosine_similarity(p, z.detach()).mean()


def channel_cross_entropy(p, z):
    return F.cross_entropy(p, z.detach().softmax(1))


def nt_xent(a, b, temperature):
    z = F.normalize(torch.cat([a, b]))
    similarities = (z @ z.T / temperature).masked_fill(torch.eye(2 * N, dtype=torch.bool), float("-inf"))
    return F.cross_entropy(similarities, (torch.arange(2 * N) + N) % (2 * N))


def info_nce(q, k, queue, temperature):
    q, k, queue = F.normalize(q), F.normalize(k.detach()), F.normalize(queue)
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(N, dtype=torch.long))


def swapped(scores1, scores2, temperature=0.1):
    codes = [sinkhorn(scores.detach(), 0.05) for scores in (scores1, scores2)]
    return (F.cross_entropy(scores1 / temperature, codes[1]) + F.cross_entropy(scores2 / temperature, codes[0])) / 2


def multi_crop(scores, temperature=0.1, coded=2):
    """Each of the first views' codes, predicted from every other view."""
    losses = []
    for i in range(coded):
        codes = sinkhorn(scores[i].detach(), 0.05)
        others = [F.cross_entropy(s / temperature, codes) for v, s in enumerate(scores) if v != i]
        losses.append(sum(others) / len(others))
    return sum(losses) / coded


def sinkhorn(scores, epsilon):
    q = (scores / epsilon).exp().T
    q /= q.sum()
    for _ in range(3):
        q /= q.sum(1, keepdim=True) * q.shape[0]
        q /= q.sum(0, keepdim=True) * q.shape[1]
    return (q * q.shape[1]).T


def barlow_twins(a, b, weight=0.0051):
    c = a.T @ b / N
    diagonal = c.diagonal()
    return (1 - diagonal).pow(2).sum() + weight * (c.pow(2).sum() - diagonal.pow(2).sum())


def vicreg(a, b):
    deviation = lambda z: (z.var(0) + 1e-4).sqrt()
    covariance = lambda z: (torch.cov(z.T) - torch.cov(z.T).diagonal().diag()).pow(2).sum() / DIM
    variance = sum(F.relu(1 - deviation(z)).mean() for z in (a, b)) / 2
    return 25 * F.mse_loss(a, b) + 25 * variance + covariance(a) + covariance(b)


LOSSES = {
    "simsiam": lambda a, b, _: (cosine(a, b) + cosine(b, a)) / 2,
    "cross-entropy": lambda a, b, _: channel_cross_entropy(a, b),
    "cross-entropy, flowing": lambda a, b, _: -(b.softmax(1) * a.log_softmax(1)).sum(1).mean(),
    "simclr 0.5": lambda a, b, _: nt_xent(a, b, 0.5),
    "simclr 0.1": lambda a, b, _: nt_xent(a, b, 0.1),
    "mocov2": lambda a, b, queue: info_nce(a, b, queue, 0.2),
    "barlow twins": lambda a, b, _: barlow_twins(a, b),
    "vicreg": lambda a, b, _: vicreg(a, b),
    "swav": lambda a, b, _: swapped(a / 4, b / 4),
}

if __name__ == "__main__":
    main()
