"""Parts as files: what is refused, in which words, and what comes back as it was."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune import StageError, StoreError
from phasetune.workloads.windows.files import read_part, read_sources, write_part

FolderMaker = Callable[..., Path]
WindowMaker = Callable[..., NDArray[np.float32]]

GOOD = np.arange(40 * 8 * 2, dtype=np.float32).reshape(40, 8, 2)
LABELS = np.arange(40) % 2


class Canary:
    """Touches a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def with_value(value: float, *, window: int) -> NDArray[np.float32]:
    changed = GOOD.copy()
    changed[window, 3, 1] = value
    return changed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"X": GOOD[0, 0]}, "X must have shape [n, time, channel], but has [2]"),
        ({"X": GOOD[:, :, 0]}, "X must have shape [n, time, channel], but has [40, 8]"),
        ({"X": GOOD[None]}, "X must have shape [n, time, channel], but has [1, 40, 8, 2]"),
        ({"X": GOOD[:0]}, "X must have shape [n, time, channel], but has [0, 8, 2]"),
        ({"X": GOOD[:, :0]}, "X must have shape [n, time, channel], but has [40, 0, 2]"),
        ({"X": GOOD[:, :, :0]}, "X must have shape [n, time, channel], but has [40, 8, 0]"),
        ({"X": GOOD[:, :1]}, "windows must have at least 2 time steps, but have 1"),
        (
            {"X": GOOD.astype(np.float64)},
            "X must be float32, but is float64; save X.astype('float32')",
        ),
        ({"X": GOOD.astype(">f4")}, "X must be float32, but is >f4; save X.astype('float32')"),
        (
            {"X": GOOD.astype(np.int32)},
            "X must be float32, but is int32; save X.astype('float32')",
        ),
        (
            {"X": with_value(np.nan, window=0)},
            "X must be finite, but window 0 has NaN or infinity",
        ),
        (
            {"X": with_value(-np.inf, window=39)},
            "X must be finite, but window 39 has NaN or infinity",
        ),
        (
            {"y": LABELS[:39]},
            "y must have shape [40], one label per window, but has [39]",
        ),
        (
            {"y": LABELS[:, None]},
            "y must have shape [40], one label per window, but has [40, 1]",
        ),
        ({"y": np.int64(1)}, "y must have shape [40], one label per window, but has []"),
        ({"y": LABELS.astype(np.float64)}, "y must be integers, but is float64"),
        ({"y": LABELS.astype(bool)}, "y must be integers, but is bool"),
        ({"y": LABELS.astype(str)}, "y must be integers, but is <U21"),
        ({"y": LABELS - 1}, "y must be labels 0, 1, ..., at most 99, but has -1"),
        ({"y": LABELS * 100}, "y must be labels 0, 1, ..., at most 99, but has 100"),
        ({"X": with_value(-1.5e15, window=2)}, "X must be from -1e+15 to 1e+15, but has -1.5e+15"),
        (
            {"y": LABELS.astype(object)},
            "array 'y' holds pickled Python objects, which are never loaded; save plain numbers",
        ),
    ],
)
def test_content_that_is_not_what_it_must_be_is_refused_in_one_sentence(
    folder: FolderMaker, changes: dict[str, Any], sentence: str
) -> None:
    path = folder(train={"X": GOOD, **changes}) / "train.npz"
    with pytest.raises(StageError) as caught:
        read_part(path, is_labelled=True)
    assert caught.value.problems == (f"{path}: {sentence}",)


@pytest.mark.parametrize(
    ("left_out", "sentence"),
    [
        ({"y": None}, "must hold an array 'y', but holds 'X'"),
        ({"X": None}, "must hold an array 'X', but holds 'y'"),
        ({"X": None, "y": None}, "must hold an array 'X', but holds nothing"),
        ({"X": None, "x": GOOD}, "must hold an array 'X', but holds 'x', 'y'"),
    ],
)
def test_an_array_that_is_missing_is_named_and_what_is_there_too(
    folder: FolderMaker, left_out: dict[str, Any], sentence: str
) -> None:
    path = folder(train=left_out) / "train.npz"
    with pytest.raises(StageError) as caught:
        read_part(path, is_labelled=True)
    assert caught.value.problems == (f"{path} {sentence}",)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"0.1,0.2\n" * 100])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.npz"
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"train\.npz must be an \.npz file, as numpy\.savez"):
        read_part(path, is_labelled=True)


def test_a_file_that_was_cut_is_refused(folder: FolderMaker) -> None:
    path = folder() / "train.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StageError, match=r"train\.npz must be an \.npz file"):
        read_part(path, is_labelled=True)


