"""Several machines for tests of results at a URI: each is another `PHASETUNE_CACHE`."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.paths import ResultsPaths, results_at
from phasetune.store.remote.mirror import open_mirror

RECORD: Mapping[str, Any] = {"environment": {}, "provenance": {"duration_seconds": 1.0}}
KEY = "0123456789abcdef" * 2


@contextmanager
def on(machine: Path) -> Iterator[None]:
    """Within the block this process is on that machine."""
    before = os.environ["PHASETUNE_CACHE"]
    os.environ["PHASETUNE_CACHE"] = str(machine)
    try:
        yield
    finally:
        os.environ["PHASETUNE_CACHE"] = before


def worker(uri: str) -> ResultsPaths:
    """The results as a worker has them: nothing is brought, it asks for what it lacks."""
    return ResultsPaths(open_mirror(uri).root)


def reader(uri: str) -> ResultsPaths:
    """The results as a command has them that just started."""
    return results_at(uri)


def publish(
    paths: ResultsPaths, *, key: str = KEY, content: str = "weights", stage: str = "train"
) -> Artifact:
    """An artifact with two files and a kept checkpoint."""
    store = ArtifactStore(paths.store)
    with store.draft(stage, key, "0001") as draft:
        (draft / "files/model.bin").write_text(content)
        (draft / "files/deep").mkdir()
        (draft / "files/deep/notes.txt").write_text("deep")
        (draft / "checkpoints/last").mkdir()
        (draft / "checkpoints/last/state.pt").write_text("state" * 100)
        (draft / "checkpoints/last/meta.json").write_text(
            '{"epoch": 3, "metrics": {"loss": 0.5}, "size": 500}'
        )
        return store.publish(
            draft,
            stage=stage,
            key=key,
            metrics={"score": 0.5},
            history=[{"step": 1, "loss": 0.1}],
            record=RECORD,
        )
