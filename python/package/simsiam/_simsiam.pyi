import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, final, type_check_only

__all__ = ["Array", "Batch", "Epoch", "Loader", "__version__"]

__version__: str

_Path: TypeAlias = str | os.PathLike[str]

@type_check_only
class BadSample(TypedDict):
    """An image that could not be used."""

    sample: int
    place: str
    offset: int
    cause: str

@final
class Array:
    """Up to four dimensions of numbers in C order, which PyTorch, JAX and NumPy use in place.

    ``torch.from_dlpack(array)``, ``jax.dlpack.from_dlpack(array)`` and ``numpy.asarray(array)`` copy nothing. The memory goes
    back to the loader when the last of these, and the batch itself, are gone.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
    @property
    def dtype(self) -> Literal["float32", "float16", "uint8", "int64"]:
        """The numbers' type: ``"float32"``, ``"float16"``, ``"uint8"`` or ``"int64"``."""
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any: ...

@final
class Batch:
    """Augmented views of some images, with their labels and keys: ``x1, x2, labels = batch``."""

    @property
    def epoch(self) -> int:
        """Epoch of this batch, from 0."""
    @property
    def step(self) -> int:
        """Its place in the epoch, from 0."""
    @property
    def view1(self) -> Array:
        """The first view of every image: ``(len, 3, size, size)``, or ``(len, size, size, 3)`` with ``layout="NHWC"``."""
    @property
    def view2(self) -> Array:
        """The second view of every image."""
    @property
    def views(self) -> tuple[Array, ...]:
        """All views; those of a group with a size of its own have a shape of their own."""
    @property
    def labels(self) -> Array:
        """The class of each image as int64; -1 where its shard has none."""
    @property
    def keys(self) -> list[str]:
        """The key of each image: its path in the folder or the archive without the extension; in a tar, up to the first dot of its name."""
    def __iter__(self) -> Iterator[Array]: ...
    def __len__(self) -> int: ...

@final
class Epoch(Iterator[Batch]):
    """The batches of one epoch."""

    def __next__(self) -> Batch: ...

