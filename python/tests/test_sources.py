"""Where images lie, and where their labels come from."""

import io
import json
import pickle
import tarfile
import zipfile

import pytest
from conftest import contents, jpeg, write_shard

import simsiam

CLASSES = ["cat", "dog", "owl"]


def images():
    """Thirty images, by the path of each, in the order of these."""
    return {f"{name}/{index:02}.jpg": jpeg(10 * number + index) for number, name in enumerate(CLASSES) for index in range(10)}


def write_folder(path):
    for name, image in images().items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(image)


def write_tar(path):
    with tarfile.open(path, "w") as tar:
        for name, image in images().items():
            info = tarfile.TarInfo(name)
            info.size = len(image)
            tar.addfile(info, io.BytesIO(image))


def write_zip(path, compression):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, image in images().items():
            archive.writestr(name, image)


def write_parquet(path):
    import pyarrow
    from pyarrow import parquet

    rows = [{"image": {"bytes": image, "path": name}, "label": name.split("/")[0]} for name, image in images().items()]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


SOURCES = {
    "photos": write_folder,
    "photos.tar": write_tar,
    "stored.zip": lambda path: write_zip(path, zipfile.ZIP_STORED),
    "deflated.zip": lambda path: write_zip(path, zipfile.ZIP_DEFLATED),
    "photos.parquet": write_parquet,
}


