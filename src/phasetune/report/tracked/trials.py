"""A trial as records: itself, and its replicates below it where there are several."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phasetune.report.times import mean_minutes
from phasetune.report.tracked.runs import Chain, RunTraces, status_of
from phasetune.select.scores import TrialScore, summaries
from phasetune.select.verdict import Standing
from phasetune.stage.canonical import restored
from phasetune.store.documents import plain
from phasetune.store.masking import masked, masked_content
from phasetune.tracking.contract import Record, Series, Status


@dataclass(frozen=True, kw_only=True)
class TrialTrace:
    """A trial as its phase's plan has it, and all that is known of it.

    `verdict` is how it stands in the phase's decision, None before there is one. `is_first` tells
    of each run whether this trial is the first that asks for it. `commits` are those of the
    repository from which runs were computed, by key.
    """

    study: str
    trial: Mapping[str, Any]
    verdict: Mapping[str, Any] | None
    is_winner: bool
    is_active: bool
    is_first: Mapping[str, bool]
    chains: Sequence[Chain]
    commits: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return trial_id(self.trial)


def trial_id(trial: Mapping[str, Any]) -> str:
    """The id of a trial's record: what it computes in which phase, whatever its name is."""
    return f"trial:{trial['phase']}:{trial['key']}"


def phase_id(phase: str) -> str:
    """The id of a phase's record."""
    return f"phase:{phase}"


def trial_records(trace: TrialTrace, traces: RunTraces) -> Iterator[Record]:
    """The trial's record, then those of its replicates."""
    several = len(trace.chains) > 1
    yield _trial_record(trace, traces, has_series=not several)
    for number in range(len(trace.chains) if several else 0):
        yield _replicate_record(trace, traces, number)


def _trial_record(trace: TrialTrace, traces: RunTraces, *, has_series: bool) -> Record:
    trial = trace.trial
    status = status_of(trace.chains, is_active=trace.is_active)
    started, ended = _times([traces.times(chain) for chain in trace.chains])
    return Record(
        id=trace.id,
        parent=phase_id(trial["phase"]),
        kind="trial",
        name=trial["name"],
        status=status,
        started=started,
        ended=None if status is Status.RUNNING else ended,
        params=_params(trial["settings"]),
        tags=_tags(trace, status),
        metrics=_metrics(trace.chains),
        series=_series(trace, traces, 0) if has_series else (),
    )


def _replicate_record(trace: TrialTrace, traces: RunTraces, number: int) -> Record:
    trial, chain = trace.trial, trace.chains[number]
    replicate = trial["replicates"][number]
    status = chain.status(is_active=trace.is_active)
    started, ended = traces.times(chain)
    fold = replicate["fold"]
    place = {"seed_index": str(replicate["seed_index"])}
    return Record(
        id=f"replicate:{trial['phase']}:{trial['key']}:{number}",
        parent=trace.id,
        kind="replicate",
        name=f"{trial['name']}/{number + 1}",
        status=status,
        started=started,
        ended=None if status is Status.RUNNING else ended,
        params=place if fold is None else {**place, "fold": str(fold)},
        tags={
            "phase": trial["phase"],
            "key": chain.runs[-1].key,
            "git_commit": _commit(trace, [chain]),
            "reused_from": _reused_from(trace, [chain]),
            "reason": masked(chain.failure or ""),
            "superseded": "false",
        },
        metrics={**chain.metrics, **chain.minutes},
        series=_series(trace, traces, number),
    )


def _params(settings: Mapping[str, Any]) -> dict[str, str]:
    """Every parameter as a study file would write it; no secrets."""
    shown = masked_content({name: plain(restored(value)) for name, value in settings.items()})
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in shown.items()
    }


def _tags(trace: TrialTrace, status: Status) -> dict[str, str]:
    trial, verdict = trace.trial, trace.verdict
    standing = "" if verdict is None else str(verdict["standing"])
    failures = (chain.failure for chain in trace.chains if chain.failure)
    reason = None if verdict is None else verdict["reason"]
    return {
        "phase": trial["phase"],
        "key": trial["key"],
        "git_commit": _commit(trace, trace.chains),
        "reused_from": _reused_from(trace, trace.chains),
        "standing": standing,
        "feasible": "" if verdict is None else _yes_or_no(standing == Standing.FEASIBLE),
        "winner": _yes_or_no(trace.is_winner),
        "reason": masked(reason or (next(failures, "") if status is Status.FAILED else "")),
        "superseded": "false",
        **({} if trial["note"] is None else {"note": masked(trial["note"])}),
    }


def _yes_or_no(value: bool) -> str:
    return "true" if value else "false"


def _metrics(chains: Sequence[Chain]) -> dict[str, float]:
    """Means over replicates, with standard errors where there are several, and times as if alone.

    What only some of the replicates have yet is left out.
    """
    score = TrialScore(name="", index=0, key="", replicates=[chain.metrics for chain in chains])
    found: dict[str, float] = {}
    for name, summary in summaries(score).items():
        found[name] = summary.mean
        if summary.sem is not None:
            found[f"{name}_sem"] = summary.sem
    return {**found, **mean_minutes([chain.minutes for chain in chains])}


def _series(trace: TrialTrace, traces: RunTraces, number: int) -> Sequence[Series]:
    return tuple(traces.series(trace.chains[number], is_first=trace.is_first))


def _times(
    spans: Sequence[tuple[float | None, float | None]],
) -> tuple[float | None, float | None]:
    started = [start for start, _ in spans if start is not None]
    ended = [end for _, end in spans if end is not None]
    return min(started, default=None), max(ended, default=None)


def _commit(trace: TrialTrace, chains: Sequence[Chain]) -> str:
    """The commit that the last of these runs was computed from; empty where it is not known."""
    keys = [run.key for chain in chains for run in chain.runs]
    return next((trace.commits[key] for key in reversed(keys) if key in trace.commits), "")


def _reused_from(trace: TrialTrace, chains: Sequence[Chain]) -> str:
    """The other studies that computed runs of it."""
    made = [run.artifact for chain in chains for run in chain.runs if run.artifact is not None]
    studies = {artifact.manifest["provenance"].get("study", trace.study) for artifact in made}
    return ", ".join(sorted(studies - {trace.study}))
