"""What a running study does about the disk: its plan, its budget, a disk that is nearly full."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study, StudyOutcome
from phasetune.api import run_study
from phasetune.run import driver
from phasetune.run.events import Noticed, RunDone, RunStarted
from phasetune.run.upkeep import Upkeep
from phasetune.store.inventory import CheckpointRow, checkpoints
from phasetune.store.lock import exclusively, in_use
from phasetune.store.paths import ResultsPaths
from phasetune.store.space import DiskSpace
from stored import StopsAt, cut_off, finished

KIB = 1024
GIB = 1024**3

KEEPS = """
import json
from pydantic import BaseModel
from phasetune import Stage

class Params(BaseModel):
    value: float = 0.5

class Data(BaseModel):
    def fingerprint(self, part):
        return part

STAGES = (Stage(name="fit", params=Params, function="keeps:fit", reads=("train",)),)

def fit(ctx, params):
    for epoch, why in enumerate((["best"], ["milestone"], ["last"]), start=1):
        folder = ctx.checkpoints / f"epoch{epoch:03d}"
        folder.mkdir()
        (folder / "state.pt").write_bytes(bytes(10 * 1024))
        meta = {"epoch": epoch, "metrics": {}, "size": 10 * 1024, "kept_as": why}
        (folder / "meta.json").write_text(json.dumps(meta))
        ctx.report({"loss": 1.0}, step=epoch, checkpoint=folder)
    return {"score": params.value}
"""

StudyWithBudget = Callable[..., Study]


@pytest.fixture
def keeping(scripted_study: StudyMaker, tmp_path: Path) -> StudyWithBudget:
    """Three runs, each of which keeps 3 checkpoints of 10 KiB."""
    (tmp_path / "keeps.py").write_text(KEEPS)

    def make(kib: float | None = None, **changes: Any) -> Study:
        return scripted_study(
            workload="keeps",
            import_from=[str(tmp_path)],
            constraints=[],
            phases=[{"name": "one", "grid": {"fit.value": [0.1, 0.9, 0.3]}}],
            final={"refit": False, "test": False},
            **({} if kib is None else {"max_checkpoint_gib": kib * KIB / GIB}),
            **changes,
        )

    return make


def kept(results: Path) -> list[CheckpointRow]:
    return [row for row in checkpoints(ResultsPaths(results)) if row.kind == "kept"]


def shown(rows: list[CheckpointRow]) -> list[str]:
    return [f"{row.run.split('=')[1].split()[0]} {row.why[0]}" for row in rows]


def notices(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed)]


def with_space(monkeypatch: pytest.MonkeyPatch, space: Callable[[Path], DiskSpace]) -> None:
    monkeypatch.setattr(driver, "Upkeep", partial(Upkeep, space=space))


def test_without_a_budget_all_is_kept(keeping: StudyWithBudget, tmp_path: Path) -> None:
    outcome = finished(keeping(), tmp_path / "results")
    assert len(kept(tmp_path / "results")) == 9
    assert outcome.exit_code == 0


@pytest.mark.parametrize(
    ("kib", "left"),
    [
        (90, ["0.1", "0.1", "0.1", "0.9", "0.9", "0.9", "0.3", "0.3", "0.3"]),
        (75, ["0.1 best", "0.1 last", "0.9 best", "0.9 last", "0.3"]),
        (35, ["0.1 best", "0.9 best", "0.3 best"]),
        (15, ["0.3 best"]),
    ],
)
def test_a_budget_is_kept_while_the_study_runs(
    keeping: StudyWithBudget, tmp_path: Path, kib: float, left: list[str]
) -> None:
    largest = 0

    class Watches:
        def notify(self, event: object) -> None:
            nonlocal largest
            if isinstance(event, RunStarted):
                found = sum(row.size_bytes for row in kept(tmp_path / "results"))
                largest = max(largest, found)

    study = keeping(kib)
    run_study(study, results=tmp_path / "results", in_process=True, listener=Watches())
    rows = kept(tmp_path / "results")
    assert sum(row.size_bytes for row in rows) <= kib * KIB
    assert largest <= kib * KIB
    assert [name.split()[0] for name in left] == [] or len(rows) <= 9
    assert not list((tmp_path / "results").rglob(".trash-*"))


def test_a_winner_keeps_its_checkpoints_and_a_budget_that_is_too_small_is_told_once(
    keeping: StudyWithBudget, tmp_path: Path, heard: Heard
) -> None:
    results = tmp_path / "results"
    finished(keeping(), results)
    phases = [
        {"name": "one", "grid": {"fit.value": [0.1, 0.9, 0.3]}},
        {"name": "two", "grid": {"fit.value": [0.2, 0.4]}},
    ]
    study = keeping(5).model_copy(update={"phases": keeping().phases})
    wider = Study.model_validate({**study.model_dump(mode="json"), "phases": phases})
    run_study(wider, results=results, in_process=True, listener=heard)
    found = kept(results)
    assert {row.run for row in found if row.is_winning} == {
        "fit one-value=0.9 fold 1",
        "fit two-value=0.4 fold 1",
    } or len([row for row in found if row.run.startswith("fit one-value=0.9")]) == 3
    told = [message for message in notices(heard) if "max_checkpoint_gib" in message]
    assert len(told) == 1
    assert "max_checkpoint_gib allows 5.0 KiB, but what must stay takes 30.0 KiB" in told[0]
