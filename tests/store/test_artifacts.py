import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StoreError
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.durable import DRAFT_PREFIX

Publish = Callable[..., Artifact]


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_what_was_published_is_what_is_read(store: ArtifactStore, publish: Publish) -> None:
    published = publish(
        files={"model.txt": "weights", "deep/er.txt": ""},
        metrics={"accuracy": 0.1 + 0.2, "loss": 1e-12},
        history=[{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}],
    )
    found = store.get("finetune", "ab")
    assert found == published
    assert found is not None
    found.verify()
    assert (found.stage, found.key) == ("finetune", "ab")
    assert (found.files / "model.txt").read_text() == "weights"
    assert (found.files / "deep" / "er.txt").read_text() == ""
    assert found.metrics == {"accuracy": 0.1 + 0.2, "loss": 1e-12}
    assert found.history() == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
    assert found.environment == {"device": "cpu", "threads": 1}
    assert found.duration_seconds == 1.5
    assert names_in(store.root / "finetune") == [
        "ab",
        "ab/files",
        "ab/files/deep",
        "ab/files/deep/er.txt",
        "ab/files/model.txt",
        "ab/history.json",
        "ab/manifest.json",
    ]


def test_metrics_that_are_no_finite_number_come_back_as_they_were(
    store: ArtifactStore, publish: Publish
) -> None:
    publish(
        metrics={"a": math.nan, "b": math.inf, "c": -math.inf},
        history=[{"step": 1, "loss": math.nan}],
    )
    found = store.get("finetune", "ab")
    assert found is not None
    assert math.isnan(found.metrics["a"])
    assert (found.metrics["b"], found.metrics["c"]) == (math.inf, -math.inf)
    assert math.isnan(found.history()[0]["loss"])


def without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def torn_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])


def empty_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"")


