"""Shards that the webdataset package and others write."""

import io
import json
import tarfile

import pytest
from conftest import jpeg

import simsiam


def samples(path):
    loader = simsiam.Loader(path, "cifar10", batch_size=4, workers=1, evaluation=True)
    return [(key, label) for batch in loader for key, label in zip(batch.keys, memoryview(batch.labels))]


def test_webdatasets_writer(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.TarWriter(str(tmp_path / "a.tar")) as sink:
        sink.write({"__key__": "n01/0", "jpg": jpeg(0), "cls": 7, "json": {"label": 1}, "txt": "a caption"})
        sink.write({"__key__": "n01/1", "png": jpeg(1, "PNG"), "json": {"label": 5, "caption": "x"}})
        sink.write({"__key__": "n02/2", "left.webp": jpeg(2, "WEBP"), "txt": "no label"})
        sink.write({"__key__": "n02/3", "jpeg": jpeg(3), "json": {"label": "cat"}})
    assert samples(tmp_path) == [("n01/0", 7), ("n01/1", 5), ("n02/2", -1), ("n02/3", -1)]


def test_webdatasets_shards_and_their_index(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.ShardWriter(str(tmp_path / "train-%06d.tar"), maxcount=3, verbose=0) as sink:
        for index in range(8):
            sink.write({"__key__": f"{index:04}", "jpg": jpeg(index), "cls": index})
    expected = [(f"{index:04}", index) for index in range(8)]
    assert samples(str(tmp_path / "train-{000000..000002}.tar")) == expected
    index = tmp_path / "shardindex.json"
    shards = [{"url": path.name, "nsamples": 3, "filesize": path.stat().st_size} for path in tmp_path.glob("*.tar")]
    index.write_text(json.dumps({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": shards}))
    assert samples(index) == expected


def test_img2datasets_folder(tmp_path):
    with tarfile.open(tmp_path / "00000.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for index in range(4):
            meta = {"key": f"{index:09}", "status": "success", "caption": "ä", "width": 40, "label": index}
            for name, contents in [("jpg", jpeg(index)), ("json", json.dumps(meta).encode()), ("txt", "ä".encode())]:
                info = tarfile.TarInfo(f"{index:09}.{name}")
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))
    (tmp_path / "00000.parquet").write_bytes(b"PAR1")
    (tmp_path / "00000_stats.json").write_text("{}")
    assert samples(tmp_path) == [(f"{index:09}", index) for index in range(4)]
