"""The command `phasetune report`: a study as a page, as Markdown, as LaTeX tables; or one run."""

from pathlib import Path
from typing import Annotated

import typer

from phasetune.cli.data import DebugOption
from phasetune.cli.storage import ResultsArgument, StudyOption

FormatOption = Annotated[
    str | None,
    typer.Option("--format", metavar="NAMES", help="Some of html,md,tex; with commas. Or html."),
]
RunOption = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="The training of one run or trial instead."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="DIR", help="Where to write; the study's own folder."),
]


def report(
    results: ResultsArgument,
    study: StudyOption = None,
    formats: FormatOption = None,
    run: RunOption = None,
    out: OutOption = None,
    debug: DebugOption = False,
) -> None:
    """Write what a study found: decisions in words, figures, tables, warnings."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        if run is not None:
            _refuse_formats(formats)
            _say_where(_run_report(results, study, run, out))
            return
        from phasetune.report.page.write import write_page

        asked = "html" if formats is None else formats
        names = [name.strip() for name in asked.split(",") if name.strip()]
        for path in write_page(results, study, formats=names, out=out):
            _say_where(path)


def _say_where(path: Path) -> None:
    """What lies at a URI can be looked at here, too."""
    from phasetune.store.paths import shown_path

    shown = shown_path(path)
    typer.echo(path if shown == str(path) else f"{shown}\n  here: {path}")


def _refuse_formats(formats: str | None) -> None:
    from phasetune.errors import PhasetuneError

    if formats is not None:
        raise PhasetuneError(
            "--format is for the report of a study; with --run there are pictures, a text and a "
            "document, so leave it out"
        )


def _run_report(results: str, study: str | None, name: str, out: Path | None) -> Path:
    from phasetune.errors import StoreError
    from phasetune.report.document import chosen_studies
    from phasetune.report.training import write_run_report
    from phasetune.store.paths import results_at

    paths = results_at(results)
    found = chosen_studies(paths.root, study)
    if len(found) > 1:
        names = ", ".join(entry.root.name for entry in found)
        raise StoreError(f"{results} holds several studies; choose one with --study: {names}")
    return write_run_report(paths, found[0], name, out)
