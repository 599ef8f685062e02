"""Checks of what a study found: each yields sentences on what a person should know of its winner.

Each is a function of the canonical report. The thresholds stand first.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from phasetune.report.page.sections.blocks import count_text
from phasetune.report.page.sections.records import candidates, lead_interval, trial_named
from phasetune.report.page.statistics import confusion_counts, noise_of, share_of
from phasetune.select.decide import Outcome
from phasetune.select.record import carries

Report = Mapping[str, Any]

FEW_TEST_ROWS = 100
"""Below, the interval of an accuracy of 0.8 is wider than 0.15."""
FEW_CLASS_ROWS = 20
"""Below, the interval of a class's accuracy of 0.8 is wider than 0.3."""
MOSTLY = 0.8
"""A constraint that this share of trials misses leaves little to choose from."""
FEWEST_TO_JUDGE_A_CONSTRAINT = 3
FEWEST_ON_AN_AXIS = 3
"""With two values each is at an edge."""
FAR_IN_STANDARD_ERRORS = 1.96
"""How far the test may be below validation before it is called worse: 95% of normal noise."""
_FOUND = re.compile(r"class_(\d{1,4})_(?:recall|accuracy)")
"""Two names of the share of a class that is found."""
MOST_NAMED = 3
"""Of a kind in one sentence; how many more there are is said."""


def chosen_on_test(report: Report) -> Iterator[str]:
    """Winners were picked by their scores on the test data."""
    if report["study"]["objective"]["on"] == "test":
        yield (
            "Winners were chosen on the test data, so their scores there are optimistic; "
            "choose on validation data, and keep the test for the end."
        )


def class_collapse(report: Report) -> Iterator[str]:
    """A winner or the final model predicts one class only, or never finds one."""
    for record in report["phases"]:
        winner = _winner(record)
        metrics = {} if winner is None else winner["metrics"]
        lowest = {name: min(map(float, found["values"])) for name, found in metrics.items()}
        if winner is not None:
            where = f"{winner['name']}, the {_called(record)} of phase {record['phase']},"
            yield from _collapse(where, lowest, " in at least one replicate")
    if _test(report):
        yield from _collapse("The final model", _test(report), " on the test data")


def _collapse(who: str, metrics: Mapping[str, Any], when: str) -> Iterator[str]:
    if float(metrics.get("predicted_classes", math.nan)) == 1.0:
        yield f"{who} predicts a single class{when}, whatever it is shown."
        return
    found = {name: _FOUND.fullmatch(name) for name in metrics}
    lost = sorted({int(match[1]) for n, match in found.items() if match and not float(metrics[n])})
    if lost:
        yield f"{who} never finds class {', '.join(map(str, lost))}{when}."


def nothing_feasible(report: Report) -> Iterator[str]:
    """A phase without a trial that meets every constraint."""
    for record in report["phases"]:
        if record["outcome"] in ("none_feasible", "least_violation", "kept_carried"):
            yield f"In phase {record['phase']} no trial meets the constraints."


def constraint_mostly_violated(report: Report) -> Iterator[str]:
    """Nearly all trials of a phase miss a constraint."""
    for record in report["phases"]:
        judged = [t for t in candidates(record) if t["standing"] != "ineligible"]
        if len(judged) < FEWEST_TO_JUDGE_A_CONSTRAINT:
            continue
        for text in record["rule"]["constraints"]:
            missed = sum(float(trial["margins"].get(text, 0.0)) < 0 for trial in judged)
            if MOSTLY * len(judged) <= missed < len(judged):
                is_won = record["outcome"] == Outcome.WON
                yield (
                    f"In phase {record['phase']} {missed} of {len(judged)} trials miss {text}"
                    f"{'; the winner was picked among few' if is_won else ''}."
                )


