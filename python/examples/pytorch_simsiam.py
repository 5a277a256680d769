"""SimSiam in PyTorch on this loader: Algorithm 1 of Chen & He 2021 (arXiv 2011.10566), with checkpoints that resume exactly.

python pytorch_simsiam.py --steps 20 --checkpoint run.pt     # again with more steps: goes on where it stopped
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import drawn
import torch
import torch.nn.functional as F
from torch import nn

import simsiam


class SimSiam(nn.Module):
    """A small encoder f with its projector, and the predictor h."""

    def __init__(self, width: int = 32, dim: int = 128):
        super().__init__()

        def conv(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
            )

        self.encoder = nn.Sequential(
            conv(3, width), conv(width, 2 * width), conv(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(4 * width, dim, bias=False), nn.BatchNorm1d(dim), nn.ReLU(),
            nn.Linear(dim, dim, bias=False), nn.BatchNorm1d(dim, affine=False),
        )  # fmt: skip
        self.predictor = nn.Sequential(
            nn.Linear(dim, dim // 4, bias=False), nn.BatchNorm1d(dim // 4), nn.ReLU(), nn.Linear(dim // 4, dim)
        )

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        """The symmetric loss of two views, -1 at best."""
        z1, z2 = self.encoder(x1), self.encoder(x2)
        p1, p2 = self.predictor(z1), self.predictor(z2)
        return -(F.cosine_similarity(p1, z2.detach()).mean() + F.cosine_similarity(p2, z1.detach()).mean()) / 2


class Run:
    """Model, optimiser and loader: what a checkpoint holds."""

    def __init__(self, loader: simsiam.Loader, seed: int = 0):
        torch.manual_seed(seed)
        self.loader = loader
        self.model = SimSiam()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)

    def losses(self) -> Iterator[float]:
        """Trains without end, a step for each loss."""
        while True:
            for batch in self.loader:
                loss = self.model(torch.from_dlpack(batch.view1), torch.from_dlpack(batch.view2))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                yield loss.item()

    def state_dict(self) -> dict:
        parts = {"model": self.model, "optimizer": self.optimizer, "loader": self.loader}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", nargs="+", help="default: a few hundred drawn images")
    parser.add_argument("--recipe", default="cifar10")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--checkpoint", type=Path)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        shards = arguments.shards or drawn.shards(Path(folder))
        with simsiam.Loader(shards, arguments.recipe, arguments.batch_size, arguments.workers) as loader:
            run = Run(loader)
            if arguments.checkpoint and arguments.checkpoint.exists():
                run.load_state_dict(torch.load(arguments.checkpoint))
            for step, loss in zip(range(arguments.steps), run.losses()):
                print(f"step {step}  loss {loss:.4f}")
            if arguments.checkpoint:
                torch.save(run.state_dict(), arguments.checkpoint)


if __name__ == "__main__":
    main()
