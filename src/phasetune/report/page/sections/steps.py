"""The way to the answer: each phase in one line, and how sure its decision is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from phasetune.report.page.sections.blocks import Column, Row, Table, count_text
from phasetune.report.page.sections.records import (
    Record,
    axes,
    candidates,
    lead_interval,
    metric_text,
    point_text,
    size_text,
    trial_named,
)
from phasetune.select.decide import Outcome


class Surety(StrEnum):
    """How far a phase's decision stands out from its noise."""

    CLEAR = "clear"
    LIKELY = "likely"
    TIE = "tie"
    UNKNOWN = "unknown"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A phase in one line: who won, with which score, ahead by how much, and how sure that is."""

    phase: str
    asked: str
    winner: str | None
    chosen: str
    score: str
    ahead: str
    surety: Surety
    words: str


def step_of(record: Record, *, folds: int | None) -> Step:
    """A decided phase in one line."""
    winner = None if record["winner"] is None else trial_named(record, record["winner"])
    surety, words = _surety(record, folds=folds)
    return Step(
        phase=record["phase"],
        asked=", ".join(axes(candidates(record))),
        winner=record["winner"],
        chosen="" if winner is None else point_text(winner),
        score="" if winner is None else metric_text(winner, record["rule"]["objective"]["metric"]),
        ahead=_ahead(record),
        surety=surety,
        words=words,
    )


def step_ahead(phase: str, asked: Sequence[str], words: str) -> Step:
    """A phase that is not decided yet."""
    return Step(
        phase=phase,
        asked=", ".join(asked),
        winner=None,
        chosen="",
        score="",
        ahead="",
        surety=Surety.NONE,
        words=words,
    )


def steps_table(steps: Sequence[Step]) -> Table:
    """The way to the answer as a table, for formats that have no other shape for it."""
    return Table(
        title="The decision of each phase",
        columns=(
            Column(title="Phase"),
            Column(title="Winner"),
            Column(title="Chosen"),
            Column(title="Score", is_number=True),
            Column(title="Ahead by", is_number=True),
            Column(title="Standing"),
        ),
        rows=tuple(
            Row(cells=(s.phase, s.winner or "", s.chosen or s.asked, s.score, s.ahead, s.words))
            for s in steps
        ),
    )


def _surety(record: Record, *, folds: int | None) -> tuple[Surety, str]:
    without_winner = {
        Outcome.NONE_FEASIBLE: "no trial is feasible",
        Outcome.NONE_ELIGIBLE: "no trial could be judged",
        Outcome.KEPT_CARRIED: "none feasible, kept what was carried",
        Outcome.LEAST_VIOLATION: "none feasible, took the closest",
    }
    if record["outcome"] != Outcome.WON:
        return Surety.NONE, without_winner[Outcome(record["outcome"])]
    if record["ties"]:
        return Surety.TIE, f"within noise of {count_text(len(record['ties']), 'other')}"
    if record["runner_up"] is None:
        return Surety.UNKNOWN, "nothing to compare with"
    interval = lead_interval(record, folds=folds)
    if interval is None:
        return Surety.UNKNOWN, "noise unknown"
    if interval.holds(0.0):
        return Surety.LIKELY, "likely, not certain"
    return Surety.CLEAR, "clearly ahead"


def _ahead(record: Record) -> str:
    """Nothing where the winner is not the leader: the first in the file among ties."""
    if record["runner_up"] is None or record["winner"] != record["leader"]:
        return ""
    return size_text(trial_named(record, record["runner_up"])["behind_leader"])
