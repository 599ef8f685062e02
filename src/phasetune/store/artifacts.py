"""Artifacts by key: what a run leaves, published whole or not at all.

    store/<stage>/<key>/files/         what the stage wrote
    store/<stage>/<key>/checkpoints/   what it kept beside that; no part of the artifact
    store/<stage>/<key>/history.json   reported metrics by step
    store/<stage>/<key>/manifest.json  final metrics, environment, and each file's size and digest

An artifact is filled as a draft and appears by one rename, its manifest written last. One without
a manifest, or with another key's, does not exist. The first that was published under a key stays.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store import durable
from phasetune.store.documents import document_text, numbers, read_json, steps
from phasetune.store.manifest import (
    FILES,
    HISTORY,
    RESOURCES,
    SCHEMA,
    plain_size,
    published_sizes,
    read_manifest,
    with_digest,
)
from phasetune.store.manifest import MANIFEST as MANIFEST
from phasetune.store.remote.mirror import away, bring_documents, folder_names, mirror_of, shown_path

CHECKPOINTS = "checkpoints"
SET_ASIDE = "set-aside"


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A published artifact, as its manifest tells."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        return str(self.manifest["key"])

    @property
    def stage(self) -> str:
        return str(self.manifest["stage"])

    @property
    def files(self) -> Path:
        """What the stage wrote; of results at a URI brought here, or StoreError is raised."""
        self._bring()
        return self.folder / FILES

    @property
    def metrics(self) -> dict[str, float]:
        return numbers(self.manifest["metrics"])

    @property
    def environment(self) -> Mapping[str, Any]:
        """The environment class it was computed in."""
        found: Mapping[str, Any] = self.manifest["environment"]
        return found

    @property
    def duration_seconds(self) -> float:
        return float(self.manifest["provenance"]["duration_seconds"])

    @property
    def spent_seconds(self) -> float:
        """What it took beyond the stored trunk that it went on from."""
        return float(self.manifest["provenance"].get("spent_seconds", self.duration_seconds))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the run's record says of it."""
        return tuple(self.manifest["provenance"].get("notes", ()))

    @property
    def is_exact(self) -> bool:
        """Whether its bits depend on its key and environment class alone."""
        return bool(self.manifest["provenance"].get("is_exact", True))

    @property
    def resources(self) -> dict[str, float]:
        """What its run took: `peak_memory_gib` of its process; where it had a GPU also
        `peak_gpu_memory_gib` and `gpu_use_percent`.
        """
        found: Mapping[str, Any] = self.manifest["provenance"]
        return {name: float(found[name]) for name in RESOURCES if name in found}

    @property
    def exports(self) -> tuple[str, ...]:
        """Files that people look for by a trial's name."""
        return tuple(self.manifest.get("run", {}).get("exports", ()))

    def history(self) -> list[dict[str, float]]:
        """One row per reported step, in order; each has `step`.

        Raises:
            StoreError: it is not what was published.
        """
        path = self.folder / HISTORY
        try:
            return steps(read_json(path)["rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{shown_path(path)} is not what was published: {error}") from error

    def verify(self) -> None:
        """Compare every file with the manifest.

        Raises:
            StoreError: a file is missing, added or differs; the message names it.
        """
        self._bring()
        damaged = self._damaged()
        if damaged and mirror_of(self.folder) is not None:  # perhaps only what was brought is
            for name in damaged:
                (self.folder / name).unlink(missing_ok=True)
            self._bring()
            damaged = self._damaged()
        for name, (expected, found) in damaged.items():
            raise StoreError(
                f"{shown_path(self.folder / name)} is not what was published: must be {expected}, "
                f"but is {found}"
            )

    def _damaged(self) -> dict[str, tuple[Any, Any]]:
        """What must be of each file that is something else, and what is."""
        expected: Mapping[str, Mapping[str, Any]] = self.manifest["files"]
        found = _described_files(self.folder)
        names = sorted({*expected, *found})
        both = {name: (expected.get(name), found.get(name)) for name in names}
        return {name: (must, is_) for name, (must, is_) in both.items() if must != is_}

    def _bring(self) -> None:
        mirror = mirror_of(self.folder)
        if mirror is None:
            return
        described = self.manifest["files"].items()
        if any(plain_size(self.folder, name) != said["size"] for name, said in described):
            mirror.bring(self.folder / FILES)
            mirror.bring(self.folder / HISTORY)
        durable.make_folder(self.folder / FILES)


class ArtifactStore:
    """Artifacts below `results/store`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def has(self, stage: str, key: str) -> bool:
        """Whether there is a manifest here; at a glance, without reading it, or asking a URI."""
        return (self.folder(stage, key) / MANIFEST).is_file()

    def get(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a key, or None; checks the manifest and each file's size.

        Raises:
            StoreError: there is a manifest, but what it lists is not there, or only behind a link.
        """
        folder = self.folder(stage, key)
        if not self.has(stage, key):
            bring_documents(folder)
        manifest = read_manifest(folder)
        if manifest is None or manifest.get("key") != key or manifest.get("stage") != stage:
            return None
        sizes = published_sizes(folder, manifest["files"])
        for name, described in manifest["files"].items():
            if sizes[name] != described["size"]:
                raise StoreError(
                    f"{shown_path(folder / name)} is not what was published: must have "
                    f"{described['size']} bytes, but has {sizes[name]}"
                )
        return Artifact(folder=folder, manifest=manifest)

    @contextmanager
    def draft(self, stage: str, key: str, attempt: str) -> Iterator[Path]:
        """An empty folder to fill and publish; gone after the block where it was not published."""
        draft = self.root / stage / f"{durable.DRAFT_PREFIX}{key}-{attempt}"
        durable.discard(draft)
        durable.make_folder(draft / FILES)
        durable.make_folder(draft / CHECKPOINTS)
        try:
            yield draft
        finally:
            durable.discard(draft)

    def publish(
        self,
        draft: Path,
        *,
        stage: str,
        key: str,
        metrics: Mapping[str, float],
        history: list[dict[str, float]],
        record: Mapping[str, Any],
    ) -> Artifact:
        """Write the manifest and make the draft the artifact; an existing one stays.

        What lies there without being an artifact, such as one whose manifest is gone, is set aside.

        Raises:
            StoreError: the disk is full, or the stage left something that is no plain file.
        """
        try:
            _discard_if_empty(draft / CHECKPOINTS)
            (draft / HISTORY).write_text(document_text({"rows": history}))
            manifest = {
                "schema": SCHEMA,
                "stage": stage,
                "key": key,
                "metrics": dict(metrics),
                "files": _described_files(draft),
                **record,
            }
            text = document_text(with_digest(manifest))
            (draft / MANIFEST).write_text(text)
            return self._appear(draft, json.loads(text))
        except OSError as error:
            raise StoreError(
                f"the artifact {stage}/{key} can't be published: {error.strerror or error}"
            ) from error

    def _appear(self, draft: Path, manifest: Mapping[str, Any]) -> Artifact:
        stage, key = manifest["stage"], manifest["key"]
        target = self.folder(stage, key)
        existing = self.intact(stage, key)
        if existing is not None:
            return existing
        try:
            durable.commit(draft, target)
        except OSError:
            if (mirror := mirror_of(target)) is not None:  # another machine's may be there
                mirror.refresh(target)
            existing = self.intact(stage, key)
            if existing is not None:
                return existing
            if not target.exists():
                raise
            self.set_aside(stage, key, reason="damaged")
            durable.commit(draft, target)
        return Artifact(folder=target, manifest=manifest)

    def intact(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a key; None where there is none or it is damaged."""
        try:
            return self.get(stage, key)
        except StoreError:
            return None

    def set_aside(self, stage: str, key: str, *, reason: str) -> Path:
        """Move an artifact out of the way, keeping it; its run will be executed again.

        Raises:
            StoreError: it can't be moved.
        """
        parent = self.root / SET_ASIDE / stage
        durable.make_folder(parent)
        taken = sum(name.startswith(f"{key}-{reason}") for name in folder_names(parent))
        source, target = self.folder(stage, key), parent / f"{key}-{reason}-{taken + 1}"
        try:
            durable.commit(source, target)
        except OSError as error:
            raise StoreError(
                f"{shown_path(source)} is damaged and can't be moved to {shown_path(target)}: "
                f"{error.strerror or error}; {away(source)} by hand and run again"
            ) from error
        return target


def _discard_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _described_files(folder: Path) -> dict[str, dict[str, Any]]:
    """What the manifest says of each file; checkpoints may go at any time, so none of them."""
    described: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*")):
        if path.relative_to(folder).parts[0] == CHECKPOINTS:
            continue
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(f"{path} must be a plain file or folder; links are not published")
        if path.is_file() and path != folder / MANIFEST:
            with path.open("rb") as file:
                hashed = hashlib.file_digest(file, "sha256").hexdigest()
            name = path.relative_to(folder).as_posix()
            described[name] = {"size": path.stat().st_size, "sha256": hashed}
    return described
