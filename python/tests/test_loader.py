"""Epochs, state, and what is refused."""

import json
import pickle
import threading
import time
import types

import numpy as np
import pytest
from conftest import contents, write_shard

import simsiam


def test_an_epoch_is_every_image_once(make_loader):
    loader = make_loader()
    assert len(loader) == 5
    batches = list(loader)
    assert [(len(b), b.epoch, b.step) for b in batches] == [(8, 0, step) for step in range(5)]
    keys = [key for batch in batches for key in batch.keys]
    assert sorted(keys) == [f"{index:05}" for index in range(40)]
    assert [int(key) % 10 for key in keys] == [label for b in batches for label in memoryview(b.labels)]


def test_workers_change_nothing_and_seeds_and_epochs_do(make_loader):
    first = contents(make_loader(workers=1))
    assert first == contents(make_loader(workers=4))
    assert first != contents(make_loader(seed=4))
    loader = make_loader()
    assert contents(loader) == first
    second = contents(loader)
    assert [row[0] for row in second] == [1] * 5 and second[0][4:] != first[0][4:]
    loader.set_epoch(1)
    assert contents(loader) == second
    assert contents(make_loader(epoch=1)) == second


def test_an_iteration_that_was_broken_off_begins_anew(make_loader):
    loader = make_loader()
    old = iter(loader)
    first = next(old).keys
    assert next(iter(loader)).keys == first
    with pytest.raises(RuntimeError, match="another iteration"):
        next(old)


@pytest.mark.parametrize("taken", [0, 1, 4, 5, 7])
def test_a_state_goes_on_with_the_same_bytes(make_loader, taken):
    whole = make_loader()
    expected = contents(whole) + contents(whole)
    loader = make_loader()
    for number, _ in enumerate(batch for _ in range(2) for batch in loader):
        if number + 1 == taken:
            break
    state = json.loads(json.dumps((loader if taken else make_loader()).state_dict()))
    resumed = make_loader(workers=3, seed=99)
    resumed.load_state_dict(state)
    rest = [row for _ in range(state["epoch"], 2) for row in contents(resumed)]
    assert rest == expected[taken:]


def test_set_epoch_leaves_a_restored_loader_where_it_is(make_loader):
    loader = make_loader()
    iterator = iter(loader)
    next(iterator), next(iterator)
    resumed = make_loader()
    resumed.load_state_dict(loader.state_dict())
    resumed.set_epoch(0)
    assert next(iter(resumed)).step == 2


def test_ranks_share_the_batch(make_loader):
    whole = [batch.keys for batch in make_loader()]
    ranks = [[batch.keys for batch in make_loader(rank=rank, world_size=2)] for rank in range(2)]
    assert [a + b for a, b in zip(*ranks)] == whole


def test_a_batch_unpacks_into_its_views_and_labels(make_loader):
    batch = next(iter(make_loader()))
    x1, x2, labels = batch
    assert (bytes(x1), bytes(x2), bytes(labels)) == (bytes(batch.view1), bytes(batch.view2), bytes(batch.labels))
    image, labels = next(iter(make_loader(evaluation=True)))
    assert image.shape == (8, 3, 32, 32) and labels.shape == (8,) and len(batch) == 8


def test_evaluation_is_one_plain_view_in_order(make_loader):
    loader = make_loader(evaluation=True, batch_size=12)
    for epoch in range(2):
        batches = list(loader)
        assert [len(batch) for batch in batches] == [12, 12, 12, 4] and len(loader) == 4
        assert [key for batch in batches for key in batch.keys] == [f"{index:05}" for index in range(40)]
        with pytest.raises(AttributeError, match="view2 of a batch with 1 views"):
            batches[0].view2


def test_pickles_keep_the_place(make_loader):
    loader = make_loader()
    iterator = iter(loader)
    next(iterator)
    copy = pickle.loads(pickle.dumps(loader))
    assert contents(copy) == [(b.epoch, b.step, b.keys, bytes(b.labels), *map(bytes, b.views)) for b in iterator]


def test_without_a_fault_handler_the_batches_are_the_same(make_loader):
    copying = make_loader(fault_handler=False)
    assert contents(copying) == contents(make_loader())
    assert copying.__getnewargs_ex__()[1]["fault_handler"] is False


