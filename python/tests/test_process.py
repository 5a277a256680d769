"""Signals, fork and spawn."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import types

import pytest


def keys(loader, queue):
    try:
        queue.put(next(iter(loader)).keys)
    except Exception as error:  # for the parent to see
        queue.put(repr(error))


def in_process(method, loader):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=keys, args=(loader, queue))
    process.start()
    found = queue.get(timeout=120)
    process.join(timeout=60)
    assert process.exitcode == 0
    return found


def test_spawned_processes_get_a_loader_of_their_own(make_loader):
    loader = make_loader()
    assert in_process("spawn", loader) == next(iter(loader)).keys


def test_a_fork_before_the_first_epoch_works(make_loader):
    loader = make_loader()
    assert in_process("fork", loader) == next(iter(make_loader())).keys


def test_a_fork_of_a_running_loader_is_refused_and_harms_nothing(make_loader):
    loader = make_loader()
    iterator = iter(loader)
    kept = next(iterator)
    found = in_process("fork", loader)
    assert "RuntimeError" in found and "spawn" in found, found
    assert len(kept.keys) == 8 and len(list(iterator)) == 4
    loader.close()
    assert isinstance(in_process("fork", loader), list)


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs POSIX signals")
def test_ctrl_c_is_a_keyboard_interrupt(shards):
    program = textwrap.dedent("""
        import signal, sys, simsiam
        # A shell starts what it puts into the background with the signal ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        loader = simsiam.Loader(sys.argv[1], "imagenet", batch_size=40, workers=1)
        list(zip(loader, range(1)))
        print("running", flush=True)
        try:
            while True:
                for batch in loader:
                    pass
        except KeyboardInterrupt:
            loader.close()
            print("stopped", flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", program, str(shards)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("stopped\n", 0)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signals_handler_may_use_the_loader_that_waits(shards):
    program = textwrap.dedent("""
        import signal, sys, simsiam
        # Large views: each batch is waited for.
        recipe = {"preset": "imagenet", "size": 512}
        loader = simsiam.Loader(sys.argv[1], recipe, batch_size=40, workers=1, prefetch=1, dtype="uint8")
        handled = []

        def handle(number, frame):
            handled.append((loader.state_dict()["step"], repr(loader), loader.bad_samples))
            if len(handled) == 3:
                loader.close()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        while len(handled) < 5:
            assert [len(batch) for batch in loader] == [40]
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("handled", flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", program, str(shards)], stdout=subprocess.PIPE, text=True)
    try:
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (out, process.returncode) == ("handled\n", 0)


@pytest.mark.parametrize("workers", [None, 1, 4])
def test_several_worker_processes_of_a_data_loader_are_refused(make_loader, monkeypatch, workers):
    # PyTorch's own question, without its processes.
    worker = workers and types.SimpleNamespace(id=0, num_workers=workers)
    data = types.SimpleNamespace(get_worker_info=lambda: worker)
    monkeypatch.setitem(sys.modules, "torch.utils.data", data)
    if workers == 4:
        with pytest.raises(RuntimeError, match="num_workers=4: each of these processes would give every image"):
            iter(make_loader())
    else:
        assert len(list(make_loader())) == 5


def test_pytorchs_data_loader(make_loader):
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, IterableDataset

    class Views(IterableDataset):
        def __iter__(self):
            return (torch.from_dlpack(batch.labels).clone() for batch in make_loader())

    expected = [bytes(batch.labels) for batch in make_loader()]
    for workers in (0, 1):
        assert [bytes(labels.numpy()) for labels in DataLoader(Views(), batch_size=None, num_workers=workers)] == expected
    with pytest.raises(RuntimeError, match="num_workers=2"):
        list(DataLoader(Views(), batch_size=None, num_workers=2))
