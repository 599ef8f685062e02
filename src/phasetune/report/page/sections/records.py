"""What sections and checks ask of a decision's document."""

from collections.abc import Iterable, Mapping
from typing import Any

from phasetune.report.page.sections.blocks import value_words
from phasetune.report.page.statistics import Interval, paired_interval
from phasetune.select.words import short_value_text

Record = Mapping[str, Any]


def candidates(record: Record) -> list[Record]:
    """The trials that could win; a baseline that is no point could not."""
    return [trial for trial in record["trials"] if trial["candidate"]]


def trial_named(record: Record, name: str) -> Record:
    """A trial of the decision."""
    found: Record = next(trial for trial in record["trials"] if trial["name"] == name)
    return found


def axes(trials: Iterable[Record]) -> list[str]:
    """The parameters in which trials differ, by their points."""
    return list(dict.fromkeys(name for trial in trials for name in trial["point"]))


def point_text(trial: Record) -> str:
    """`num_heads 4, hidden_size 32`."""
    point = trial["point"].items()
    return ", ".join(f"{name.rpartition('.')[2]} {value_words(value)}" for name, value in point)


def metric_text(trial: Record, metric: str) -> str:
    """Mean and standard error of a metric; nothing where the trial has none."""
    summary = trial["metrics"].get(metric)
    return "" if summary is None else short_value_text(summary)


def size_text(difference: Record) -> str:
    """A difference without its sign: how far the leader is ahead, whichever way is better."""
    if not any(float(value) for value in difference["values"]):
        return "equal"
    return short_value_text({**difference, "mean": abs(float(difference["mean"]))})


def lead_interval(record: Record, *, folds: int | None) -> Interval | None:
    """Of the paired difference between the leader and the runner-up; None where nothing is known
    of its noise.
    """
    if record["runner_up"] is None:
        return None
    values = trial_named(record, record["runner_up"])["behind_leader"]["values"]
    return paired_interval([float(value) for value in values], folds=folds)
