"""The report for people, as plain text: per phase a table, the decision in words, expectations."""

import io
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from phasetune.select.words import decision_sentences, short_value_text

_WIDTH = 110
_UNBOUNDED = 100_000


def analysis_text(report: Mapping[str, Any]) -> str:
    """The whole analysis; `report` is the canonical document."""
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None, highlight=False)
    for line in _opening(report["study"]):
        console.print(line, markup=False)
    for record in report["phases"]:
        _print_phase(console, record)
    for line in _closing(report):
        console.print(line, markup=False)
    assert isinstance(console.file, io.StringIO)  # noqa: S101 - made above
    lines = (line.rstrip() for line in console.file.getvalue().splitlines())
    return "\n".join(lines).rstrip() + "\n"


def _opening(study: Mapping[str, Any]) -> Iterable[str]:
    yield f"Study {study['name']}"
    if study["description"]:
        yield str(study["description"])
    objective = study["objective"]
    yield f"Objective: {objective['mode']} {objective['metric']} on {objective['on']} data"
    if study["constraints"]:
        yield f"Constraints: {'; '.join(study['constraints'])}"


def _print_phase(console: Console, record: Mapping[str, Any]) -> None:
    console.print(f"\nPhase {record['phase']}", markup=False)
    print_phase_table(console, record)
    for sentence in decision_sentences(record):
        console.print(sentence, markup=False)
    for sentence in (*standing_sentences(record), *_expectation_sentences(record)):
        console.print(f"- {sentence}", markup=False)


def print_phase_table(console: Console, record: Mapping[str, Any]) -> None:
    """The trials of a phase: objective, constrained metrics, standing; the winner is marked.

    A line per value where a table would not fit the console.
    """
    table = _phase_table(record)
    if fits(console, table):
        console.print(table)
        return
    for trial in record["trials"]:
        mark = "*" if trial["name"] == record["winner"] else "-"
        console.print(f"{mark} {trial['name']}: {_standing(trial, record)}", markup=False)
        for metric in phase_metrics(record):
            console.print(f"    {metric} {_cell(trial, metric)}", markup=False)


def fits(console: Console, table: Table) -> bool:
    """Whether a table can be printed without cutting words off."""
    unbounded = console.options.update(max_width=_UNBOUNDED)  # else it measures as what is there
    return Measurement.get(console, unbounded, table).maximum <= console.width


def _phase_table(record: Mapping[str, Any]) -> Table:
    metrics = phase_metrics(record)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    table.add_column("trial", no_wrap=True)
    for metric in metrics:
        table.add_column(metric, justify="right", no_wrap=True)
    table.add_column("standing", no_wrap=True)
    for trial in record["trials"]:
        values = [_cell(trial, metric) for metric in metrics]
        mark = "*" if trial["name"] == record["winner"] else ""
        table.add_row(mark, trial["name"], *values, _standing(trial, record))
    return table


def phase_metrics(record: Mapping[str, Any]) -> list[str]:
    """The objective, and the metrics that constraints are about."""
    constrained = [text.split()[0] for text in record["rule"]["constraints"]]
    return list(dict.fromkeys([record["rule"]["objective"]["metric"], *constrained]))


def _cell(trial: Mapping[str, Any], metric: str) -> str:
    summary = trial["metrics"].get(metric)
    return "-" if summary is None else short_value_text(summary)


def _standing(trial: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    words = [trial["standing"]]
    words += ["tied"] if trial["name"] in record["ties"] else []
    words += ["baseline"] if trial["baseline"] else []
    return ", ".join(words)


def standing_sentences(record: Mapping[str, Any]) -> Iterable[str]:
    """Why trials are infeasible or ineligible."""
    for trial in record["trials"]:
        if trial["standing"] == "infeasible":
            yield f"{trial['name']} is infeasible: it misses {trial['reason']}."
        elif trial["standing"] == "ineligible":
            yield f"{trial['name']} is ineligible: {trial['reason']}."


def _expectation_sentences(record: Mapping[str, Any]) -> Iterable[str]:
    for trial in record["trials"]:
        for metric, (low, high) in trial["expect"].items():
            summary = trial["metrics"].get(metric)
            if summary is None:
                yield f"{trial['name']}: expected {metric} {low:g} to {high:g}, not observed."
                continue
            mean = float(summary["mean"])
            where = "within" if low <= mean <= high else _beside(mean, low, high)
            yield f"{trial['name']}: {metric} {mean:.4f}, {where} the expected {low:g} to {high:g}."


def _beside(mean: float, low: float, high: float) -> str:
    return f"{low - mean:.4f} below" if mean < low else f"{mean - high:.4f} above"


def _closing(report: Mapping[str, Any]) -> Iterable[str]:
    if report["final_recommendation"] is not None:
        yield "\nFinal settings"
        yield from settings_lines(report)
    yield from _test_lines(report)
    for warning in report["warnings"]:
        yield f"Warning: {warning}"


def settings_lines(report: Mapping[str, Any]) -> Iterable[str]:
    """The final settings that the study gives or varies; how many others are at their defaults."""
    settings = report["final_recommendation"]["settings"]
    given = {f"{s}.{name}" for s, params in report["study"]["params"].items() for name in params}
    trials = [trial for record in report["phases"] for trial in record["trials"]]
    told = given | {name for trial in trials for name in trial["point"]}
    named = [name for name in sorted(settings) if name in told or _is_below(name, told)]
    for name in named:
        yield f"  {name} = {settings[name]}"
    if len(settings) > len(named):
        yield f"  and {len(settings) - len(named)} at their defaults; best.yaml has them all"


def _is_below(name: str, others: Iterable[str]) -> bool:
    return any(name.startswith(f"{other}.") for other in others)


def test_heading(report: Mapping[str, Any]) -> str:
    """What model saw the test data, and whether that was its first look."""
    refitted = report["final"]["refitted"]
    model = (
        "The winner, trained on all training data" if refitted else "The first replicate's model"
    )
    on_test = report["study"]["objective"]["on"] == "test"
    return f"{model}, on the test data" + (" that it was chosen on" if on_test else ", once")


def _test_lines(report: Mapping[str, Any]) -> Iterable[str]:
    final = report["final"]
    if final is None:
        return
    if final["state"] != "done":
        yield f"\nThe final model failed: {final['reason']}"
        return
    if final["test"] is None:
        yield "\nThe final model was not tested."
        return
    yield f"\n{test_heading(report)}"
    objective = report["study"]["objective"]["metric"]
    constrained = [text.split()[0] for text in report["study"]["constraints"]]
    for name in dict.fromkeys([objective, *constrained]):
        if name in final["test"]:
            yield f"  {name} = {float(final['test'][name]):.4f}"