def test_an_array_that_declares_more_than_it_holds_is_refused_before_it_is_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "train.npz"
    np.savez(path, X=GOOD)
    with zipfile.ZipFile(path) as archive:
        member = archive.read("X.npy")
    with zipfile.ZipFile(path, "w") as archive:
        forged = member.replace(b"(40, 8, 2), }        ", b"(4000000000, 8, 2), }", 1)
        archive.writestr("X.npy", forged)
    with pytest.raises(StageError, match=r"train\.npz: array 'X' declares shape \[4000000000, 8"):
        read_part(path, is_labelled=False)


@pytest.mark.parametrize("name", ["X", "y"])
def test_nothing_is_unpickled(folder: FolderMaker, tmp_path: Path, name: str) -> None:
    canary = np.array([Canary(tmp_path / "sang")] * 40, dtype=object)
    path = folder(train={name: canary}) / "train.npz"
    with pytest.raises(StageError, match=f"array '{name}' holds pickled Python objects"):
        read_part(path, is_labelled=True)
    assert not (tmp_path / "sang").exists()
    np.load(path, allow_pickle=True)[name]
    assert (tmp_path / "sang").exists()


def test_a_file_that_is_not_there_is_the_system_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train"):
        read_part(tmp_path / "train.npz", is_labelled=True)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, ">i2"])
def test_labels_of_any_integer_type_are_read(folder: FolderMaker, kind: Any) -> None:
    path = folder(train={"y": LABELS.astype(kind)}) / "train.npz"
    labels = read_part(path, is_labelled=True)[1]
    assert labels is not None
    assert labels.dtype == np.int64
    assert labels.tolist() == LABELS.tolist()


def test_labels_of_unlabelled_windows_are_left_alone(folder: FolderMaker) -> None:
    path = folder(unlabeled_augmented={"X": GOOD, "y": np.array(["any", "thing"])})
    windows, labels = read_part(path / "unlabeled_augmented.npz", is_labelled=False)
    assert np.array_equal(windows, GOOD)
    assert labels is None


@pytest.mark.parametrize("value", [1e15, -1e15])
def test_the_largest_value_is_read(folder: FolderMaker, value: float) -> None:
    largest = with_value(value, window=2)
    windows, _ = read_part(folder(train={"X": largest}) / "train.npz", is_labelled=True)
    assert np.array_equal(windows, largest)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (np.arange(11), "int64 of shape [11]"),
        (np.arange(12.0), "float64 of shape [12]"),
        (np.zeros((12, 1), np.int32), "int32 of shape [12, 1]"),
        (np.zeros(12, bool), "bool of shape [12]"),
        (np.array("0"), "<U1 of shape []"),
    ],
    ids=["length", "float", "column", "bool", "text"],
)
def test_sources_that_are_not_one_integer_per_window_are_refused(
    folder: FolderMaker, source: Any, told: str
) -> None:
    path = folder(unlabeled_augmented={"source": source}) / "unlabeled_augmented.npz"
    with pytest.raises(StageError) as caught:
        read_sources(path, 12)
    assert caught.value.problems == (
        f"{path}: source must be 12 integers, the window that each was made from, but is {told}",
    )


@pytest.mark.parametrize("kind", [np.uint8, np.int32, ">i8"])
def test_sources_of_any_integer_type_are_read(folder: FolderMaker, kind: Any) -> None:
    given = (np.arange(12) % 5).astype(kind)
    path = folder(unlabeled_augmented={"source": given}) / "unlabeled_augmented.npz"
    found = read_sources(path, 12)
    assert found is not None
    assert found.dtype == np.int64
    assert found.tolist() == given.tolist()


def test_a_file_may_be_silent_about_sources(folder: FolderMaker) -> None:
    assert read_sources(folder() / "unlabeled_augmented.npz", 12) is None


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_windows_are_read_as_they_were_saved(
    tmp_path: Path, save: Callable[..., None], order: Any
) -> None:
    save(tmp_path / "train.npz", X=np.asarray(GOOD, order=order), y=LABELS)
    windows, labels = read_part(tmp_path / "train.npz", is_labelled=True)
    assert windows.dtype == np.float32
    assert np.array_equal(windows, GOOD)
    assert labels is not None
    assert labels.tolist() == LABELS.tolist()


def test_a_part_that_is_written_is_read_back(tmp_path: Path, windows: WindowMaker) -> None:
    path = tmp_path / "new" / "folder" / "train.npz"
    write_part(path, X=windows(5), y=LABELS[:5])
    again, labels = read_part(path, is_labelled=True)
    assert np.array_equal(again, windows(5))
    assert labels is not None
    assert labels.tolist() == [0, 1, 0, 1, 0]
    assert [entry.name for entry in path.parent.iterdir()] == ["train.npz"]


def test_a_part_that_can_t_be_written_leaves_nothing(tmp_path: Path, windows: WindowMaker) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"train\.npz can't be written"):
        write_part(tmp_path / "file" / "train.npz", X=windows(5))
    with pytest.raises(ValueError, match="allow_pickle"):
        write_part(tmp_path / "part.npz", X=np.array([{}], dtype=object))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
