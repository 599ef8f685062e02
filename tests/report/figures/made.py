"""Studies for figures: decisions by the real rule, trials and artifacts put there by hand."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from phasetune.report.figures.record import FiguredStudy, PlannedTrial, RunId, UsedRun
from phasetune.select.decide import decide
from phasetune.select.record import decision_record
from phasetune.select.scores import TrialScore
from phasetune.select.verdict import Rule
from phasetune.store.artifacts import Artifact
from phasetune.study.constraint import parse_constraint
from phasetune.study.schema import Objective

EPOCH = 1_800_000_000


def decision(
    scores: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    metric: str = "score",
    mode: str = "max",
    constraints: Iterable[str] = (),
    baseline: str | None = None,
    ties: str = "report",
    if_infeasible: str = "stop",
    failed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What is decided of trials' replicates, by name; `failed` says why some can't be judged."""
    failed = failed or {}
    judged = [
        TrialScore(
            name=name,
            index=index,
            key=f"{index:032x}",
            replicates=replicates,
            ineligible=failed.get(name),
            baseline=name == baseline,
        )
        for index, (name, replicates) in enumerate(scores.items())
    ]
    rule = Rule(
        objective=Objective.model_validate({"metric": metric, "mode": mode}),
        constraints=tuple(map(parse_constraint, constraints)),
        ties=ties,
        if_infeasible=if_infeasible,
    )
    about: dict[str, Any] = {"point": {}, "settings": {}, "note": None, "expect": {}}
    return decision_record(
        decide(judged, rule),
        phase="one",
        inputs="",
        rule=rule,
        carried={},
        trials={score.name: about for score in judged},
        environments=[],
    )


def trial(
    name: str, *chains: Sequence[UsedRun], phase: str = "one", is_winner: bool = False
) -> PlannedTrial:
    """A trial of these chains of runs, one per replicate."""
    return PlannedTrial(
        phase=phase, name=name, is_winner=is_winner, chains=tuple(map(tuple, chains))
    )


def run(stage: str, key: str, *, trunk: str | None = None, step: int = 0) -> UsedRun:
    """A run, with the trunk that it leaves at a step."""
    point = None if trunk is None else f"{trunk}-{step:06d}"
    return UsedRun(stage=stage, key=key, trunk=point, trunk_id=trunk, trunk_step=step)


@dataclass
class Store:
    """Artifacts that figures read: manifests in memory, histories in files."""

    folder: Path
    made: dict[RunId, Artifact] = field(default_factory=dict)

    def add(
        self,
        stage: str,
        key: str,
        *,
        at: float = 0.0,
        seconds: float = 10.0,
        spent: float | None = None,
        written: float | None = None,
        history: Sequence[Mapping[str, float]] = (),
        params: Mapping[str, Any] | None = None,
        study: str = "s",
        host: str = "one",
        device: str = "cpu",
        resumed: bool = False,
    ) -> None:
        """One that began `at` seconds and was `written` then, by default where its time is over."""
        folder = self.folder / stage / key
        folder.mkdir(parents=True)
        (folder / "history.json").write_text(json.dumps({"rows": list(history)}))
        (folder / "manifest.json").touch()
        own = seconds if spent is None else spent
        end = EPOCH + (at + own if written is None else written)
        os.utime(folder / "manifest.json", (end, end))
        manifest = {
            "stage": stage,
            "key": key,
            "environment": {"device": device},
            "run": {"params": dict(params or {}), "seed": 0},
            "provenance": {
                "study": study,
                "host": host,
                "started": _time(at),
                "duration_seconds": seconds,
                "spent_seconds": own,
                "resumed": resumed,
            },
        }
        self.made[stage, key] = Artifact(folder=folder, manifest=manifest)


def _time(at: float) -> str:
    return datetime.fromtimestamp(EPOCH + at, UTC).isoformat(timespec="seconds")


def across(line: Line2D) -> list[float]:
    """Where the points of a line are, from left to right as it was drawn."""
    return [float(x) for x in np.asarray(line.get_xdata(), dtype=float)]


def figured(
    trials: Sequence[PlannedTrial], store: Store, *, metric: str = "score", mode: str = "max"
) -> FiguredStudy:
    """A study of these trials."""
    return FiguredStudy(
        name="s",
        metric=metric,
        mode=mode,
        phases=tuple(dict.fromkeys(one.phase for one in trials)),
        decisions=(),
        trials=tuple(trials),
        final=None,
        artifacts=store.made,
    )
