"""Which arrays a file holds, and how one that is missing is told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phasetune.errors import StageError
from phasetune.train.arrays import array_header, has_array, read_array

NAMES = {
    "nothing": [],
    "'windows', 'y'": ["y", "windows"],
    "'a', 'b', 'c', 'd', 'e'": [*"edcba"],
    "'a', 'b', 'c', 'd', 'e' and 2 more": [*"gfedcba"],
    f"'a\\n', '{'n' * 100}'": ["n" * 101, "a\n"],
}


@pytest.mark.parametrize("read", [array_header, read_array])
@pytest.mark.parametrize("told", NAMES)
def test_a_missing_array_is_told_with_what_there_is(
    read: Callable[[Path, str], object], tmp_path: Path, told: str
) -> None:
    path = tmp_path / "train.npz"
    np.savez(path, **dict.fromkeys(NAMES[told], np.arange(3)))  # type: ignore[arg-type]
    with pytest.raises(StageError) as caught:
        read(path, "X")
    assert str(caught.value) == f"{path} must hold an array 'X', but holds {told}"


@pytest.mark.parametrize(("name", "is_there"), [("X", True), ("x", False), ("X.npy", False)])
def test_an_array_is_there_under_its_own_name(tmp_path: Path, name: str, is_there: bool) -> None:
    np.savez(tmp_path / "train.npz", X=np.arange(3))
    assert has_array(tmp_path / "train.npz", name) == is_there


def test_whether_an_array_is_in_no_archive_is_no_question(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        has_array(tmp_path / "train.npz", "X")
    (tmp_path / "train.npz").write_bytes(b"text")
    with pytest.raises(StageError, match=r"train\.npz must be an \.npz file"):
        has_array(tmp_path / "train.npz", "X")
