"""Writes optimizers.json: steps of LARS and AdamW on fixed gradients, by PyTorch in float64, for tests/optimizers.rs.

usage: python make_optimizers.py        (torch 2.x)

AdamW is torch.optim.AdamW. PyTorch has no LARS: it is written here from You et al. 2017 with what SimCLR and BYOL leave
out for tensors of one dimension (weight decay and the ratio).
"""

import json
from pathlib import Path

import torch

SHAPES = {"weight": (5, 7), "zero": (3, 4), "bias": (7,)}
RATES = [0.5, 0.5, 0.25, 0.125, 0.0625, 0.03125]
ADAM_RATES = [rate / 16 for rate in RATES]
MOMENTUM, LARS_DECAY, TRUST = 0.9, 0.03125, 0.001
BETAS, EPSILON, ADAM_DECAY = (0.9, 0.999), 1e-8, 0.0625


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(3)
    exact = lambda values: values.float().double()  # as float32 values, which both sides hold exactly
    initial = {name: exact(torch.randn(shape)) for name, shape in SHAPES.items()}
    initial["zero"].zero_()
    gradients = [{name: exact(torch.randn(shape) * 10.0 ** -step) for name, shape in SHAPES.items()}
                 for step in range(len(RATES))]
    golden = {
        "shapes": SHAPES,
        "initial": flat(initial),
        "gradients": [flat(step) for step in gradients],
        "lars": {"rates": RATES, "momentum": MOMENTUM, "weight_decay": LARS_DECAY, "trust": TRUST,
                 "steps": lars(initial, gradients)},
        "adamw": {"rates": ADAM_RATES, "betas": BETAS, "epsilon": EPSILON, "weight_decay": ADAM_DECAY,
                  "steps": adamw(initial, gradients)},
    }
    Path(__file__).with_name("optimizers.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def lars(initial, gradients):
    parameters = {name: value.clone() for name, value in initial.items()}
    velocities = {name: torch.zeros_like(value) for name, value in initial.items()}
    steps = []
    for rate, step in zip(RATES, gradients):
        for name, p in parameters.items():
            update = step[name]
            if p.dim() > 1:
                update = update + LARS_DECAY * p
                if p.norm() > 0 and update.norm() > 0:
                    update = TRUST * p.norm() / update.norm() * update
            velocities[name].mul_(MOMENTUM).add_(update)
            p.sub_(rate * velocities[name])
        steps.append(flat(parameters))
    return steps


def adamw(initial, gradients):
    parameters = {name: value.clone().requires_grad_() for name, value in initial.items()}
    optimizer = torch.optim.AdamW(parameters.values(), betas=BETAS, eps=EPSILON, weight_decay=ADAM_DECAY)
    steps = []
    for rate, step in zip(ADAM_RATES, gradients):
        optimizer.param_groups[0]["lr"] = rate
        for name, p in parameters.items():
            p.grad = step[name].clone()
        optimizer.step()
        steps.append(flat(parameters))
    return steps


def flat(tensors):
    return {name: value.detach().flatten().tolist() for name, value in tensors.items()}


if __name__ == "__main__":
    main()
