"""The commands `phasetune checkpoints` and `phasetune gc`: what is kept, and what may go."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from phasetune.cli.data import DebugOption

if TYPE_CHECKING:
    from phasetune.store.garbage import Garbage

ResultsArgument = Annotated[
    str,
    typer.Argument(metavar="RESULTS", help="The results root, as given to `run`; a folder or URI."),
]
StudyOption = Annotated[
    str | None, typer.Option("--study", metavar="NAME", help="One study of the results root.")
]
_MOST_METRICS = 2


def checkpoints(
    results: ResultsArgument,
    study: StudyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    debug: DebugOption = False,
) -> None:
    """List checkpoints: run, epoch, metrics, size, and why each is kept."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.store.documents import document_text
        from phasetune.store.inventory import checkpoint_record, checkpoints
        from phasetune.store.paths import results_at
        from phasetune.store.space import size_text

        rows = checkpoints(results_at(results), study)
        if as_json:
            records = [checkpoint_record(row) for row in rows]
            sys.stdout.write(document_text({"schema": 1, "checkpoints": records}))
            return
        _print_table(
            {"run": "left", "epoch": "right", "metrics": "left", "size": "right", "why": "left"},
            [
                (
                    row.run,
                    "" if row.epoch is None else str(row.epoch),
                    _metrics(row.metrics),
                    size_text(row.size_bytes),
                    f"{row.kind}: {', '.join(row.why)}",
                )
                for row in rows
            ],
        )
        total = size_text(sum(row.size_bytes for row in rows))
        typer.echo(f"{_count(len(rows), 'checkpoint')}, {total}")


def gc(
    results: ResultsArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would go, delete nothing.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """List and delete what no study below a results root refers to."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.store.garbage import collect, garbage
        from phasetune.store.lease import Waiting
        from phasetune.store.lock import exclusively
        from phasetune.store.paths import results_at
        from phasetune.store.space import size_text

        paths = results_at(results)
        waiting = Waiting(tell=lambda message: typer.echo(message, err=True))
        with exclusively(paths, waiting) as check:
            found = garbage(paths)
            _print_table(
                {"what": "left", "size": "right", "why": "left"},
                [
                    (
                        entry.path.relative_to(paths.root).as_posix(),
                        size_text(entry.size_bytes),
                        f"{entry.kind}: {entry.why}",
                    )
                    for entry in found
                ],
            )
            if not dry_run:
                collect(_checked(found, check))
        total = size_text(sum(entry.size_bytes for entry in found))
        verb = "Would delete" if dry_run else "Deleted"
        message = f"{verb} {_count(len(found), 'file or folder', 'files and folders')}, {total}."
        typer.echo(message if found else "Nothing to delete.")


def _checked(found: "Sequence[Garbage]", check: Callable[[], None]) -> "Iterator[Garbage]":
    for entry in found:
        check()
        yield entry


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _metrics(metrics: Mapping[str, float]) -> str:
    """The first few, validated ones before others, as many as a line has room for."""
    names = sorted(metrics, key=lambda name: (not name.startswith(("val_", "best_val")), name))
    shown = [f"{name} {metrics[name]:.4g}" for name in names[:_MOST_METRICS]]
    return ", ".join(shown) + (", ..." if len(metrics) > _MOST_METRICS else "")


def _print_table(columns: Mapping[str, str], rows: Sequence[tuple[str, ...]]) -> None:
    """A table; a line per entry where it would not fit the terminal. Nothing for no rows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from phasetune.report.analysis import fits

    if not rows:
        return
    console = Console(highlight=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading, side in columns.items():
        table.add_column(heading, justify="right" if side == "right" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if fits(console, table):
        console.print(table)
        return
    for row in rows:
        cells = zip(columns, row, strict=True)
        first, *others = [f"{name} {text}" for name, text in cells if text]
        console.print("; ".join([first, *others]), markup=False, soft_wrap=True)
