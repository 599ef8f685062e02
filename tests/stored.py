"""What studies leave on disk: run in this process, cut off, or put there by hand."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from phasetune import Study, StudyOutcome
from phasetune.api import run_study
from phasetune.run.events import RunReported
from phasetune.run.interrupt import Interrupted
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.paths import ResultsPaths

TRUNK = "ab" * 16


class StopsAt:
    """Sends the stop signal to the study when it has reported so many steps."""

    def __init__(self, count: int) -> None:
        self.count = count

    def notify(self, event: object) -> None:
        if isinstance(event, RunReported):
            self.count -= 1
            if self.count == 0:
                os.kill(os.getpid(), signal.SIGTERM)


class Does:
    """Does something at each event of a kind, and remembers what it came to."""

    def __init__(self, kind: type[Any], something: Callable[[], Any]) -> None:
        self.kind = kind
        self.something = something
        self.results: list[Any] = []

    def notify(self, event: object) -> None:
        if isinstance(event, self.kind):
            self.results.append(self.something())


def finished(study: Study, results: Path) -> StudyOutcome:
    """The study, run to its end."""
    return run_study(study, results=results, in_process=True)


def cut_off(study: Study, results: Path, *, after: int) -> None:
    """The study, interrupted after so many reported steps."""
    with pytest.raises(Interrupted):
        run_study(study, results=results, in_process=True, listener=StopsAt(after))


def keep(
    folder: Path,
    *,
    epoch: int,
    size: int = 1000,
    kept_as: Sequence[str] | None = None,
    loss: float = 0.5,
) -> Path:
    """A checkpoint that a run kept beside its artifact, as the fit loop leaves one."""
    path = folder / "checkpoints" / f"epoch{epoch:03d}_loss{loss:.4f}"
    path.mkdir(parents=True)
    (path / "state.pt").write_bytes(bytes(size))
    meta = {"schema": 1, "epoch": epoch, "metrics": {"loss": loss}, "sha256": "", "size": size}
    why = {} if kept_as is None else {"kept_as": list(kept_as)}
    (path / "meta.json").write_text(json.dumps({**meta, **why}))
    return path


def add_trunk(paths: ResultsPaths, stage: str, *, step: int, size: int = 1000) -> Path:
    """A published trunk."""
    store, key = ArtifactStore(paths.store), f"{TRUNK}-{step:06d}"
    with store.draft(stage, key, "0001-1") as draft:
        (draft / "files" / "state.pt").write_bytes(bytes(size))
        record = {"environment": {"device": "cpu"}, "provenance": {"duration_seconds": 1.0}}
        made = store.publish(draft, stage=stage, key=key, metrics={}, history=[], record=record)
    return made.folder


def branch_off(plan: Path, stage: str, *, step: int) -> None:
    """Say in a plan that its runs of a stage branch off the trunk at a step."""
    record = json.loads(plan.read_text())
    for trial in record["trials"]:
        for run in (run for replicate in trial["replicates"] for run in replicate["runs"]):
            if run["stage"] == stage:
                run["trunk"] = {"id": TRUNK, "step": step}
    plan.write_text(json.dumps(record))


def artifact_of(outcome: StudyOutcome, trial: str, stage: str) -> Path:
    """The artifact folder of a trial's run, in its first replicate."""
    results = json.loads((outcome.paths.trial(trial) / "results.json").read_text())
    run = next(run for run in results["replicates"][0]["runs"] if run["stage"] == stage)
    return outcome.paths.root.parent / str(run["artifact"])


def names_below(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
