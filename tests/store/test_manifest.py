"""What a manifest must say to be one, whoever wrote it; and what its artifact is without it."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StoreError
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.manifest import is_inside, plain_size, read_manifest, with_digest

Publish = Callable[..., Artifact]
DIGEST = "0" * 64

CHANGES: dict[str, dict[str, Any]] = {
    "no number": {"metrics": {"accuracy": "high"}},
    "a truth": {"metrics": {"accuracy": True}},
    "more than a float": {"metrics": {"accuracy": 10**400}},
    "no metrics": {"metrics": [0.5]},
    "no duration": {"provenance": {}},
    "a negative duration": {"provenance": {"duration_seconds": -1}},
    "an endless duration": {"provenance": {"duration_seconds": "inf"}},
    "no notes": {"provenance": {"duration_seconds": 1.0, "notes": "none"}},
    "no exactness": {"provenance": {"duration_seconds": 1.0, "is_exact": "yes"}},
    "no study": {"provenance": {"duration_seconds": 1.0, "study": 3}},
    "no digest": {"files": {"files/model.txt": {"size": 7}}},
    "no size": {"files": {"files/model.txt": {"size": "7", "sha256": DIGEST}}},
    "a negative size": {"files": {"files/model.txt": {"size": -7, "sha256": DIGEST}}},
    "a huge size": {"files": {"files/model.txt": {"size": 10**30, "sha256": DIGEST}}},
    "a file outside": {"files": {"files/../../../key": {"size": 7, "sha256": DIGEST}}},
    "an absolute file": {"files": {"/etc/passwd": {"size": 7, "sha256": DIGEST}}},
    "a file beside": {"files": {"checkpoints/state.pt": {"size": 7, "sha256": DIGEST}}},
    "an export outside": {"run": {"exports": ["../../../key"]}},
    "no exports": {"run": {"exports": "model.txt"}},
    "no run": {"run": []},
    "no environment": {"environment": "cpu"},
    "another schema": {"schema": 2},
}


def change(folder: Path, changes: dict[str, Any]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(with_digest({**json.loads(path.read_text()), **changes})))


@pytest.mark.parametrize("case", CHANGES)
def test_one_that_says_what_nobody_writes_is_none(
    case: str, store: ArtifactStore, publish: Publish
) -> None:
    folder = publish().folder
    change(folder, CHANGES[case])
    assert read_manifest(folder) is None
    assert store.get("finetune", "ab") is None
    assert publish().metrics == {"accuracy": 0.5}


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def deep(path: Path) -> None:
    path.write_text("[" * 10**5)


def terabyte(path: Path) -> None:
    os.truncate(path, 2**40)


@pytest.mark.parametrize("damage", [pipe, endless, deep, terabyte])
def test_what_is_no_plain_file_is_neither_waited_for_nor_read(
    damage: Callable[[Path], None], publish: Publish
) -> None:
    folder = publish().folder
    damage(folder / "manifest.json")
    assert read_manifest(folder) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", True),
        ("a/b.txt", True),
        ("a..b", True),
        ("..", False),
        ("a/../b", False),
        ("/a", False),
        ("a//b", False),
        ("./a", False),
        ("a/", False),
        ("", False),
        ("a\0b", False),
        (3, False),
    ],
)
def test_a_name_leads_inside_or_it_does_not(name: Any, expected: bool) -> None:
    assert is_inside(name) is expected


def led_away(artifact: Artifact) -> None:
    path, elsewhere = artifact.files / "model.txt", artifact.folder.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def folder_led_away(artifact: Artifact) -> None:
    elsewhere = artifact.folder.parent / "elsewhere"
    artifact.files.rename(elsewhere)
    artifact.files.symlink_to(elsewhere)


@pytest.mark.parametrize("damage", [led_away, folder_led_away])
def test_a_file_behind_a_link_is_not_the_artifact_s(
    damage: Callable[[Artifact], None], store: ArtifactStore, publish: Publish
) -> None:
    artifact = publish()
    assert plain_size(artifact.folder, "files/model.txt") == 7
    damage(artifact)
    assert plain_size(artifact.folder, "files/model.txt") is None
    with pytest.raises(
        StoreError, match=r"files/model\.txt is not what was published: must have 7"
    ):
        store.get("finetune", "ab")


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"rows": {}}', '{"rows": [{"loss": 1}]}', '{"rows": [{"step": 1.5}]}', "[" * 10**5],
    ids=lambda text: text[:25],
)
def test_a_history_that_was_changed_is_told(publish: Publish, text: str) -> None:
    found = publish()
    (found.folder / "history.json").write_text(text)
    with pytest.raises(StoreError, match=r"history\.json is not what was published: "):
        found.history()


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_can_t_be_set_aside_is_told(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(StoreError, match=r"ab is damaged and can't be moved to .*ab-damaged-1: "):
        store.set_aside("finetune", "ab", reason="damaged")
