"""Parts as `.npz` files: read with every check that needs one file alone, and written."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasetune.errors import StageError
from phasetune.store.durable import replacing
from phasetune.train.arrays import array_header, has_array, read_array
from phasetune.workloads.windows.params import MOST_CLASSES

_LARGEST_VALUE = 1e15  # whose square, summed up, float32 still holds


def read_part(
    path: Path, *, is_labelled: bool
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Windows, shape [n, time, channel], and labels, shape [n], where the part has them.

    Raises:
        OSError: the file is not there.
        StageError: it is no `.npz` file, or what it holds is not what it must be.
    """
    _refuse_wrong_windows(path)
    windows = read_array(path, "X")
    if not np.isfinite(windows).all():
        row = int(np.flatnonzero(~np.isfinite(windows).all(axis=(1, 2)))[0])
        raise StageError(f"{path}: X must be finite, but window {row} has NaN or infinity")
    for extreme in (windows.min(), windows.max()):
        if abs(extreme) > _LARGEST_VALUE:
            raise StageError(
                f"{path}: X must be from {-_LARGEST_VALUE:g} to {_LARGEST_VALUE:g}, but has "
                f"{extreme:g}"
            )
    return windows, _labels(path, len(windows)) if is_labelled else None


def read_sources(path: Path, count: int) -> NDArray[np.int64] | None:
    """Which window each of `count` was made from, shape [n]; None where the file does not say.

    Raises:
        OSError, StageError: as for `read_part`.
    """
    if not has_array(path, "source"):
        return None
    header = array_header(path, "source")
    if header.shape != (count,) or header.dtype.kind not in "iu":
        raise StageError(
            f"{path}: source must be {count} integers, the window that each was made from, but is "
            f"{header.dtype} of shape {list(header.shape)}"
        )
    return read_array(path, "source").astype(np.int64)


def _refuse_wrong_windows(path: Path) -> None:
    header = array_header(path, "X")
    if len(header.shape) != 3 or 0 in header.shape:
        raise StageError(
            f"{path}: X must have shape [n, time, channel], but has {list(header.shape)}"
        )
    if header.shape[1] < 2:
        raise StageError(f"{path}: windows must have at least 2 time steps, but have 1")
    if header.dtype != np.float32:
        raise StageError(
            f"{path}: X must be float32, but is {header.dtype}; save X.astype('float32')"
        )


def _labels(path: Path, count: int) -> NDArray[np.int64]:
    header = array_header(path, "y")
    if header.shape != (count,):
        raise StageError(
            f"{path}: y must have shape [{count}], one label per window, but has "
            f"{list(header.shape)}"
        )
    if header.dtype.kind not in "iu":
        raise StageError(f"{path}: y must be integers, but is {header.dtype}")
    labels = read_array(path, "y")
    for extreme in (labels.min(), labels.max()):
        if not 0 <= int(extreme) < MOST_CLASSES:
            raise StageError(
                f"{path}: y must be labels 0, 1, ..., at most {MOST_CLASSES - 1}, but has {extreme}"
            )
    return labels.astype(np.int64)


def write_part(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as an `.npz` file, whole or not at all.

    Raises:
        StoreError: the disk is full or the folder can't be written.
    """
    with replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
