"""Whom a folder is trusted to: its owner, where nobody else can write at, below or above it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from phasetune import StoreError
from phasetune.store.trust import refuse_untrusted, why_untrusted


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """results/study/attempt/{state,run/checkpoint}, for the user alone."""
    made = tmp_path / "results"
    run = made / "study" / "attempt" / "run"
    run.mkdir(parents=True)
    for file in (run / "checkpoint", run.parent / "state", made / "study" / "other"):
        file.write_text("")
        file.chmod(0o644)
    for folder in (run, *run.parents[:3]):
        folder.chmod(0o755)
    return made


def attempt(root: Path) -> Path:
    return root / "study" / "attempt"


def test_what_is_the_users_own_is_trusted(root: Path) -> None:
    assert why_untrusted(attempt(root), root=root) is None
    assert why_untrusted(root / "study" / "other", root=root) is None
    refuse_untrusted(attempt(root), root=root)


@pytest.mark.parametrize("name", [".", "study", "study/attempt", "study/attempt/run"])
@pytest.mark.parametrize(
    ("mode", "who"), [(0o775, "its group"), (0o777, "everybody"), (0o1777, "everybody")]
)
def test_a_folder_that_others_can_write_is_not(name: str, mode: int, who: str, root: Path) -> None:
    (root / name).chmod(mode)
    with pytest.raises(StoreError) as refused:
        refuse_untrusted(attempt(root), root=root)
    message = str(refused.value)
    assert message.startswith(f"{root / name} can be written by {who} (mode {mode:04o});")
    assert message.endswith(f"`chmod -R go-w {root}`")


@pytest.mark.parametrize("name", ["state", "run/checkpoint"])
def test_nor_a_file_in_it_that_others_can_write(name: str, root: Path) -> None:
    path = attempt(root) / name
    path.chmod(0o664)
    why = why_untrusted(attempt(root), root=root)
    assert why is not None
    assert why.startswith(f"{path} can be written by its group")


@pytest.mark.parametrize("shield", [".", "study"])
def test_bits_below_a_folder_that_the_user_alone_can_enter_count_for_nothing(
    shield: str, root: Path
) -> None:
    (attempt(root) / "run").chmod(0o777)
    (attempt(root) / "state").chmod(0o666)
    (root / shield).chmod(0o700)
    assert why_untrusted(attempt(root), root=root) is None


def test_a_folder_that_a_group_can_enter_is_no_shield(root: Path) -> None:
    (attempt(root) / "state").chmod(0o664)
    (root / "study").chmod(0o710)
    assert why_untrusted(attempt(root), root=root) is not None


def test_what_lies_beside_it_or_above_the_root_is_not_looked_at(root: Path) -> None:
    (root / "study" / "other").chmod(0o666)
    root.parent.chmod(0o777)
    assert why_untrusted(attempt(root), root=root) is None


@pytest.mark.parametrize(
    "linked",
    [
        lambda root: (root / "study").rename(root / "elsewhere") and root / "study",
        lambda root: attempt(root) / "run" / "link",
        lambda root: attempt(root) / "link",
    ],
    ids=["a folder above", "a file below", "a folder below"],
)
def test_symbolic_links_are_not_followed(linked: Callable[[Path], Path], root: Path) -> None:
    link = linked(root)
    link.symlink_to(root / "elsewhere")
    why = why_untrusted(attempt(root), root=root)
    assert why is not None
    assert why.startswith(f"{link} is a symbolic link")


def test_what_belongs_to_somebody_else_is_not_trusted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    why = why_untrusted(attempt(root), root=root)
    assert why is not None
    assert why.startswith(f"{root} belongs to user {owner}, but you are user {owner + 1};")


def test_what_is_gone_is_not_trusted(root: Path) -> None:
    why = why_untrusted(attempt(root) / "gone", root=root)
    assert why == f"{attempt(root) / 'gone'} can't be looked at: No such file or directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root can look into every folder")
def test_a_folder_that_cannot_be_looked_into_is_not_trusted(root: Path) -> None:
    (attempt(root) / "run").chmod(0)
    with pytest.raises(StoreError, match="run can't be looked into"):
        why_untrusted(attempt(root), root=root)
