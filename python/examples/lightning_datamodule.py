"""The loader as a Lightning DataModule: every rank takes its share, and checkpoints hold the place in the data."""

import tempfile
from pathlib import Path

import drawn
import lightning as L
import torch
from pytorch_simsiam import SimSiam

import simsiam


class Views(L.LightningDataModule):
    """Two augmented views of each image to train on. `batch_size` is that of all ranks together."""

    def __init__(self, shards: str, recipe: str = "cifar10", batch_size: int = 32, workers: int = 4, seed: int = 0):
        super().__init__()
        self.arguments = {"recipe": recipe, "batch_size": batch_size, "workers": workers, "seed": seed}
        self.shards = shards
        self.loader: simsiam.Loader | None = None
        self.restored: dict | None = None

    def train_dataloader(self) -> simsiam.Loader:
        trainer = self.trainer
        self.loader = simsiam.Loader(
            self.shards, rank=trainer.global_rank, world_size=trainer.world_size, **self.arguments
        )
        if self.restored:
            self.loader.load_state_dict(self.restored)
        return self.loader

    def state_dict(self) -> dict:
        return {"loader": self.loader.state_dict()} if self.loader else {}

    def load_state_dict(self, state: dict) -> None:
        self.restored = state.get("loader")

    def transfer_batch_to_device(self, batch: simsiam.Batch, device: torch.device, dataloader_idx: int):
        return tuple(torch.from_dlpack(view).to(device, non_blocking=True) for view in batch.views)

    def teardown(self, stage: str) -> None:
        if self.loader:
            self.loader.close()


class Model(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = SimSiam()

    def training_step(self, views, _):
        loss = self.network(*views)
        self.log("loss", loss, prog_bar=True, batch_size=len(views[0]))
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Views(str(drawn.shards(Path(folder, "shards"))))
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = L.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=folder, **quiet)
        trainer.fit(Model(), data)
        print(f"epochs {trainer.current_epoch}  steps {trainer.global_step}  loss {trainer.callback_metrics['loss']:.4f}")


if __name__ == "__main__":
    main()
