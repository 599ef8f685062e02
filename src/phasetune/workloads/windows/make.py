"""Files that the workload reads: made from the synthetic source, or augmented from one's own."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phasetune.errors import StageError
from phasetune.stage.seeds import derived_seed
from phasetune.train.arrays import refuse_too_large
from phasetune.workloads.windows.augment import varied
from phasetune.workloads.windows.data import FILES, Data
from phasetune.workloads.windows.files import read_part, write_part

_JITTER_SIGMA, _SCALING_SIGMA, _TIME_WARP_SIGMA = 0.03, 0.1, 0.12
_SMALLEST_DEVIATION = 1e-6


def make_files(
    folder: Path, *, windows: int, unlabeled: int | None = None, seed: int = 0
) -> list[Path]:
    """Write `train.npz`, `test.npz` and `unlabeled_augmented.npz` of the synthetic source.

    `windows` labelled ones, a fifth of them for testing, and `unlabeled` others (default: four
    times as many).

    Raises:
        StageError: one of the files is there already.
        StoreError: they can't be written.
    """
    paths = {part: folder / name for part, name in FILES.items()}
    for path in paths.values():
        _refuse_existing(path)
    data = Data(source="synthetic", windows=windows, unlabeled=unlabeled, seed=seed)
    write_part(paths["unlabeled"], X=data.windows_of("unlabeled"))
    write_part(paths["train"], X=data.windows_of("train"), y=data.labels_of("train"))
    write_part(paths["test"], X=data.windows_of("test"), y=data.labels_of("test"))
    return list(paths.values())


def augment_file(source: Path, target: Path, *, factor: int, seed: int = 0) -> int:
    """Write each window of `source` and `factor - 1` varied copies of it to `target`.

    Copies are warped in time, scaled and jittered, each in units of its own window. `source` tells
    which window each comes from, so that pre-training validates on none that it has a copy of.

    Returns:
        How many windows were written.

    Raises:
        StageError: `source` is no `.npz` file of windows, or `target` is there already.
        StoreError: `target` can't be written.
    """
    _refuse_existing(target)
    try:
        windows, _ = read_part(source, is_labelled=False)
    except OSError as error:
        raise StageError(f"{source} can't be read: {error.strerror or error}") from error
    refuse_too_large(factor * windows.nbytes * 2, f"{factor} times {source}")
    copies = [_varied_copy(windows, derived_seed(seed, "copy", i)) for i in range(1, factor)]
    every = np.concatenate([windows, *copies])
    write_part(target, X=every, source=np.tile(np.arange(len(windows)), factor))
    return len(every)


def _varied_copy(windows: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    mean = windows.mean(axis=(1, 2), keepdims=True)
    deviation = np.maximum(windows.std(axis=(1, 2), keepdims=True), _SMALLEST_DEVIATION)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        changed = varied(
            torch.from_numpy((windows - mean) / deviation),
            time_warp=(_TIME_WARP_SIGMA, 1.0),
            scaling=(_SCALING_SIGMA, 1.0),
            jitter=(_JITTER_SIGMA, 1.0),
        )
    copy: NDArray[np.float32] = changed.numpy() * deviation + mean
    return copy


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise StageError(f"{path} is there already and is not overwritten; name another place")