@pytest.fixture
def source(tmp_path):
    """Writes the images as a folder, a tar, a zip or a Parquet file, and gives its path."""

    def write(name):
        SOURCES[name](tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def load(tmp_path):
    """A loader of small views; arguments go over the defaults."""

    def load(shards, **arguments):
        defaults = {"recipe": "cifar10", "batch_size": 6, "workers": 2, "seed": 5, "cache_dir": tmp_path / "cache"}
        return simsiam.Loader(shards, **defaults | arguments)

    return load


def without_keys(rows):
    """An archive's keys may end in an extension that a folder's do not."""
    return [row[:2] + row[3:] for row in rows]


def labelled(loader):
    """The class of each image by its key."""
    names = loader.class_names
    pairs = [pair for batch in loader for pair in zip(batch.keys, memoryview(batch.labels))]
    return {key: names[label] if names and label >= 0 else label for key, label in pairs}


@pytest.mark.parametrize("name", SOURCES)
def test_a_run_goes_on_with_the_same_bytes_whatever_images_lie_in(source, load, name):
    own = "folders" if name.endswith(".tar") else "own"
    folder, other = source("photos"), source(name)
    expected = contents(load(folder))
    assert without_keys(contents(load(other, labels=own))) == without_keys(expected)
    first = load(folder)
    for batch in first:
        if batch.step == 1:
            break
    resumed = load(other, labels=own, seed=99)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert without_keys(contents(resumed)) == without_keys(expected[2:])


def test_labels_come_from_where_they_are_said_to(source, load, tmp_path):
    folder = source("photos")
    (folder / "cat" / "indoors").mkdir()
    (folder / "cat" / "00.jpg").rename(folder / "cat" / "indoors" / "00.jpg")
    by = lambda labels: labelled(load(folder, evaluation=True, labels=labels))
    own = by("own")
    assert len(own) == 30 and sorted(set(own.values())) == CLASSES
    assert all(key.startswith(label) for key, label in own.items())
    assert by("folders") == own
    assert sorted(set(by("parents").values())) == ["cat", "cat/indoors", "dog", "owl"]
    assert set(by("none").values()) == {-1}
    table = tmp_path / "folders"  # a path, and no word
    table.write_text("filename,label\ncat/indoors/00.jpg,tabby\ndog/03.jpg,beagle\n")
    for given in [table, str(table)]:
        names = by(given)
        assert sorted(label for label in names.values() if label != -1) == ["beagle", "tabby"]
    loader = load(folder, evaluation=True, labels=table)
    assert labelled(pickle.loads(pickle.dumps(loader))) == names


def test_a_word_is_a_path_where_it_is_no_str(source, load, tmp_path, monkeypatch):
    folder = source("photos")
    (tmp_path / "none").write_text("dog/03.jpg,beagle\n")
    monkeypatch.chdir(tmp_path)
    loader = load(folder, evaluation=True, labels=(tmp_path / "none").relative_to(tmp_path))
    assert loader.class_names == ["beagle"]
    assert pickle.loads(pickle.dumps(loader)).class_names == ["beagle"]
    assert load(folder, labels="none").class_names is None


def test_a_choice_is_of_labels_and_keys(source, load):
    folder = source("photos")
    keys = lambda **choice: {key for batch in load(folder, evaluation=True, **choice) for key in batch.keys}
    chosen = keys(select="label in [cat, owl] and not key like 'owl/0[0-4]*'")
    assert len(chosen) == 15 and all(key.startswith(("cat/", "owl/")) for key in chosen)
    half, fifth = keys(fraction=0.5), keys(fraction=0.2)
    assert [len([key for key in half if key.startswith(name)]) for name in CLASSES] == [5, 5, 5]
    assert len(fifth) == 6 and fifth < half
    assert len(keys(limit=7)) == 7 and keys(limit=7) < keys(limit=11)
    assert keys(select="label = dog", fraction=0.5, limit=3) < {key for key in keys() if key.startswith("dog/")}
    loader = load(folder, fraction=0.5)
    assert "15 of 30 samples" in repr(loader) and len(loader) == 2
    assert contents(pickle.loads(pickle.dumps(loader))) == contents(load(folder, fraction=0.5))
    with pytest.raises(ValueError, match="another choice of samples"):
        load(folder).load_state_dict(loader.state_dict())


def test_windows_hold_the_images_of_so_many_shards(tmp_path, load):
    for shard in range(4):
        write_shard(tmp_path / f"{shard}.tar", range(6 * shard, 6 * shard + 6))
    shards_of = lambda batch: {int(key) // 6 for key in batch.keys}
    loader = load(tmp_path, shuffle="window=1")
    epochs = [list(loader), list(loader)]
    for batches in epochs:
        assert all(len(shards_of(batch)) == 1 for batch in batches)
        assert set.union(*map(shards_of, batches)) == {0, 1, 2, 3}
    assert epochs[0][0].keys != sorted(epochs[0][0].keys)
    pairs = list(load(tmp_path, shuffle="window=2"))
    assert [len(shards_of(a) | shards_of(b)) for a, b in zip(pairs[::2], pairs[1::2])] == [2, 2]
    assert contents(load(tmp_path, shuffle="window=4")) == contents(load(tmp_path))
    copy = pickle.loads(pickle.dumps(load(tmp_path, shuffle="window=1")))
    assert [batch.keys for batch in copy] == [batch.keys for batch in epochs[0]]
    with pytest.raises(ValueError, match="another order"):
        load(tmp_path).load_state_dict(loader.state_dict())


def test_weights_are_the_proportions_of_every_batch(tmp_path, load):
    for name, indices in [("many", range(24)), ("few", range(24, 30))]:
        (tmp_path / name).mkdir()
        write_shard(tmp_path / name / "0.tar", indices)
    many, few = f"{tmp_path}/many/", f"{tmp_path}/few/"
    loader = load([f"{many}=0.5", f"{few}=0.5"])
    keys = [[int(key) for key in batch.keys] for batch in loader]
    assert [sum(key >= 24 for key in batch) for batch in keys] == [3] * 5
    expected = contents(load([f"{many}=0.5", f"{few}=0.5"]))
    equal = load({many: 1, few: 1.0})
    assert contents(pickle.loads(pickle.dumps(equal))) == contents(equal)
    assert [row[2] for row in contents(load({tmp_path / "many": 0.5, tmp_path / "few": 0.5}))] == [row[2] for row in expected]
    assert contents(load({many: 0.5, few: 0.5})) == expected
    rows = contents(load({many: 0.75, few: 0.25}, batch_size=8))
    assert [sum(int(key) >= 24 for key in row[2]) for row in rows] == [2] * 3
    with pytest.raises(ValueError, match="another mixture"):
        load([many, few]).load_state_dict(loader.state_dict())


def test_what_cannot_work_is_refused(source, load, tmp_path):
    folder = source("photos")
    (tmp_path / "bad.csv").write_text("cat/00.jpg,1\ncat/00.jpg,2\n")
    for arguments, kind, message in [
        ({"labels": "folder"}, FileNotFoundError, 'labels folder: no such file .*"folders"'),
        ({"labels": tmp_path / "no.csv"}, FileNotFoundError, "no.csv: no such file"),
        ({"labels": tmp_path / "bad.csv"}, ValueError, "bad.csv: line 2: another label"),
        ({"labels": None}, TypeError, "labels"),
        ({"select": "label ="}, ValueError, "select: expected .* found"),
        ({"select": "label = lion"}, ValueError, 'no sample is of the class "lion"'),
        ({"select": "key in nowhere.txt"}, FileNotFoundError, "cannot read the keys in nowhere.txt"),
        ({"fraction": 0.0}, ValueError, "fraction 0: must be above 0"),
        ({"fraction": float("nan")}, ValueError, "fraction NaN: must be above 0"),
        ({"limit": 0}, ValueError, "limit 0: must be at least 1"),
        ({"limit": 5}, ValueError, "larger than the data"),
        ({"cache_size": 0}, ValueError, "cache_size 0: must be at least 1"),
        ({"cache_size": "50GB"}, TypeError, "cache_size"),
        ({"shuffle": "window=0"}, ValueError, 'expected True, False or "window=N"'),
        ({"shuffle": "windows"}, ValueError, 'expected True, False or "window=N"'),
        ({"shuffle": 2.5}, TypeError, 'expected True, False or "window=N"'),
        ({"shards": {}}, ValueError, "no shards were named"),
        ({"shards": {folder: "much"}}, TypeError, "expected a number as its weight, not much"),
        ({"shards": {folder: 0}}, ValueError, "weights are numbers greater than 0"),
        ({"shards": {folder: float("inf")}}, ValueError, "weights are numbers greater than 0"),
        ({"shards": [f"{folder}=1", str(folder)]}, ValueError, "has no weight, where others have one"),
        ({"shards": "ftp://host/a.tar"}, ValueError, "ftp:// is not read"),
    ]:
        with pytest.raises(kind, match=message):
            load(**{"shards": folder} | arguments)
