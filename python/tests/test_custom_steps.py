"""Steps of your own among a recipe's."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from conftest import contents

CROP = {"crop": {"random_resized": {"scale": [0.2, 1.0], "ratio": [0.75, 1.33]}}}


def recipe(*steps):
    return {"preset": "cifar10", "views": [{"count": 2, "steps": [CROP, *steps]}]}


PAINTED = recipe({"custom": {"name": "paint", "p": 0.5}})


def paint(view, rng):
    """One random colour, in place."""
    view[:] = rng.integers(256, size=3)


def test_a_step_changes_views_in_place_or_returns_others(make_loader):
    loader = make_loader(recipe=PAINTED, steps={"paint": paint}, dtype="uint8", layout="NHWC")
    batch = next(iter(loader))
    views = np.concatenate([np.asarray(view) for view in batch.views])
    plain = [view for view in views if (view == view[0, 0]).all()]
    assert 3 <= len(plain) <= 13, "half of them"
    assert len({tuple(view[0, 0]) for view in plain}) == len(plain), "each has a stream of its own"

    upside_down = lambda view, rng: view[::-1]
    flipped = make_loader(recipe=recipe({"custom": {"name": "flip"}}), steps={"flip": upside_down}, dtype="uint8")
    built_in = make_loader(recipe=recipe({"vertical_flip": {}}), dtype="uint8")
    assert contents(flipped) == contents(built_in)


def test_batches_are_the_same_for_any_workers_and_after_a_restart(make_loader):
    loader = make_loader(recipe=PAINTED, steps={"paint": paint}, workers=1)
    whole = contents(loader)
    again = make_loader(recipe=PAINTED, steps={"paint": paint}, workers=3)
    iterator = iter(again)
    next(iterator)
    assert contents(pickle.loads(pickle.dumps(again))) == whole[1:]


@pytest.mark.parametrize(
    "step, message",
    [
        (lambda view, rng: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda view, rng: view[:5], "ValueError: returned uint8 of shape [5, 32, 3], expected uint8 of shape (32, 32, 3)"),
        (lambda view, rng: view / 255, "ValueError: returned float64 of shape [32, 32, 3], expected uint8"),
        (lambda view: None, "TypeError: "),
    ],
)
def test_a_step_that_fails_is_named_with_its_place_and_the_image(make_loader, step, message):
    loader = make_loader(recipe=recipe({"custom": {"name": "broken"}}), steps={"broken": step})
    with pytest.raises(RuntimeError) as raised:
        list(loader)
    text = str(raised.value)
    assert "custom step `broken` (augmentation views[0].steps[1]): " + message in text
    assert "train-00" in text
    assert type(raised.value.__cause__).__name__ == message.split(":")[0]
    assert loader.bad_samples == []


def test_steps_are_those_that_the_recipe_names(make_loader):
    with pytest.raises(ValueError, match=r"views\[0\]\.steps\[1\]: no custom step `paint` was given"):
        make_loader(recipe=PAINTED)
    with pytest.raises(ValueError, match="custom step `paint` is not in the recipe"):
        make_loader(steps={"paint": paint})
    with pytest.raises(TypeError, match='steps\\["paint"\\]: expected a callable, not 3'):
        make_loader(recipe=PAINTED, steps={"paint": 3})


@pytest.mark.parametrize("end", ["del batches, loader", "loader.close()", "pass", "raise SystemExit(0)", "fork()"])
def test_a_running_loader_ends_with_the_program(shards, end):
    program = f"""
        import os
        import sys
        import time
        import simsiam

        def fork():
            for _ in range(20):  # now and then in the midst of a step
                child = os.fork()
                if child == 0:
                    sys.exit(0)
                assert os.waitpid(child, 0)[1] == 0
                time.sleep(0.0007)

        def slow(view, rng):
            time.sleep(0.001)

        recipe = {recipe({"custom": {"name": "slow"}})!r}
        loader = simsiam.Loader({str(shards)!r}, recipe, batch_size=8, workers=4, steps={{"slow": slow}})
        batches = iter(loader)
        next(batches)
        {end}
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