def test_recipes(make_loader, tmp_path):
    small = {"preset": "cifar10", "size": 16, "color_jitter": None}
    assert next(iter(make_loader(recipe=small))).view1.shape == (8, 3, 16, 16)
    frozen = make_loader(recipe=types.MappingProxyType(small))
    assert next(iter(frozen)).view1.shape == (8, 3, 16, 16)
    assert next(iter(pickle.loads(pickle.dumps(frozen)))).view1.shape == (8, 3, 16, 16)
    left_out = {"preset": "cifar10", "flip_p": None, "grayscale_p": None}
    zero = {"preset": "cifar10", "flip_p": 0, "grayscale_p": 0}
    assert contents(make_loader(recipe=left_out)) == contents(make_loader(recipe=zero))
    path = tmp_path / "recipe.toml"
    path.write_text('preset = "imagenet"\nsize = 24\n')
    assert next(iter(make_loader(recipe=path))).view1.shape == (8, 3, 24, 24)
    path.write_text('epochs = 3\n[recipe]\npreset = "cifar10"\nsize = 20\n')
    assert next(iter(make_loader(recipe=str(path)))).view1.shape == (8, 3, 20, 20)


def test_views_by_their_own_steps(make_loader):
    crop = {"crop": {"random_resized": {"scale": [0.2, 1.0], "ratio": [0.75, 1.33]}}}
    views = [
        {"steps": [crop, {"gaussian_blur": {"p": 1.0, "sigma": [0.5, 2.0]}}]},
        {"count": 2, "steps": [crop, {"solarize": {"p": 0.2, "threshold": 128}}, {"horizontal_flip": {"p": 0.5}}]},
    ]
    recipe = {"preset": "cifar10", "views": views}
    batch = next(iter(make_loader(recipe=recipe)))
    assert [view.shape for view in batch.views] == [(8, 3, 32, 32)] * 3
    with pytest.raises(ValueError, match="the recipe's `views` are 3, but 2 are to be made of each image"):
        make_loader(recipe=recipe, views=2)
    with pytest.raises(ValueError, match=r"views\[0\]\.steps: gaussian_blur, expected a crop first, and no other"):
        make_loader(recipe={"preset": "cifar10", "views": [{"steps": views[0]["steps"][1:]}]})
    with pytest.raises(ValueError, match="flip_p: beside `views`"):
        make_loader(recipe=recipe | {"flip_p": 0.5})


def test_views_of_several_sizes(make_loader):
    shapes = lambda **arguments: [view.shape for view in next(iter(make_loader(**arguments))).views]
    assert shapes(recipe="swav") == [(8, 3, 224, 224)] * 2 + [(8, 3, 96, 96)] * 6
    crop = {"crop": {"random_resized": {"scale": [0.2, 1.0], "ratio": [0.75, 1.33]}}}
    recipe = {"preset": "cifar10", "views": [{"count": 2, "steps": [crop]}, {"size": 16, "steps": [crop]}]}
    assert shapes(recipe=recipe, layout="NHWC", dtype="uint8") == [(8, 32, 32, 3)] * 2 + [(8, 16, 16, 3)]
    *views, labels = next(iter(make_loader(recipe=recipe)))
    assert np.asarray(views[2]).shape == (8, 3, 16, 16) and len(np.asarray(labels)) == 8
    with pytest.raises(ValueError, match=r"views\[1\]\.size: 0, expected 1 to 4096"):
        make_loader(recipe=recipe | {"views": [{"steps": [crop]}, {"size": 0, "steps": [crop]}]})


def test_layouts_and_types_hold_the_same_numbers(make_loader):
    view = lambda **arguments: np.asarray(next(iter(make_loader(**arguments))).view2)
    planes = view()
    assert planes.dtype == np.float32 and planes.shape == (8, 3, 32, 32)
    assert np.array_equal(view(layout="NHWC"), planes.transpose(0, 2, 3, 1))
    assert np.array_equal(view(dtype="float16"), planes.astype(np.float16))
    mean, std = np.float32([0.4914, 0.4822, 0.4465]), np.float32([0.2023, 0.1994, 0.2010])
    pixels = view(layout="NHWC", dtype="uint8")
    assert np.array_equal((pixels.astype(np.float32) / np.float32(255) - mean) / std, view(layout="NHWC"))


def test_bad_samples_are_named(tmp_path):
    write_shard(tmp_path / "a.tar", range(40), broken=[7])
    loader = simsiam.Loader(tmp_path, "cifar10", batch_size=8, workers=2)
    assert all("00007" not in batch.keys for batch in loader)
    [bad] = loader.bad_samples
    assert bad["sample"] == 7 and "a.tar" in bad["place"] and "00007" in bad["place"]
    strict = simsiam.Loader(tmp_path, "cifar10", batch_size=8, on_bad_sample="fail")
    for _ in range(2):
        with pytest.raises(OSError, match='a.tar, sample 7 "00007"'):
            list(strict)


