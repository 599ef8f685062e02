"""Windows with varied copies of them: where each comes from, and what is held out together."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from phasetune import StageError
from phasetune.workloads.windows import Data, Pretrain
from phasetune.workloads.windows import pretrain as module
from phasetune.workloads.windows.files import read_sources, write_part
from phasetune.workloads.windows.make import augment_file
from phasetune.workloads.windows.pretrain import Reconstruction, pretrain
from window_stages import context, pretraining

FolderMaker = Callable[..., Path]
WindowMaker = Callable[..., NDArray[np.float32]]
NAME = "unlabeled_augmented.npz"


@pytest.fixture
def augmented(tmp_path: Path, windows: WindowMaker) -> Callable[..., Data]:
    """So many windows, each so often, as unlabelled data; keywords replace arrays of the file."""

    def make(count: int, factor: int, **changes: Any) -> Data:
        write_part(tmp_path / "own.npz", X=windows(count))
        augment_file(tmp_path / "own.npz", tmp_path / "made" / NAME, factor=factor)
        if changes:
            with np.load(tmp_path / "made" / NAME) as file:
                arrays = {**file, **changes}
            kept = {name: value for name, value in arrays.items() if value is not None}
            write_part(tmp_path / "made" / NAME, **kept)
        return Data(dir=str(tmp_path / "made"))

    return make


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[list[int]]]:
    """Which rows of the unlabelled windows a pre-training trains on, and which it holds out."""

    def find(data: Data, *, seed: int = 1, **changes: Any) -> list[list[int]]:
        made: list[Reconstruction] = []

        class Remembered(Reconstruction):
            def __init__(self, ctx: Any, params: Pretrain) -> None:
                super().__init__(ctx, params)
                made.append(self)

        monkeypatch.setattr(module, "Reconstruction", Remembered)
        pretrain(
            context(tmp_path / "runs", data, seed=seed),
            pretraining(epochs=0, normalize="none", **changes),
        )
        numbers = {row.tobytes(): i for i, row in enumerate(data.windows_of("unlabeled"))}
        return [
            [numbers[row.numpy().tobytes()] for row in rows]
            for rows in (trained_rows(made[0]), made[0]._held_out)
        ]

    return find


def trained_rows(task: Reconstruction) -> Tensor:
    """What an epoch goes over, shape [n, time, channel]."""
    return torch.cat([rows for (rows,) in task.batches.epoch(1, batch_size=7, seed=0)])


Augmented = Callable[..., Data]
Parts = Callable[..., list[list[int]]]


def test_each_copy_tells_which_window_it_was_made_from(
    tmp_path: Path, augmented: Augmented, windows: WindowMaker
) -> None:
    data = augmented(5, 4)
    path = tmp_path / "made" / NAME
    assert read_sources(path, 20) is not None
    assert data.sources is not None
    assert data.sources.tolist() == [0, 1, 2, 3, 4] * 4
    own = windows(5).reshape(5, -1)
    for row, source in zip(data.windows_of("unlabeled"), data.sources, strict=True):
        distances = np.abs(own - row.reshape(-1)).mean(axis=1)
        assert int(distances.argmin()) == source


@pytest.mark.parametrize("val_fraction", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize(("count", "factor"), [(2, 6), (10, 3), (25, 2)])
def test_no_copy_of_a_held_out_window_is_trained_on(
    augmented: Augmented, parts: Parts, count: int, factor: int, val_fraction: float
) -> None:
    data = augmented(count, factor)
    trained, held_out = parts(data, val_fraction=val_fraction)
    assert sorted(trained + held_out) == list(range(count * factor))
    assert {row % count for row in trained}.isdisjoint(row % count for row in held_out)
    expected = min(count - 1, max(1, round(count * val_fraction)))
    assert len({row % count for row in held_out}) == expected


def test_which_windows_are_held_out_is_decided_by_the_seed(
    augmented: Augmented, parts: Parts
) -> None:
    data = augmented(20, 2)
    held_out = [set(parts(data, seed=seed, val_fraction=0.3)[1]) for seed in (1, 1, 2)]
    assert held_out[0] == held_out[1] != held_out[2]


def test_groups_may_have_any_numbers_and_any_sizes(augmented: Augmented, parts: Parts) -> None:
    sources = np.array([7, 7, -3, 10**12, 7, 7, 7, -3], np.int64)
    data = augmented(4, 2, source=sources)
    trained, held_out = parts(data, val_fraction=0.5)
    assert sorted(trained + held_out) == list(range(8))
    assert set(sources[trained]).isdisjoint(sources[held_out])


def test_without_sources_each_window_stands_for_itself(augmented: Augmented, parts: Parts) -> None:
    data = augmented(10, 2, source=None)
    assert data.sources is None
    trained, held_out = parts(data, val_fraction=0.25)
    assert sorted(trained + held_out) == list(range(20))
    assert len(held_out) == 5
    shared = {row % 10 for row in trained} & {row % 10 for row in held_out}
    assert shared  # copies are not known to be some


@pytest.mark.parametrize("source", ["synthetic", "digits"])
def test_named_sources_have_no_copies(source: Any) -> None:
    assert Data(source=source).sources is None


@pytest.mark.parametrize("wrong", [np.arange(19), np.arange(20.0)], ids=["length", "float"])
def test_wrong_sources_stop_a_pre_training_in_a_sentence(
    augmented: Augmented, tmp_path: Path, wrong: NDArray[Any]
) -> None:
    data = augmented(10, 2, source=wrong)
    with pytest.raises(StageError, match=r"augmented\.npz: source must be 20 integers, the window"):
        pretrain(context(tmp_path / "runs", data), pretraining())


def test_copies_of_a_single_window_are_refused(
    folder: FolderMaker, tmp_path: Path, windows: WindowMaker
) -> None:
    home = folder(unlabeled_augmented=None)
    write_part(tmp_path / "one.npz", X=windows(1, stream=9))
    assert augment_file(tmp_path / "one.npz", home / NAME, factor=12) == 12
    assert list(Data(dir=str(home)).check(folds=5)) == [
        "unlabeled must have at least 2 windows, one to train on and one to validate on"
    ]


def test_copies_of_two_windows_are_enough(
    folder: FolderMaker, tmp_path: Path, windows: WindowMaker
) -> None:
    home = folder(unlabeled_augmented=None)
    write_part(tmp_path / "two.npz", X=windows(2, stream=9))
    augment_file(tmp_path / "two.npz", home / NAME, factor=2)
    assert list(Data(dir=str(home)).check(folds=5)) == []


def test_more_copies_than_memory_are_refused_before_any_is_made(
    tmp_path: Path, windows: WindowMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, target = tmp_path / "own.npz", tmp_path / "made.npz"
    write_part(own, X=windows(100))
    monkeypatch.setattr(os, "sysconf", lambda _: 2**10)  # 1024 pages of 1 KiB
    with pytest.raises(StageError) as caught:
        augment_file(own, target, factor=10**9)
    assert str(caught.value).startswith(f"1000000000 times {own} needs ")
    assert str(caught.value).endswith("bytes, but this machine has 1048576")
    assert not target.exists()
    assert augment_file(own, target, factor=3) == 300


def test_augmenting_leaves_torch_s_generator_alone(tmp_path: Path, windows: WindowMaker) -> None:
    write_part(tmp_path / "own.npz", X=windows(5))
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    augment_file(tmp_path / "own.npz", tmp_path / "made.npz", factor=2)
    assert torch.equal(torch.rand(3), expected)
