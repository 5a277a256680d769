"""Shards on a web server: Python's own, on the loopback interface."""

import functools
import http.server
import pickle
import threading

import pytest
from conftest import contents, write_shard
from test_process import in_process

import simsiam


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, without parts of files; and refuses everything when told so."""

    def send_head(self):
        self.server.requests.append(f"{self.command} {self.path}")
        if self.server.refuses:
            return self.send_error(403)
        return super().send_head()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Serves forty images in four shards."""
    (tmp_path / "served").mkdir()
    for shard in range(4):
        write_shard(tmp_path / "served" / f"{shard}.tar", range(10 * shard, 10 * shard + 10))
    handler = functools.partial(Handler, directory=tmp_path / "served")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.requests, server.refuses = [], False
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def load(server, tmp_path):
    """A loader of what is served; arguments go over the defaults."""

    def load(shards=f"{server.url}/{{0..3}}.tar", **arguments):
        defaults = {"recipe": "cifar10", "batch_size": 5, "workers": 2, "seed": 3, "cache_dir": tmp_path / "cache"}
        return simsiam.Loader(shards, **defaults | arguments)

    return load


def test_served_shards_are_as_those_on_the_disk_and_fetched_once(server, load, tmp_path):
    local = load(tmp_path / "served")
    expected = contents(local) + contents(local)
    loader = load()
    assert contents(loader) + contents(loader) == expected
    assert contents(load()) == expected[:8]
    fetched = [request for request in server.requests if request == "GET /2.tar"]
    assert len(fetched) == 1, server.requests
    resumed = load(seed=99)
    resumed.load_state_dict(local.state_dict())
    assert (resumed.state_dict()["epoch"], resumed.state_dict()["seed"]) == (2, 3)


def test_a_cache_without_room_is_refused_and_a_window_needs_less(server, load, tmp_path):
    limit = 5 * (tmp_path / "served" / "0.tar").stat().st_size // 2
    with pytest.raises(ValueError, match=r'enlarge it \(cache_size\).*\(shuffle="window=N"\)'):
        load(cache_size=limit)
    with pytest.raises(ValueError, match="3 remote shards are needed at a time"):
        load(cache_size=limit, shuffle="window=3")
    assert len(load(cache_size=limit, shuffle="window=2")) == 8


def test_what_is_not_there_is_an_error(server, load):
    with pytest.raises(OSError, match="9.tar: no such object"):
        load(f"{server.url}/9.tar")
    with pytest.raises(OSError, match="a web server does not list its files"):
        load(f"{server.url}/")
    server.refuses = True
    with pytest.raises(OSError, match="0.tar: access denied"):
        load()


def test_a_server_that_fails_in_the_midst_is_a_connection_error(server, load, tmp_path):
    loader = load()
    for path in (tmp_path / "cache" / "shards").rglob("*"):
        if path.is_file():
            path.unlink()  # "everything in it can be deleted at any time"
    server.refuses = True
    with pytest.raises(ConnectionError, match="access denied"):
        list(loader)
    assert loader.bad_samples == []
    server.refuses = False
    assert contents(loader) == contents(load(tmp_path / "served"))


def test_processes_get_threads_of_their_own(load):
    loader = load()
    found = in_process("fork", loader)
    assert "RuntimeError" in found and "spawn" in found, found
    loader.close()
    assert "RuntimeError" in in_process("fork", loader)
    assert in_process("spawn", loader) == next(iter(load())).keys
    assert contents(pickle.loads(pickle.dumps(loader))) == contents(loader)