def test_what_cannot_work_is_refused(make_loader, shards):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        simsiam.Loader(shards / "nowhere")
    with pytest.raises(FileNotFoundError, match="matches no image, and no .tar, .zip or .parquet file"):
        simsiam.Loader(str(shards / "val-*.tar"))
    (shards / "noise.tar").write_bytes(b"x" * 2048)
    with pytest.raises(OSError, match="noise.tar: not a tar archive"):
        simsiam.Loader(shards / "noise.tar")
    (shards / "noise.tar").unlink()
    for arguments, message in [
        ({"batch_size": 41}, "larger than the data"),
        ({"batch_size": 8, "world_size": 3}, "equal share"),
        ({"workers": 0}, "workers 0: must be at least 1"),
        ({"workers": 1025}, "workers 1025: must be at most 1024"),
        ({"batch_size": -1}, "batch_size -1: must be at least 1"),
        ({"batch_size": 0}, "batch_size 0: must be at least 1"),
        ({"prefetch": 0}, "prefetch 0: must be at least 1"),
        ({"views": -2}, "views -2: must be at least 1"),
        ({"seed": -1}, "seed -1: must be at least 0"),
        ({"seed": 2**64}, "seed 18446744073709551616: must be at most 18446744073709551615"),
        ({"epoch": -1}, "epoch -1: must be at least 0"),
        ({"world_size": 0}, "world_size 0: must be at least 1"),
        ({"rank": 2, "world_size": 2}, "rank 2: must be at most 1"),
        ({"recipe": "imagnet"}, 'expected "imagenet", "cifar10", "swav" or a .toml file'),
        ({"recipe": {"preset": "cifar10", "sise": 3}}, "unknown field `sise`"),
        ({"recipe": {"preset": "cifar10", "sise": None}}, "unknown field `sise`"),
        ({"recipe": {"preset": "cifar10", "size": None}}, "missing field `size`"),
        ({"recipe": {"preset": "cifar10", "size": 0}}, "augmentation size: 0"),
        ({"layout": "CHWN"}, "expected \"NCHW\" or \"NHWC\""),
        ({"dtype": "float64"}, "expected \"uint8\", \"float16\" or \"float32\""),
    ]:
        with pytest.raises(ValueError, match=message):
            make_loader(**arguments)
    with pytest.raises(FileNotFoundError, match="recipe .*nowhere.toml"):
        make_loader(recipe=shards / "nowhere.toml")
    loader = make_loader()
    with pytest.raises(ValueError, match="epoch -1: must be at least 0"):
        loader.set_epoch(-1)
    state = loader.state_dict()
    with pytest.raises(ValueError, match="batches of 4, this loader of 8"):
        loader.load_state_dict(state | {"batch_size": 4})
    with pytest.raises(ValueError, match="another recipe"):
        make_loader(recipe="imagenet").load_state_dict(state)
    with pytest.raises(ValueError, match="another order"):
        make_loader(shuffle=False).load_state_dict(state)
    with pytest.raises(ValueError, match="last batch"):
        make_loader(drop_last=False).load_state_dict(state)
    with pytest.raises(ValueError, match="not a loader's state"):
        loader.load_state_dict({"epoch": 1})


def test_leaving_the_context_stops_the_threads(make_loader):
    names = lambda: [open(f"/proc/self/task/{task}/comm").read() for task in __import__("os").listdir("/proc/self/task")]
    running = lambda: sum(name.startswith("ss-") for name in names())
    with make_loader() as loader:
        kept = next(iter(loader))
        assert running() >= 2  # the workers, and those that serve them
    # The kernel lists a thread for a moment after it was joined.
    ends = time.monotonic() + 5
    while running() and time.monotonic() < ends:
        time.sleep(0.01)
    assert running() == 0
    assert np.isfinite(np.asarray(kept.view1)).all()
    assert next(iter(loader)).keys == kept.keys


def test_other_threads_run_while_one_waits(make_loader):
    """An epoch on one thread, while another reads the loader's state."""
    loader = make_loader(workers=1)
    seen = []
    consumer = threading.Thread(target=lambda: seen.extend(loader))
    consumer.start()
    while consumer.is_alive():
        assert loader.state_dict()["epoch"] in (0, 1)
    assert len(seen) == 5
