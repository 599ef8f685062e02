"""A decision in words, the same in the terminal, the report and the analysis."""

from collections.abc import Mapping
from typing import Any

from phasetune.select.decide import Outcome
from phasetune.select.verdict import Standing


def short_value_text(summary: Mapping[str, Any]) -> str:
    """`0.6742 ± 0.0031`, or `0.6742` for one value."""
    return value_text(summary).partition(" (n=")[0]


def value_text(summary: Mapping[str, Any]) -> str:
    """`0.6742 ± 0.0031 (n=5)`, or `0.6742` for one value."""
    sem = summary["sem"]
    mean = float(summary["mean"])
    if sem is None:
        return f"{mean:.4f}"
    return f"{mean:.4f} ± {float(sem):.4f} (n={len(summary['values'])})"


def decision_sentences(record: Mapping[str, Any]) -> list[str]:
    """Who won and by how much; ties; who came closest where none was feasible."""
    trials = {trial["name"]: trial for trial in record["trials"]}
    sentences = [_first_sentence(record, trials)]
    if record["ties"]:
        sentences.append(_ties(record))
    if record["runner_up"] is not None:
        sentences.append(_runner_up(record, trials))
    baseline = next((trial for trial in record["trials"] if trial["baseline"]), None)
    if record["winner"] is not None and baseline is not None:
        sentences += _against_baseline(record, trials[record["winner"]], baseline)
    if len(record["environments"]) > 1:
        sentences.append(
            "The trials were computed in different environment classes, so small differences may "
            "come from there; --strict-environment runs the others again."
        )
    return sentences


def _first_sentence(record: Mapping[str, Any], trials: Mapping[str, Any]) -> str:
    metric, outcome = record["rule"]["objective"]["metric"], record["outcome"]
    if outcome == Outcome.WON:
        won = trials[record["winner"]]["metrics"][metric]
        first = record["winner"] != record["leader"]
        why = f"first in the file among ties, {metric}" if first else f"best {metric}"
        return f"{record['winner']} wins: {why} {value_text(won)}{_among(record)}."
    if outcome == Outcome.NONE_ELIGIBLE:
        return "No trial could be judged, so nothing was decided."
    closest = trials[record["closest"]]
    fell_short = f"{closest['name']} came closest, missing {closest['reason']}"
    follows = {
        Outcome.NONE_FEASIBLE: "nothing was decided (if_infeasible: stop)",
        Outcome.LEAST_VIOLATION: "it was taken (if_infeasible: least_violation)",
        Outcome.KEPT_CARRIED: "the carried settings were kept (if_infeasible: keep_carried)",
    }[Outcome(outcome)]
    return f"No trial meets the constraints; {fell_short}; {follows}."


def _among(record: Mapping[str, Any]) -> str:
    constraints = record["rule"]["constraints"]
    candidates = [trial for trial in record["trials"] if trial["candidate"]]
    feasible = sum(trial["standing"] == "feasible" for trial in candidates)
    if not constraints:
        return f" of {_trials(len(candidates))}"
    return f" among the {feasible} of {_trials(len(candidates))} with {' and '.join(constraints)}"


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _ties(record: Mapping[str, Any]) -> str:
    names = ", ".join(record["ties"])
    return f"Within noise of {record['leader']} (one standard error, or equal): {names}."


def _runner_up(record: Mapping[str, Any], trials: Mapping[str, Any]) -> str:
    name = record["runner_up"]
    difference = trials[name]["behind_leader"]
    gap = {**difference, "mean": abs(float(difference["mean"]))}
    if gap["mean"] == 0.0:
        return f"{record['leader']} and {name} are equal; the first in the file leads."
    return f"{record['leader']} is {value_text(gap)} ahead of {name}."


def _against_baseline(
    record: Mapping[str, Any], winner: Mapping[str, Any], baseline: Mapping[str, Any]
) -> list[str]:
    metric = record["rule"]["objective"]["metric"]
    if winner["name"] == baseline["name"]:
        return ["The winner is the baseline itself."]
    if baseline["standing"] == Standing.INELIGIBLE:
        return [f"The baseline could not be judged: {baseline['reason']}."]
    gain = float(winner["metrics"][metric]["mean"]) - float(baseline["metrics"][metric]["mean"])
    return [f"Against the baseline ({value_text(baseline['metrics'][metric])}): {gain:+.4f}."]
