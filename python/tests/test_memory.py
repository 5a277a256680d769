"""Batches are other libraries' tensors without a copy, and their memory comes back."""

import gc

import numpy as np
import pytest

import simsiam

torch = pytest.importorskip("torch")


def pointer(array):
    return np.asarray(array).__array_interface__["data"][0]


def test_every_export_is_the_same_memory(make_loader):
    batch = next(iter(make_loader()))
    view = batch.view1
    assert pointer(view) % 64 == 0
    assert torch.from_dlpack(view).data_ptr() == pointer(view)
    assert np.from_dlpack(view).__array_interface__["data"][0] == pointer(view)
    assert torch.from_dlpack(view).shape == (8, 3, 32, 32) == view.shape
    assert memoryview(view).format == "f" and memoryview(view).c_contiguous
    assert torch.from_dlpack(batch.labels).dtype == torch.int64
    assert torch.from_dlpack(batch.labels).tolist() == np.asarray(batch.labels).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_types(make_loader, dtype):
    view = next(iter(make_loader(dtype=dtype))).view1
    assert torch.from_dlpack(view).dtype == getattr(torch, dtype)
    assert np.asarray(view).dtype == dtype == view.dtype


def test_a_tensor_outlives_its_batch_and_loader(make_loader):
    loader = make_loader()
    batch = next(iter(loader))
    tensor, expected = torch.from_dlpack(batch.view1), np.array(batch.view1)
    del batch, loader
    gc.collect()
    assert np.array_equal(tensor.numpy(), expected)


def test_memory_comes_back_when_the_last_tensor_dies(shards):
    """While a tensor lives its memory is not written again; then it is."""
    loader = simsiam.Loader(shards, {"preset": "cifar10", "size": 64}, batch_size=1, prefetch=1)
    batches = iter(loader)
    kept = torch.from_dlpack(next(batches).view1)
    address, expected = kept.data_ptr(), kept.clone()
    seen = {pointer(next(batches).view1) for _ in range(15)}
    assert address not in seen and torch.equal(kept, expected)
    assert len(seen) <= 5, "buffers are used again"
    del kept
    assert address in {pointer(batch.view1) for batch in batches}


def test_capsules(make_loader):
    view = next(iter(make_loader())).view1
    assert view.__dlpack_device__() == (1, 0)
    assert "dltensor_versioned" in repr(view.__dlpack__(max_version=(1, 0)))
    old = view.__dlpack__()  # never consumed: its destructor frees it
    assert '"dltensor"' in repr(old)
    del old
    with pytest.raises(BufferError, match="the CPU's"):
        view.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="copy the tensor"):
        view.__dlpack__(copy=True)


def test_a_model_may_write_into_its_batch(make_loader):
    view = next(iter(make_loader())).view1
    torch.from_dlpack(view).zero_()
    assert not np.asarray(view).any()


def test_jax(make_loader):
    jax = pytest.importorskip("jax")
    view = next(iter(make_loader(layout="NHWC"))).view1
    array = jax.dlpack.from_dlpack(view)
    assert array.shape == (8, 32, 32, 3)
    assert array.unsafe_buffer_pointer() == pointer(view)
    assert np.array_equal(np.asarray(array), np.asarray(view))
