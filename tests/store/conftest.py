"""Artifacts as a run publishes them, without a run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from phasetune.store.artifacts import Artifact, ArtifactStore


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def publish(store: ArtifactStore) -> Callable[..., Artifact]:
    """Publish `files` under a key of the stage `finetune`."""

    def make(
        key: str = "ab",
        *,
        files: dict[str, str] | None = None,
        metrics: dict[str, float] | None = None,
        history: list[dict[str, float]] | None = None,
        duration_seconds: float = 1.5,
        function: str = "toy:finetune",
    ) -> Artifact:
        with store.draft("finetune", key, "0001-1") as draft:
            for name, text in (files or {"model.txt": "weights"}).items():
                path = draft / "files" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return store.publish(
                draft,
                stage="finetune",
                key=key,
                metrics={"accuracy": 0.5} if metrics is None else metrics,
                history=history or [],
                record={
                    "environment": {"device": "cpu", "threads": 1},
                    "provenance": {"duration_seconds": duration_seconds},
                    "run": {"function": function},
                },
            )

    return make
