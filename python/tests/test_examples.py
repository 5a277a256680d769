"""The examples run, and the PyTorch one's losses depend on neither workers nor interruptions."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    yield __import__("pytorch_simsiam")
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def start(example, tmp_path):
    import simsiam

    shards = example.drawn.shards(tmp_path, count=100)
    # Six steps an epoch: ten of them cross its end.
    return lambda workers: example.Run(simsiam.Loader(shards, "cifar10", batch_size=16, workers=workers))


def first(count, run):
    return list(itertools.islice(run.losses(), count))


def test_ten_losses_are_the_same_for_any_workers_and_after_a_restore(start):
    one = first(10, start(1))
    assert len(set(one)) == 10
    assert first(10, start(4)) == one
    for taken in (3, 6, 8):
        interrupted = start(4)
        before = first(taken, interrupted)
        state = interrupted.state_dict()
        resumed = start(2)
        resumed.load_state_dict(state)
        assert before + first(10 - taken, resumed) == one


@pytest.mark.parametrize("name, needs", [("pytorch_simsiam", "torch"), ("lightning_datamodule", "lightning"), ("jax_loop", "jax")])
def test_examples_run(name, needs):
    if not __import__("importlib").util.find_spec(needs):
        pytest.skip(f"{needs} is not installed")
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, f"{name}.py"], cwd=EXAMPLES, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "loss -" in done.stdout, done.stdout
