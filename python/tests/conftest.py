"""Shards of this suite's own images."""

import io
import tarfile

import pytest
from PIL import Image


def jpeg(index: int, kind: str = "JPEG") -> bytes:
    """Stripes whose colours and size tell one image from another."""
    width, height = 24 + index % 17, 40 - index % 13
    pixels = bytes((x * (index % 7 + 2) + y * (channel + 3) + 31 * index) % 256
                   for y in range(height) for x in range(width) for channel in range(3))
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(out, kind)
    return out.getvalue()


def write_shard(path, indices, broken=()):
    with tarfile.open(path, "w") as tar:
        for index in indices:
            image = jpeg(index)
            members = {"jpg": image[: len(image) // 2] if index in broken else image, "cls": str(index % 10).encode()}
            for extension, contents in members.items():
                info = tarfile.TarInfo(f"{index:05}.{extension}")
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))


def contents(loader):
    """Everything that an epoch gives."""
    return [(b.epoch, b.step, b.keys, bytes(b.labels), *map(bytes, b.views)) for b in loader]


@pytest.fixture
def shards(tmp_path):
    """Forty images in two shards; sample i has the key and label of i."""
    write_shard(tmp_path / "train-000.tar", range(20))
    write_shard(tmp_path / "train-001.tar", range(20, 40))
    return tmp_path


@pytest.fixture
def make_loader(shards):
    """A loader of small views; arguments go over the defaults."""
    import simsiam

    def make(**arguments):
        return simsiam.Loader(shards, **{"recipe": "cifar10", "batch_size": 8, "workers": 2, "seed": 3} | arguments)

    return make