def failed_trials(report: Report) -> Iterator[str]:
    """Trials that could not be judged, mostly because a run of theirs failed."""
    for record in report["phases"]:
        trials = candidates(record)
        failed = [trial["name"] for trial in trials if trial["standing"] == "ineligible"]
        if failed:
            yield (
                f"In phase {record['phase']} {len(failed)} of {len(trials)} trials could not be "
                f"judged: {_some(failed)}. Had they not failed, {_who(record)} might have won."
            )


def _who(record: Mapping[str, Any]) -> str:
    return "one of them" if record["outcome"] != Outcome.WON else "another one"


def final_failed(report: Report) -> Iterator[str]:
    """The final model could not be made."""
    final = report["final"]
    if final is not None and final["state"] != "done":
        yield f"The final model failed: {final['reason']}."


def test_below_validation(report: Report) -> Iterator[str]:
    """The final test is worse than validation promised, by more than the noise of both."""
    metric, mode = (report["study"]["objective"][name] for name in ("metric", "mode"))
    last = report["phases"][-1] if report["phases"] else None
    winner = None if last is None else _winner(last)
    test = _test(report)
    if winner is None or metric not in test or metric not in winner["metrics"]:
        return
    promised, found = winner["metrics"][metric], float(test[metric])
    drop = (float(promised["mean"]) - found) * (1.0 if mode == "max" else -1.0)
    scatter = noise_of([float(value) for value in promised["values"]])
    noise = math.hypot(scatter, _test_error(metric, test))
    if noise > 0.0 and drop > FAR_IN_STANDARD_ERRORS * noise:
        yield (
            f"The final test scores {metric} {found:.4f}, but validation promised "
            f"{float(promised['mean']):.4f}: worse by more than the noise of both explains. The "
            "search may have fitted the validation data, or the test data differ from it."
        )


def _test_error(metric: str, test: Mapping[str, Any]) -> float:
    """The standard error of a share on the test data: half its interval over 1.96."""
    share = share_of(metric, test)
    if share is None:
        return 0.0
    return (share.interval.high - share.interval.low) / 2.0 / FAR_IN_STANDARD_ERRORS


def within_noise(report: Report) -> Iterator[str]:
    """Winners that other trials tie with: within one standard error, or equal."""
    tied = [r for r in report["phases"] if r["winner"] is not None and r["ties"]]
    if tied:
        told = ", ".join(f"{r['phase']} ({count_text(len(r['ties']), 'other')})" for r in tied)
        yield (
            f"The winner is within noise of other trials in {told}: more seeds or folds could "
            "name another one, so choose among them by what else matters, such as cost."
        )


def lead_not_clear(report: Report) -> Iterator[str]:
    """A winner without ties, whose lead over the runner-up has an interval that holds zero."""
    folds = report["study"]["replicates"]["folds"]
    for record in report["phases"]:
        if record["ties"] or record["runner_up"] is None:
            continue
        interval = lead_interval(record, folds=folds)
        if interval is not None and interval.holds(0.0):
            yield (
                f"In phase {record['phase']} the lead over {record['runner_up']} is more than one "
                "standard error, but its 95% interval includes zero: likely, not certain."
            )


def worse_than_baseline(report: Report) -> Iterator[str]:
    """A baseline that is no point of its phase, so that it could not win, but scores better."""
    for record in report["phases"]:
        winner, objective = _winner(record), record["rule"]["objective"]
        for baseline in (t for t in record["trials"] if t["baseline"] and not t["candidate"]):
            if winner is None or baseline["standing"] != "feasible":
                continue
            before, now = (_mean(trial, objective["metric"]) for trial in (baseline, winner))
            if before > now if objective["mode"] == "max" else before < now:
                yield (
                    f"In phase {record['phase']} the baseline is better than the winner "
                    f"({before:.4f} against {now:.4f}); make it a point, so that it can win."
                )


def _mean(trial: Mapping[str, Any], metric: str) -> float:
    """Of a trial that was judged, so that it has the metric."""
    return float(trial["metrics"][metric]["mean"])


