"""Falling back to the newest checkpoint that is valid, and why each one is kept."""

import json
import warnings
from pathlib import Path

import pytest

from phasetune.errors import StoreError
from phasetune.train.checkpoint import (
    checkpoints_in,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    tell_why_kept,
)


def save(folder: Path, epoch: int) -> Path:
    return save_checkpoint(folder, {"epoch": epoch}, epoch=epoch, metrics={}, parameters={})


def newest_epoch(folder: Path) -> int | None:
    found = newest_checkpoint(folder)
    return None if found is None else int(found.state["epoch"])


def tear(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("epochs", [(1, 2, 3), (3, 1, 2), (999, 1000), (7,)])
def test_the_newest_is_that_of_the_last_epoch(epochs: tuple[int, ...], tmp_path: Path) -> None:
    for epoch in epochs:
        save(tmp_path, epoch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_epoch(tmp_path) == max(epochs)
    assert [one.epoch for one in checkpoints_in(tmp_path)] == sorted(epochs)


def test_where_there_is_none_nothing_is_said(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_checkpoint(tmp_path) is None
        assert newest_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.parametrize(
    ("torn", "told"),
    [("state.pt", "state.pt is not what was saved"), ("meta.json", "has no readable meta.json")],
)
def test_a_damaged_one_is_passed_over_with_a_warning(torn: str, told: str, tmp_path: Path) -> None:
    paths = [save(tmp_path, epoch) for epoch in (1, 2, 3)]
    tear(paths[2] / torn)
    with pytest.warns(UserWarning, match=told) as heard:
        assert newest_epoch(tmp_path) == 2
    message = str(heard[0].message)
    assert str(paths[2]) in message
    assert message.endswith(f"{paths[1]} is used")


def test_where_all_are_damaged_none_is_left(tmp_path: Path) -> None:
    paths = [save(tmp_path, epoch) for epoch in (1, 2)]
    tear(paths[0] / "state.pt")
    (paths[1] / "state.pt").unlink()
    with pytest.warns(UserWarning, match="nothing is left") as heard:
        assert newest_checkpoint(tmp_path) is None
    assert all(str(path) in str(heard[0].message) for path in paths)


def test_an_older_one_that_is_damaged_does_no_harm(tmp_path: Path) -> None:
    tear(save(tmp_path, 1) / "state.pt")
    save(tmp_path, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_epoch(tmp_path) == 2


def test_a_draft_that_was_left_by_a_kill_is_no_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2).rename(tmp_path / ".draft-epoch002-0a1b2c")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_epoch(tmp_path) == 1


def test_why_it_is_kept_stands_in_its_meta_and_it_still_loads(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    for reasons in (("last",), ("best", "milestone")):
        tell_why_kept(path, reasons)
        assert json.loads((path / "meta.json").read_text())["kept_as"] == list(reasons)
        assert load_checkpoint(path).state["epoch"] == 3


def test_a_single_one_that_is_damaged_is_an_error(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    tear(path / "meta.json")
    with pytest.raises(StoreError, match=r"meta\.json can't be read"):
        load_checkpoint(path)
