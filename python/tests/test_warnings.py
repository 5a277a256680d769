"""What no sample uses is said."""

import io
import tarfile

import pytest
from conftest import jpeg


def test_images_that_no_sample_uses_are_warned_of_each_time(shards, make_loader):
    with tarfile.open(shards / "train-000.tar", "a") as tar:
        for name in ["photo.1.jpg", "photo.2.jpg"]:
            info = tarfile.TarInfo(name)
            info.size = len(jpeg(0))
            tar.addfile(info, io.BytesIO(jpeg(0)))
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 image is not used: 1 with a further dot in the name"):
            make_loader()
