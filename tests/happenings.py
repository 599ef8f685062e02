"""Events of a toy study of two phases, and the picture that they make."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from phasetune.plan.share import StageSharing
from phasetune.run.events import (
    Event,
    PhaseAhead,
    PhaseDecided,
    PhaseStarted,
    RunDone,
    RunFailed,
    RunReported,
    RunStarted,
    StudyStarted,
    TrialJudged,
    WaveStarted,
)
from phasetune.run.picture.study import Picture
from phasetune.store.failures import Failure

Told = Sequence[tuple[float, Event]]


def begins(*, goes_on: bool = False, mode: Literal["max", "min"] = "max") -> StudyStarted:
    return StudyStarted(
        study="toy",
        results=Path("results"),
        phases=(PhaseAhead(name="one", trials=4), PhaseAhead(name="two", trials=2)),
        metric="score",
        mode=mode,
        constraints=("other >= 0.3",),
        goes_on=goes_on,
    )


def phase(name: str = "one", *, trials: int = 4, **missing: int) -> PhaseStarted:
    return PhaseStarted(
        phase=name,
        position="1/2",
        trials=trials,
        sharing=(StageSharing(stage="fit", asked=4, distinct=4),),
        missing=sum(missing.values()),
        missing_by_stage=missing,
    )


def wave(name: str = "one", runs: int = 4) -> WaveStarted:
    return WaveStarted(phase=name, runs=runs, backend="ray", device="cpu", attempt=Path("a"))


def starts(key: str, *, stage: str = "fit", steps: int | None = None) -> RunStarted:
    return RunStarted(key=key, stage=stage, label=key, steps=steps)


def reports(key: str, step: int, *, stage: str = "fit", **metrics: float) -> RunReported:
    return RunReported(key=key, stage=stage, label=key, step=step, metrics=metrics)


def done(
    key: str,
    seconds: float = 10.0,
    *,
    stage: str = "fit",
    resources: dict[str, float] | None = None,
) -> RunDone:
    return RunDone(
        key=key, stage=stage, label=key, metrics={}, seconds=seconds, resources=resources or {}
    )


def fails(key: str) -> RunFailed:
    failure = Failure(stage="fit", key=key, cause="error", message="ValueError: no")
    return RunFailed(key=key, stage="fit", label=key, failure=failure, traceback=Path("t"))


def judged(
    trial: str,
    score: float | None,
    standing: Literal["feasible", "infeasible", "ineligible"] = "feasible",
    *,
    phase: str = "one",
    is_candidate: bool = True,
    is_reused: bool = False,
) -> TrialJudged:
    return TrialJudged(
        phase=phase,
        trial=trial,
        standing=standing,
        reason=None,
        metrics={} if score is None else {"score": score},
        is_candidate=is_candidate,
        is_reused=is_reused,
    )


def decided(name: str = "one", winner: str | None = "a") -> PhaseDecided:
    return PhaseDecided(
        phase=name, outcome="won", winner=winner, sentences=("won.",), is_new=True, again=False
    )


def picture(*told: tuple[float, Event]) -> Picture:
    found = Picture()
    for at, event in told:
        found = found.take(at, event)
    return found


STARTED: Told = [(0.0, begins()), (1.0, phase(fit=4)), (2.0, wave())]

BUSY: Told = [
    *STARTED,
    (2, judged("reused", 0.5, is_reused=True)),
    (3, starts("fit width=8", steps=10)),
    (4, reports("fit width=8", 1, val_loss=0.25, loss=0.5, val_score=0.75)),
    (4, starts("fit width=16")),
    (5, done("c", 10.0, resources={"peak_memory_gib": 1.5})),
    (5, judged("c", 0.9, "infeasible")),
    (5, fails("d")),
]
