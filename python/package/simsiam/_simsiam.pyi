import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypedDict, final, type_check_only

__all__ = ["Array", "Batch", "Epoch", "Loader", "__version__"]

__version__: str

_Path: TypeAlias = str | os.PathLike[str]

@type_check_only
class BadSample(TypedDict):
    sample: int
    place: str
    offset: int
    cause: str

@final
class Array:
    """Numbers in C order that PyTorch, JAX and NumPy use in place (DLPack and the buffer protocol)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Literal["float32", "float16", "uint8", "int64"]: ...
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
    """Augmented views of some images, with their labels and keys."""

    @property
    def epoch(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def view1(self) -> Array: ...
    @property
    def view2(self) -> Array: ...
    @property
    def views(self) -> tuple[Array, ...]: ...
    @property
    def labels(self) -> Array: ...
    @property
    def keys(self) -> list[str]: ...
    def __len__(self) -> int: ...

@final
class Epoch(Iterator[Batch]):
    """The batches of one epoch."""

    def __next__(self) -> Batch: ...

@final
class Loader:
    """Streams augmented views of the images in WebDataset shards, epoch by epoch."""

    def __new__(
        cls,
        shards: _Path | Sequence[_Path],
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
        shuffle: bool | None = None,
        drop_last: bool | None = None,
        layout: Literal["NCHW", "NHWC"] = "NCHW",
        dtype: Literal["float32", "float16", "uint8"] = "float32",
        prefetch: int = 4,
        on_bad_sample: Literal["skip", "fail"] = "skip",
        bad_sample_budget: float = 0.01,
        cache_dir: _Path | None = None,
    ) -> Self: ...
    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...
    def __iter__(self) -> Epoch: ...
    def __len__(self) -> int: ...
    def set_epoch(self, epoch: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...
    @property
    def bad_samples(self) -> list[BadSample]: ...
    @property
    def class_names(self) -> list[str] | None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
