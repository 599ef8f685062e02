"""Where studies stand, as one JSON document."""

from collections.abc import Mapping, Sequence
from typing import Any

from phasetune.cli.display.standing import StudyStanding
from phasetune.cli.display.surroundings import Surroundings
from phasetune.run.events import TrialJudged
from phasetune.run.picture.pace import RunningRun, Tally
from phasetune.run.picture.phase import PhasePicture
from phasetune.run.picture.study import Picture
from phasetune.run.whereabouts import Whereabouts
from phasetune.store.documents import document_text
from phasetune.store.masking import masked_content
from phasetune.store.owner import Owner
from phasetune.store.paths import shown_path

SCHEMA = 1


def standings_text(found: Sequence[StudyStanding], *, now: float, around: Surroundings) -> str:
    """All studies; times are in seconds since 1970, what is not known is null."""
    return document_text(
        {
            "schema": SCHEMA,
            "time": round(now, 3),
            "disk_free_bytes": around.disk_free_bytes,
            "studies": [masked_content(_study(standing, now)) for standing in found],
        }
    )


def _study(standing: StudyStanding, now: float) -> dict[str, Any]:
    where, is_open = standing.where, standing.state.is_open
    picture = where.picture if is_open else where.picture.closed()
    return {
        "study": standing.name,
        "state": standing.state,
        "message": None if picture.ended is None else picture.ended.message,
        "driver": None if where.owner is None else _driver(where.owner, where),
        "last_event_at": picture.last_at or None,
        "seconds_left": picture.seconds_left_of_study(now) if is_open else None,
        "phase": None if picture.phase is None else _phase(picture, picture.phase, now, is_open),
        "running": [_run(run, picture, now) for run in picture.running.values()],
        "winners": {name: decision.winner for name, decision in picture.decisions.items()},
        "resources": _resources(picture.resources),
        "failures": [
            {
                "label": failed.label,
                "message": failed.failure.message,
                "traceback": shown_path(failed.traceback),
                "tail": list(failed.tail),
            }
            for failed in picture.failures
        ],
    }


def _driver(owner: Owner, where: Whereabouts) -> dict[str, Any]:
    shown = {"pid": owner.pid, "host": owner.host, "since": owner.since, "command": owner.command}
    return {**shown, "is_alive": where.is_alive, "renewed_at": where.renewed_at}


def _phase(picture: Picture, phase: PhasePicture, now: float, is_open: bool) -> dict[str, Any]:
    best = {
        name: _trial(phase.best(picture.metric, mode=picture.mode, is_feasible=is_feasible))
        for name, is_feasible in (("best_feasible", True), ("best_overall", False))
    }
    return {
        "name": phase.name,
        "position": phase.position or None,
        "trials": phase.trials,
        "trials_ended": len(phase.candidates),
        "trials_reused": phase.reused,
        "feasible": phase.standing("feasible"),
        "infeasible": phase.standing("infeasible"),
        "ineligible": phase.standing("ineligible"),
        "runs": phase.missing,
        "runs_ended": phase.ended,
        "runs_failed": phase.failed,
        "seconds_left": picture.seconds_left_of_phase(now) if is_open else None,
        **best,
    }


def _trial(trial: TrialJudged | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "trial": trial.trial,
        "standing": trial.standing,
        "reason": trial.reason,
        "metrics": dict(trial.metrics),
    }


def _run(run: RunningRun, picture: Picture, now: float) -> dict[str, Any]:
    pace = picture.seconds.get(run.stage, Tally()).mean
    return {
        "label": run.label,
        "stage": run.stage,
        "key": run.key,
        "started_at": run.started_at,
        "step": run.step,
        "steps": run.steps,
        "metrics": dict(run.metrics),
        "seconds_left": run.seconds_left_at(now, pace),
    }


def _resources(resources: Mapping[str, Tally]) -> dict[str, dict[str, float | None]]:
    return {name: {"mean": tally.mean, "most": tally.most} for name, tally in resources.items()}