def changed_manifest(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


NO_ARTIFACT = [
    without_manifest,
    torn_manifest,
    empty_manifest,
    changed_manifest(key="cd"),
    changed_manifest(stage="pretrain"),
    changed_manifest(schema=0),
    changed_manifest(files=None),
    changed_manifest(environment="cpu"),
    lambda folder: (folder / "manifest.json").write_text("[]"),
]


@pytest.mark.parametrize("damage", NO_ARTIFACT)
def test_an_artifact_without_its_manifest_does_not_exist(
    store: ArtifactStore, publish: Publish, damage: Callable[[Path], None]
) -> None:
    damage(publish().folder)
    assert store.get("finetune", "ab") is None
    assert store.get("finetune", "never") is None


@pytest.mark.parametrize("damage", NO_ARTIFACT)
def test_a_run_can_be_published_over_what_is_no_artifact(
    store: ArtifactStore, publish: Publish, damage: Callable[[Path], None]
) -> None:
    damage(publish().folder)
    publish(metrics={"accuracy": 0.75})
    found = store.get("finetune", "ab")
    assert found is not None
    assert found.metrics == {"accuracy": 0.75}
    kept = store.root / "set-aside" / "finetune" / "ab-damaged-1"
    assert (kept / "files" / "model.txt").read_text() == "weights"


def truncated(artifact: Artifact) -> Path:
    path = artifact.files / "model.txt"
    path.write_text("weigh")
    return path


def deleted(artifact: Artifact) -> Path:
    path = artifact.files / "model.txt"
    path.unlink()
    return path


def history_lost(artifact: Artifact) -> Path:
    path = artifact.folder / "history.json"
    path.unlink()
    return path


@pytest.mark.parametrize("damage", [truncated, deleted, history_lost])
def test_a_file_of_another_size_is_found_by_get(
    store: ArtifactStore, publish: Publish, damage: Callable[[Artifact], Path]
) -> None:
    path = damage(publish())
    with pytest.raises(StoreError) as caught:
        store.get("finetune", "ab")
    assert f"{path} is not what was published: must have" in str(caught.value)


def flipped(artifact: Artifact) -> Path:
    path = artifact.files / "model.txt"
    path.write_text("weighty")
    return path


def added(artifact: Artifact) -> Path:
    path = artifact.files / "new.txt"
    path.write_text("")
    return path


def linked(artifact: Artifact) -> Path:
    path = artifact.files / "link.txt"
    path.symlink_to(artifact.files / "model.txt")
    return path


@pytest.mark.parametrize("damage", [flipped, added, linked])
def test_what_get_can_t_see_is_found_by_verify(
    store: ArtifactStore, publish: Publish, damage: Callable[[Artifact], Path]
) -> None:
    path = damage(publish())
    found = store.get("finetune", "ab")
    assert found is not None
    with pytest.raises(
        StoreError, match=r"is not what was published|must be a plain file"
    ) as caught:
        found.verify()
    assert str(path) in str(caught.value)


def test_a_link_is_not_published(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("text")
    with store.draft("finetune", "ab", "0001-1") as draft:
        (draft / "files" / "link").symlink_to(tmp_path / "secret")
        with pytest.raises(StoreError, match=r"files/link must be a plain file or folder"):
            store.publish(draft, stage="finetune", key="ab", metrics={}, history=[], record={})
    assert names_in(store.root / "finetune") == []
    assert (tmp_path / "secret").read_text() == "text"


def test_the_first_that_was_published_stays(store: ArtifactStore, publish: Publish) -> None:
    first = publish(metrics={"accuracy": 0.5})
    second = publish(metrics={"accuracy": 0.9}, files={"other.txt": "other"})
    assert second == first
    assert store.get("finetune", "ab") == first
    assert names_in(store.root / "finetune") == [
        "ab",
        "ab/files",
        "ab/files/model.txt",
        "ab/history.json",
        "ab/manifest.json",
    ]


PUBLISHER = """
import sys
from pathlib import Path
from phasetune.store.artifacts import ArtifactStore

root, name = Path(sys.argv[1]), sys.argv[2]
store = ArtifactStore(root)
record = {"environment": {}, "provenance": {"duration_seconds": 1.0}}
for key in map(str, range(100, 140)):
    with store.draft("finetune", key, name) as draft:
        (draft / "files" / name).write_text(name)
        if key == "100":
            print("ready", flush=True)
            sys.stdin.readline()
        artifact = store.publish(
            draft, stage="finetune", key=key, metrics={}, history=[], record=record
        )
        artifact.verify()
"""


def test_two_processes_that_publish_the_same_keys_leave_one_whole_artifact_each(
    store: ArtifactStore,
) -> None:
    publishers = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(store.root), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for publisher in publishers:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "ready\n"
    for publisher in publishers:
        assert publisher.stdin is not None
        publisher.stdin.write("\n")
        publisher.stdin.flush()
    for publisher in publishers:
        publisher.communicate(timeout=30)
    assert [publisher.returncode for publisher in publishers] == [0, 0]
    assert sorted(path.name for path in (store.root / "finetune").iterdir()) == [
        str(key) for key in range(100, 140)
    ]
    for key in range(100, 140):
        found = store.get("finetune", str(key))
        assert found is not None
        found.verify()
        assert names_in(found.files) in (["one"], ["two"])
    assert not (store.root / "set-aside").exists()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_fault_while_publishing_leaves_nothing(
    store: ArtifactStore, publish: Publish, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(StoreError, match="artifact finetune/ab can't be published: No space"):
            publish()
    assert store.get("finetune", "ab") is None
    assert names_in(store.root / "finetune") == []
    assert publish().metrics == {"accuracy": 0.5}


def test_a_draft_starts_empty_and_is_gone_after_an_error(store: ArtifactStore) -> None:
    def fill() -> None:
        with store.draft("finetune", "ab", "0001-1") as draft:
            assert names_in(draft) == ["checkpoints", "files"]
            (draft / "files" / "half").write_text("half")
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fill()
    assert names_in(store.root) == ["finetune"]


def test_a_draft_that_a_killed_process_left_is_no_artifact_and_is_emptied(
    store: ArtifactStore, publish: Publish
) -> None:
    left = store.root / "finetune" / f"{DRAFT_PREFIX}ab-0001-1"
    (left / "files").mkdir(parents=True)
    (left / "files" / "half.txt").write_text("half")
    assert store.get("finetune", "ab") is None
    assert names_in(publish().files) == ["model.txt"]


def test_what_is_set_aside_is_kept_and_its_run_can_be_published_again(
    store: ArtifactStore, publish: Publish
) -> None:
    kept = []
    for accuracy in (0.1, 0.2):
        publish(metrics={"accuracy": accuracy})
        kept.append(store.set_aside("finetune", "ab", reason="environment"))
        assert store.get("finetune", "ab") is None
    assert kept[0] != kept[1]
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in kept]
    assert [manifest["metrics"]["accuracy"] for manifest in manifests] == [0.1, 0.2]
