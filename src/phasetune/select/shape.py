"""What a document must hold to be a decision: whoever reads one relies on what it says here."""

from collections.abc import Mapping
from typing import Any

from phasetune.select.decide import Outcome
from phasetune.select.verdict import Standing

_TEXTS = ("phase", "inputs")
_LISTS = ("environments", "inexact", "ties", "trials")
_TRIAL_TEXTS = ("name", "key")
_TRIAL_MAPPINGS = ("metrics", "margins", "settings")


def is_decision(record: Any) -> bool:
    """Whether a document is a decision, as `decision_record` makes one."""
    return (
        isinstance(record, dict)
        and _are(record, str, _TEXTS)
        and _are(record, dict, ("settings", "carried", "rule"))
        and _are(record, list, _LISTS)
        and record.get("outcome") in list(Outcome)
        and all(_is_trial(trial) for trial in record["trials"])
        and all(isinstance(found, dict) for found in record["environments"])
        and all(isinstance(text, str) for text in (*record["inexact"], *record["ties"]))
        and _is_one_of(record.get("winner"), record["trials"])
        and _is_one_of(record.get("leader"), record["trials"])
    )


def _is_trial(trial: Any) -> bool:
    return (
        isinstance(trial, dict)
        and _are(trial, str, _TRIAL_TEXTS)
        and _are(trial, dict, _TRIAL_MAPPINGS)
        and trial.get("standing") in list(Standing)
        and isinstance(trial.get("reason"), str | None)
        and all(map(_is_summary, trial["metrics"].values()))
    )


def _is_summary(found: Any) -> bool:
    return isinstance(found, dict) and {"mean", "sem", "values"} <= set(found)


def _is_one_of(name: Any, trials: list[dict[str, Any]]) -> bool:
    return name is None or name in [trial["name"] for trial in trials]


def _are(record: Mapping[str, Any], kind: type, names: tuple[str, ...]) -> bool:
    return all(isinstance(record.get(name), kind) for name in names)