@final
class Loader:
    """Streams augmented views of images, epoch by epoch: from folders, WebDataset tars, zips and Parquet files, on this machine,
    in buckets and on web servers.

    Iterating gives the batches of one epoch (:class:`Batch`), and the next iteration those of the next epoch. The bytes of
    every batch are a function of images, recipe, seed, epoch and step alone: the same for any number of workers and ranks,
    after a restart from ``state_dict()``, and whatever the images lie in, if their order is the same.

    Parameters
    ----------
    shards:
        Files, folders of these or of images, globs or brace patterns (``"data/train-{000..146}.tar"``), URLs of these
        (``"s3://bucket/train/"``, ``gs``, ``az``, ``https``), or a ``shardindex.json`` of widsindex. One, several, or a dict with
        weights (``{"photos/": 0.7, "paintings/": 0.3}``, or ``"photos/=0.7"`` each): every batch has these proportions.
    recipe:
        ``"imagenet"``, ``"cifar10"``, ``"swav"`` (2 views of 224 and 6 of 96), the path of a TOML file, or a dict or another
        mapping; ``{"preset": "imagenet", "size": 96, "blur": None}`` is a preset with other fields.
    batch_size:
        Images a batch over all ranks: each of them gets ``batch_size / world_size``.
    workers:
        Threads that decode and augment, 1 to 1024. They are threads, not processes, and change the speed alone. A PyTorch
        ``DataLoader`` is not needed; around the loader it has ``num_workers=0`` or 1, for each of several worker
        processes would give every image, and is refused.
    seed:
        The only source of randomness.
    rank, world_size:
        This process among those that share each batch.
    epoch:
        The first epoch.
    evaluation:
        One plain view of every image (resize and centre crop), in order, with a smaller last batch.
    views, shuffle, drop_last:
        2, True and True; 1, False and False with ``evaluation``. ``shuffle="window=8"`` shuffles the shards, and then the images of
        eight at a time, for shards that the cache cannot hold all.
    layout, dtype:
        ``"NCHW"`` or ``"NHWC"``; ``"float32"``, ``"float16"`` (both normalised) or ``"uint8"`` (as they are).
    prefetch:
        Finished batches that may wait for the consumer, at least 1. Two more are under way at most, so that ``prefetch + 3``
        are in memory with the one that the consumer has; those that it keeps come on top.
    on_bad_sample, bad_sample_budget:
        ``"skip"`` replaces images that cannot be used, until more than this share of all is bad; ``"fail"`` raises at the
        first.
    labels:
        ``"own"``, what the source says: ``.cls`` or ``.json`` in a tar, the label column of a Parquet file, of folders and zips the
        class folders where there is no doubt; ``"folders"``, the first folder; ``"parents"``, the folder that the image lies in;
        ``"none"``; or the path of a table (CSV or TSV) with a file and its label in each line.
    select, fraction, limit:
        Only images that a condition holds for (``"label in [cat, dog] and key like 'train/*'"``), of those this share of each class
        (more than 0, at most 1), and of those at most so many. A smaller share is a part of a larger one.
    cache_dir, cache_size:
        Where indexes go when a shard's folder is read-only, and what is unpacked or fetched; default ``~/.cache/simsiam``. At most so
        many bytes of fetched shards; default 50 GiB.
    fault_handler:
        Whether the process may get a handler for SIGBUS with the first loader. With it a shard that shrinks while it is read gives bad
        samples; every other SIGBUS goes to the handler that was there before, ``faulthandler``'s included. False: none is
        installed, and samples are copied out of the shards by reading, with the same bytes and the same bad samples.
    steps:
        Steps of your own by the names that the recipe lists (``{"custom": {"name": "fog", "p": 0.5}}`` among a view's steps): callables
        ``step(view, rng)``, with a NumPy array of size x size x 3 bytes, which they change or in whose place they return another, and
        a ``numpy.random.Generator`` of this view alone. They run on the workers, one at a time for they hold the GIL.

    Raises
    ------
    FileNotFoundError, ValueError, OSError
        If shards or labels are missing, settings cannot work, or a shard cannot be read or fetched.
    """

    def __new__(
        cls,
        shards: _Path | Sequence[_Path] | Mapping[str, float] | Mapping[os.PathLike[str], float],
        recipe: _Path | Mapping[str, Any] | None = None,
        batch_size: int = 256,
        workers: int = 8,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        *,
        epoch: int = 0,
        evaluation: bool = False,
        views: int | None = None,
        shuffle: bool | str | None = None,
        drop_last: bool | None = None,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        dtype: Literal["float32", "float16", "uint8"] = "float32",
        prefetch: int = 4,
        on_bad_sample: Literal["skip", "fail"] = "skip",
        bad_sample_budget: float = 0.01,
        labels: Literal["own", "folders", "parents", "none"] | _Path = ...,
        select: str | None = None,
        fraction: float | None = None,
        limit: int | None = None,
        cache_dir: _Path | None = None,
        cache_size: int | None = None,
        fault_handler: bool = True,
        steps: dict[str, Callable[[Any, Any], Any]] | None = None,
    ) -> Self: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...
    def __iter__(self) -> Epoch: ...
    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None:
        """Makes ``epoch`` the one of the next iteration; in the midst of that epoch, as after ``load_state_dict``, it changes
        nothing.
        """
    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, after the last batch that was taken: a small dict that JSON can hold."""
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where the loader of ``state`` was, with its seed and the same bytes. Workers and ranks may differ.

        Raises
        ------
        ValueError
            If it had other data, another choice or mixture of it, another batch size, recipe or number of views, or another ``shuffle``
            or ``drop_last``.
        """
    @property
    def bad_samples(self) -> list[BadSample]:
        """Images that could not be used so far: dicts of ``sample``, ``place`` (shard and key), ``offset`` and ``cause``."""
    @property
    def class_names(self) -> list[str] | None:
        """The names of the classes, from ``classes.txt`` beside the shards or from labels that are names; None if there are none."""
    def close(self) -> None:
        """Stops the threads. Batches stay as they are, and the next iteration starts them again."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
