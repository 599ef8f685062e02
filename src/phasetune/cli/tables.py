"""The commands `phasetune export` and `phasetune compare`: trials as tables, out and on screen."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.storage import ResultsArgument, StudyOption
from phasetune.study.wording import one_line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from phasetune.report.compare import Comparison


class Exportable(StrEnum):
    """The frames that studies are read as."""

    TRIALS = "trials"
    RUNS = "runs"
    HISTORY = "history"
    CHECKPOINTS = "checkpoints"


def export(
    what: Annotated[
        Exportable,
        typer.Argument(metavar="WHAT", help="One of trials, runs, history, checkpoints."),
    ],
    results: ResultsArgument,
    study: StudyOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="A .csv, .parquet or .jsonl file. Default: CSV to standard output, as for -.",
        ),
    ] = None,
    debug: DebugOption = False,
) -> None:
    """Write trials, runs, history or checkpoints as a table."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.report.frames.export import csv_text, export_frame

        frame = _frame(what, results, study)
        if out is None or str(out) == "-":
            sys.stdout.write(csv_text(frame))
            return
        export_frame(frame, out)
        count = len(frame)
        typer.echo(f"{out}: {count:,} {'row' if count == 1 else 'rows'}", err=True)


def _frame(what: Exportable, results: str, study: str | None) -> "pd.DataFrame":
    from phasetune.api import checkpoints, history, runs, trials

    found = {
        Exportable.TRIALS: trials,
        Exportable.RUNS: runs,
        Exportable.HISTORY: history,
        Exportable.CHECKPOINTS: checkpoints,
    }
    return found[what](results, study)


def compare(
    results: Annotated[
        list[str], typer.Argument(metavar="RESULTS", help="Results roots, as given to `run`.")
    ],
    study: StudyOption = None,
    sort_by: Annotated[
        str | None,
        typer.Option(
            "--sort-by",
            metavar="[-]COLUMN",
            help="A metric, a parameter or another column; - before it: the greatest first. "
            "Default: the best by the objective first.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help="Only trials with, such as 'class_1_accuracy >= 0.3' or 'phase == size'; "
            "several times: all of them.",
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--md", help="Print Markdown.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """Compare trials: where their parameters differ, and what they scored."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.errors import StudyError
        from phasetune.report.compare import compared

        if as_markdown + as_csv + as_json > 1:
            raise StudyError("--md, --csv and --json exclude each other; give one of them")
        found = compared(results, study=study, sort_by=sort_by, filters=filters or ())
        if as_csv or as_json:
            sys.stdout.write(_csv(found) if as_csv else _json(found))
        elif as_markdown:
            sys.stdout.write(_markdown(found))
        else:
            _print(found)


def _csv(found: "Comparison") -> str:
    from phasetune.report.frames.export import csv_text

    return csv_text(found.table)


def _json(found: "Comparison") -> str:
    from phasetune.report.frames.export import records
    from phasetune.store.documents import document_text

    return document_text({"schema": 1, "trials": list(records(found.table))})


def _markdown(found: "Comparison") -> str:
    from phasetune.report.escaping import markdown_escaped

    headings, rows = _headings(found), _cells(found)
    numeric = _numeric(found)
    lines = [
        map(markdown_escaped, headings),
        ["--:" if heading in numeric else "---" for heading in headings],
        *(map(markdown_escaped, row) for row in rows),
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _print(found: "Comparison") -> None:
    """A table; a few lines per trial where it would not fit the terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from phasetune.report.analysis import fits

    console = Console(highlight=False)
    headings, rows, numeric = _headings(found), _cells(found), _numeric(found)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        broken = heading.replace(".", ".\n") if heading in found.parameters else heading
        is_number = heading in numeric
        table.add_column(Text(broken), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    if rows and fits(console, table):
        console.print(table)
    else:
        for row in rows:
            _print_lines(console, found, dict(zip(headings, row, strict=True)))
    typer.echo(_counted(found))


def _print_lines(console: "Console", found: "Comparison", cells: dict[str, str]) -> None:
    """The trial and its standing, then what it scored, then its settings."""
    mark = cells.pop("") or "-"
    typer.echo(f"{mark} {cells.pop('trial')}: {cells.pop('standing')}")
    scored = {name: cells.pop(name) for name in found.metrics}
    for told in (scored, cells):
        for line in _packed([f"{name} {text}" for name, text in told.items() if text], console):
            typer.echo(f"    {line}")


def _packed(items: list[str], console: "Console") -> list[str]:
    """As many items on each line as fit the terminal, none of them broken."""
    lines: list[str] = []
    for item in items:
        if lines and len(lines[-1]) + len(item) + 6 <= console.width:
            lines[-1] += f", {item}"
        else:
            lines.append(item)
    return lines


def _counted(found: "Comparison") -> str:
    shown, of = len(found.table), found.num_trials
    trials = "1 trial" if of == 1 else f"{of:,} trials"
    if not of:
        return "No phase is decided yet, so there is no trial to compare."
    if not shown:
        return f"None of {trials} meets the filters."
    return f"{trials if shown == of else f'{shown:,} of {trials}'}; * won its phase"


def _headings(found: "Comparison") -> list[str]:
    """A mark, then the table's columns but those that are told within another's."""
    within = {f"{metric}_sem" for metric in found.metrics} | {"replicates_done", "is_winner"}
    return ["", *(str(name) for name in found.table.columns if name not in within)]


def _numeric(found: "Comparison") -> list[str]:
    from pandas.api.types import is_numeric_dtype

    return [name for name in _headings(found)[1:] if is_numeric_dtype(found.table[name])]


def _cells(found: "Comparison") -> list[tuple[str, ...]]:
    """What stands below each heading, row by row."""
    from phasetune.report.frames.table import plain_values

    marks = ["*" if is_winner else "" for is_winner in plain_values(found.table["is_winner"])]
    columns = [marks]
    for name in _headings(found)[1:]:
        if name in found.metrics:
            columns.append(_metric_cells(found, name))
        else:
            columns.append([_cell(value) for value in plain_values(found.table[name])])
    return list(zip(*columns, strict=True))


def _metric_cells(found: "Comparison", metric: str) -> list[str]:
    """Mean and error of each trial; of the objective also over how many replicates."""
    from phasetune.report.frames.table import plain_values

    names = (metric, f"{metric}_sem", "replicates_done")
    rows = zip(*(plain_values(found.table[name]) for name in names), strict=True)
    tells_count = metric == found.metrics[0]
    return [_metric_cell(mean, sem, count if tells_count else None) for mean, sem, count in rows]


def _cell(value: object) -> str:
    """A parameter as it was written, nothing where there is none."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else one_line(str(value))


def _metric_cell(mean: float | None, sem: float | None, count: int | None) -> str:
    """As decisions are told (`select/words`), small numbers with the digits that they have."""
    from phasetune.report.numbers import number_text

    if mean is None:
        return ""
    if sem is None:
        return number_text(mean)
    over = "" if count is None else f" (n={count})"
    return f"{number_text(mean)} ± {number_text(sem)}{over}"
