"""Augmented views of images from folders, shards and buckets, for PyTorch, JAX and NumPy.

>>> loader = simsiam.Loader("shards/", recipe="imagenet", batch_size=256, workers=8)   # doctest: +SKIP
>>> for batch in loader:                                                                # doctest: +SKIP
...     x1, x2, labels = map(torch.from_dlpack, batch)

Images are decoded and augmented by threads of the Rust crate ``simsiam-pipeline``; the tensors are its memory, not a copy.
"""

from ._simsiam import Array, Batch, Epoch, Loader, __version__

__all__ = ["Array", "Batch", "Epoch", "Loader", "__version__"]
