"""What each device did when, and what it did not have to do again: the numbers of the timeline."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from phasetune.report.figures.record import FiguredStudy, RunId, UsedRun
from phasetune.store.artifacts import MANIFEST, Artifact

_COLUMNS = ("stage", "key", "phase", "study", "host", "device", "is_reused")
_TIMES = ("started", "start_seconds", "seconds", "lane")
_CLOCK_SECONDS = 1.0  # provenance tells the start to the second


def device_times(study: FiguredStudy) -> pd.DataFrame:
    """One row per distinct run, and per trunk that runs share, in the order of their starts.

    `seconds` is what its own process took beyond the trunk that it goes on from; `phase` the first
    that uses it. `start_seconds` counts from the first start in this study, NaN for a run that
    another study computed, `is_reused`. Runs of a host and device that overlap have lanes of their
    own, numbered from 0.
    """
    rows = [
        _row(study, phase, run, made)
        for phase, run in _first_uses(study)
        if (made := study.artifacts.get(run.id)) is not None
    ]
    frame = pd.DataFrame(rows, columns=[*_COLUMNS, *_TIMES])
    is_own = ~frame["is_reused"].astype(bool) & frame["started"].notna()
    frame["start_seconds"] = frame["started"] - frame.loc[is_own, "started"].min()
    frame.loc[~is_own, "start_seconds"] = math.nan
    frame = frame.sort_values(["start_seconds", "stage", "key"], ignore_index=True)
    return _into_lanes(frame)


def _first_uses(study: FiguredStudy) -> list[tuple[str, UsedRun]]:
    """Each run and trunk, with the phase that asks for it first."""
    found: dict[RunId, tuple[str, UsedRun]] = {}
    for trial in study.trials:
        for run in trial.runs:
            if run.trunk is not None:
                trunk = UsedRun(stage=run.stage, key=run.trunk)
                found.setdefault(trunk.id, (trial.phase, trunk))
            found.setdefault(run.id, (trial.phase, run))
    return list(found.values())


def _row(study: FiguredStudy, phase: str, run: UsedRun, made: Artifact) -> dict[str, Any]:
    told = made.manifest["provenance"]
    trunk = None if run.trunk is None else study.artifacts.get((run.stage, run.trunk))
    started, seconds = _own_time(made, trunk)
    return {
        "stage": run.stage,
        "key": run.key,
        "phase": phase,
        "study": told.get("study", ""),
        "host": told.get("host", ""),
        "device": str(made.environment.get("device", "")),
        "is_reused": told.get("study") != study.name,
        "started": started,
        "seconds": seconds,
    }


def _own_time(made: Artifact, trunk: Artifact | None) -> tuple[float, float]:
    """When a run began, in seconds since 1970, and how long it took beyond its trunk.

    What is told is the start of the last call. Where that is too short before the manifest was
    written, the rest was before it: in the call that made a trunk which is gone, or, of a run that
    went on from a checkpoint, before an interruption, which is not drawn.
    """
    told = made.manifest["provenance"]
    started = _started(told)
    if trunk is not None:
        return started, max(0.0, made.duration_seconds - trunk.duration_seconds)
    written = (made.folder / MANIFEST).stat().st_mtime
    before = max(0.0, made.spent_seconds - max(0.0, written - started))
    if told.get("resumed"):
        return started, made.spent_seconds - before
    return started - before, made.spent_seconds


def _started(told: Mapping[str, Any]) -> float:
    """Seconds since 1970; NaN where it is not told."""
    try:
        return datetime.fromisoformat(str(told.get("started"))).timestamp()
    except ValueError:
        return math.nan


def _into_lanes(frame: pd.DataFrame) -> pd.DataFrame:
    """Greedily: the first lane of its host and device that is free when a run starts.

    Starts are told to the second, so one may lie up to that before the end of what came before it
    in its lane; then it is moved there.
    """
    free_from: dict[tuple[str, str], list[float]] = {}
    lanes, starts = list[int](), list[float]()
    for run in frame.to_dict("records"):
        ends = free_from.setdefault((run["host"], run["device"]), [])
        lane, start = _free_lane(ends, run["start_seconds"])
        lanes.append(lane)
        starts.append(start)
        if lane == len(ends):
            ends.append(start)
        if lane >= 0:
            ends[lane] = start + run["seconds"]
    return frame.assign(lane=lanes, start_seconds=starts)


def _free_lane(ends: Sequence[float], start: float) -> tuple[int, float]:
    """The first that is free; else the one that is free within the clock's second."""
    if math.isnan(start):
        return -1, start
    nearest = min(range(len(ends)), key=lambda lane: (max(start, ends[lane]), lane), default=None)
    if nearest is None or ends[nearest] > start + _CLOCK_SECONDS:
        return len(ends), start
    return nearest, max(start, ends[nearest])


def phase_costs(study: FiguredStudy, times: pd.DataFrame) -> pd.DataFrame:
    """One row per phase and stage: minutes computed for it, and minutes that were reused.

    Reused is what its trials would have computed besides, had each run by itself: runs that they
    share, that an earlier phase or another study left, and trunks that were gone on from.
    """
    own = times[~times["is_reused"].astype(bool)]
    computed = own.groupby(["phase", "stage"])["seconds"].sum()
    rows = []
    for phase in dict.fromkeys(trial.phase for trial in study.trials):
        for stage, alone in _seconds_alone(study, phase).items():
            spent = float(computed.get((phase, stage), 0.0))
            rows.append((phase, stage, spent / 60.0, max(0.0, alone - spent) / 60.0))
    return pd.DataFrame(rows, columns=["phase", "stage", "computed_minutes", "reused_minutes"])


def _seconds_alone(study: FiguredStudy, phase: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for trial in study.trials_of(phase):
        for run in trial.runs:
            made = study.artifacts.get(run.id)
            if made is not None:
                found[run.stage] = found.get(run.stage, 0.0) + made.duration_seconds
    return found