def one_replicate(report: Report) -> Iterator[str]:
    """Every setting was tried once, so nothing is known about noise."""
    asked = report["study"]["replicates"]
    if report["phases"] and asked["seeds"] * (asked["folds"] or 1) == 1:
        yield (
            "Each setting was tried once, so no difference can be told from noise; "
            "ask for folds or seeds under replicates."
        )


def few_test_rows(report: Report) -> Iterator[str]:
    """A test too small for its scores to say much."""
    counts = confusion_counts(_test(report))
    if counts is None:
        return
    rows = [sum(row) for row in counts]
    if sum(rows) < FEW_TEST_ROWS:
        yield f"The test has {sum(rows)} rows; below {FEW_TEST_ROWS} its scores are rough."
    few = [f"class {k} ({n})" for k, n in enumerate(rows) if n < FEW_CLASS_ROWS]
    if few:
        yield f"The test has fewer than {FEW_CLASS_ROWS} rows of {', '.join(few)}."


def mixed_environments(report: Report) -> Iterator[str]:
    """Trials that were compared across devices or library versions."""
    for record in report["phases"]:
        if len(record["environments"]) > 1:
            yield (
                f"In phase {record['phase']} trials were computed in "
                f"{len(record['environments'])} different environment classes, so small "
                "differences may come from there; --strict-environment runs the others again."
            )


def inexact_runs(report: Report) -> Iterator[str]:
    """Runs that would not come out the same, bit for bit, if they were computed again."""
    told = [sentence for record in report["phases"] for sentence in record.get("inexact", ())]
    if told:
        yield (
            "Computed again, this would not be the same bit for bit: "
            f"{_some(list(dict.fromkeys(told)), joint='; ')}."
        )


def winner_at_edge(report: Report) -> Iterator[str]:
    """The best value of a parameter is the smallest or largest that was tried."""
    for record in report["phases"]:
        winner = _winner(record)
        for name, value in {} if winner is None else winner["point"].items():
            tried = [t["point"][name] for t in candidates(record) if name in t["point"]]
            if not all(map(_is_number, tried)) or len(set(tried)) < FEWEST_ON_AN_AXIS:
                continue
            if value in (min(tried), max(tried)):
                which = "smallest" if value == min(tried) else "largest"
                yield (
                    f"In phase {record['phase']} the {_called(record)} has the {which} {name} that "
                    f"was tried ({value}); a value beyond it may be better still."
                )


def expectations_missed(report: Report) -> Iterator[str]:
    """Ranges that people expected, and that did not come out."""
    for record in report["phases"]:
        expected = [(t, m, r) for t in record["trials"] for m, r in t["expect"].items()]
        missed = [t["name"] for t, metric, bounds in expected if _misses(t, metric, bounds)]
        if missed:
            yield (
                f"In phase {record['phase']} {len(missed)} of {len(expected)} expected ranges "
                f"were missed: {_some(list(dict.fromkeys(missed)))}."
            )


def _misses(trial: Mapping[str, Any], metric: str, bounds: tuple[float, float]) -> bool:
    summary = trial["metrics"].get(metric)
    return summary is None or not bounds[0] <= float(summary["mean"]) <= bounds[1]


def _winner(record: Mapping[str, Any]) -> Mapping[str, Any] | None:
    is_won = carries(record) and record["winner"] is not None
    return trial_named(record, record["winner"]) if is_won else None


def _called(record: Mapping[str, Any]) -> str:
    """Nothing won that was taken because nothing is feasible."""
    return "winner" if record["outcome"] == Outcome.WON else "choice"


def _test(report: Report) -> Mapping[str, Any]:
    final = report["final"]
    return {} if final is None else final["test"] or {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _some(texts: list[str], joint: str = ", ") -> str:
    shown = joint.join(texts[:MOST_NAMED])
    more = len(texts) - MOST_NAMED
    return shown if more <= 0 else f"{shown} and {more} more"
