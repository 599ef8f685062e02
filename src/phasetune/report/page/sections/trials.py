"""The tables of a phase: its trials with what they are judged by, and all that was measured."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from phasetune.report.analysis import phase_metrics
from phasetune.report.page.sections.blocks import Column, Row, Table, value_words
from phasetune.report.page.sections.records import Record, axes, metric_text, size_text
from phasetune.select.decide import Outcome

MOST_ROWS = 8
MOST_FOLDED_ROWS = 200
_LEFT_OUT = ("confusion_",)
_WORDS = ("Trial", "Note", "Missed", "Expected")


def trial_tables(record: Record) -> Iterator[Table]:
    """The best trials, then, closed at first, everything of all of them."""
    ranked = _ranked(record)
    title = f"Trials of phase {record['phase']}"
    yield _short_table(record, ranked, title=title)
    shown = ranked[:MOST_FOLDED_ROWS]
    yield _full_table(record, shown, title=f"{title}, everything measured", total=len(ranked))


def _short_table(record: Record, ranked: Sequence[Record], *, title: str) -> Table:
    chosen = (record["winner"], record["closest"])
    told = [t for t in ranked[MOST_ROWS:] if t["name"] in chosen or t["baseline"]]
    rows = [*ranked[:MOST_ROWS], *told]
    metrics = phase_metrics(record)
    left = len(ranked) - len(rows)
    return Table(
        title=title if not left else f"{title}, the first {len(rows)} of {len(ranked)}",
        columns=(
            Column(title="Trial"),
            Column(title="Standing", is_below_name=True),
            *(Column(title=metric, is_number=True) for metric in metrics),
            Column(title="Behind the leader", is_number=True),
        ),
        rows=tuple(_row(record, trial, _short_cells(record, trial, metrics)) for trial in rows),
    )


def _short_cells(record: Record, trial: Record, metrics: Sequence[str]) -> tuple[str, ...]:
    behind = trial["behind_leader"]
    return (
        trial["name"],
        _standing_words(record, trial),
        *(metric_text(trial, metric) for metric in metrics),
        "" if behind is None else size_text(behind),
    )


def _full_table(record: Record, trials: Sequence[Record], *, title: str, total: int) -> Table:
    """A column per parameter and metric, first what the phase decides by; no empty ones."""
    measured = {name for trial in trials for name in trial["metrics"]}
    first = phase_metrics(record)
    others = sorted(n for n in measured - {*first} if not n.startswith(_LEFT_OUT))
    told: dict[str, Callable[[Record], str]] = {
        "Trial": lambda trial: str(trial["name"]),
        **{name: partial(metric_text, metric=name) for name in first},
        **{name: partial(_setting, name=name) for name in axes(trials)},
        "Note": lambda trial: str(trial["note"] or ""),
        "Missed": lambda trial: str(trial["reason"] or ""),
        "Expected": _expected_text,
        **{name: partial(metric_text, metric=name) for name in others},
    }
    cells = {name: [text(trial) for trial in trials] for name, text in told.items()}
    shown = [name for name, texts in cells.items() if any(texts)]
    return Table(
        title=title,
        columns=tuple(Column(title=name, is_number=name not in _WORDS) for name in shown),
        rows=tuple(
            _row(record, trial, tuple(cells[name][index] for name in shown))
            for index, trial in enumerate(trials)
        ),
        folded=f"Settings and metrics of {_whose_words(len(trials), total)}",
    )


def _whose_words(count: int, total: int) -> str:
    if count < total:
        return f"the best {count} of {total} trials"
    return "the only trial" if total == 1 else f"all {total} trials"


def _row(record: Record, trial: Record, cells: tuple[str, ...]) -> Row:
    return Row(
        cells=cells,
        is_marked=trial["name"] == record["winner"],
        is_muted=trial["standing"] != "feasible",
    )


def _expected_text(trial: Record) -> str:
    """`accuracy 0.65 to 0.69: within`, metric by metric."""
    return "; ".join(
        f"{metric} {low:g} to {high:g}: {_place(trial['metrics'].get(metric), low, high)}"
        for metric, (low, high) in trial["expect"].items()
    )


def _place(summary: Record | None, low: float, high: float) -> str:
    if summary is None:
        return "not observed"
    mean = float(summary["mean"])
    return "within" if low <= mean <= high else "below" if mean < low else "above"


def _standing_words(record: Record, trial: Record) -> str:
    taken = "winner" if record["outcome"] == Outcome.WON else "taken"
    words = [taken] if trial["name"] == record["winner"] else []
    words += ["within noise"] if trial["name"] in record["ties"] else []
    words += [trial["standing"]] if trial["standing"] != "feasible" or not words else []
    words += ["baseline"] if trial["baseline"] else []
    return ", ".join(words)


def _ranked(record: Record) -> list[Record]:
    """Feasible ones, infeasible ones, others; within each the best mean first."""
    order = {"feasible": 0, "infeasible": 1, "ineligible": 2}
    objective = record["rule"]["objective"]
    sign = -1.0 if objective["mode"] == "max" else 1.0

    def rank(trial: Record) -> tuple[bool, int, float]:
        summary = trial["metrics"].get(objective["metric"])
        mean = 0.0 if summary is None else float(summary["mean"])
        worth = sign * mean if mean == mean else float("inf")
        return trial["name"] != record["winner"], order[trial["standing"]], worth

    return sorted(record["trials"], key=rank)


def _setting(trial: Record, *, name: str) -> str:
    settings = trial["settings"]
    return value_words(trial["point"].get(name, settings[name])) if name in settings else ""
