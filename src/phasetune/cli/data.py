"""The commands `phasetune data ...`: files for a built-in workload, made or augmented."""

import json
import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(help="Make or augment the files that a workload reads.", no_args_is_help=True)

DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**32 - 1)]


class Makeable(StrEnum):
    """Workloads that files can be made for."""

    WINDOWS = "windows"


@data.command()
def make(
    workload: Annotated[
        Makeable, typer.Argument(metavar="WORKLOAD", help="For which workload: windows.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write to.")],
    windows: Annotated[
        int,
        typer.Option(
            "--windows",
            metavar="N",
            min=50,
            max=1_000_000,
            help="Labelled windows, a fifth of them for testing.",
        ),
    ] = 2000,
    unlabeled: Annotated[
        int | None,
        typer.Option(
            "--unlabeled",
            metavar="N",
            min=20,
            max=10_000_000,
            help="Windows without labels; default: 4 for each labelled one.",
        ),
    ] = None,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Write train.npz, test.npz and unlabeled_augmented.npz of synthetic windows."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.workloads.windows.make import make_files

        assert workload is Makeable.WINDOWS  # noqa: S101 - the only one
        for path in make_files(out, windows=windows, unlabeled=unlabeled, seed=seed):
            typer.echo(path)
        given = shlex.quote(f"data={{dir: {json.dumps(str(out))}}}")
        typer.echo(f"Use them: phasetune run configs/lstm_phase_iv.yaml {given}")


@data.command()
def augment(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="An .npz file with windows X; never those that you test on."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The .npz file to write.")],
    factor: Annotated[
        int,
        typer.Option(
            "--factor",
            metavar="N",
            min=2,
            max=1000,
            help="Windows for each one: itself, and N - 1 varied copies.",
        ),
    ] = 4,
    seed: SeedOption = 0,
    debug: DebugOption = False,
) -> None:
    """Write windows for pre-training from your own: warped in time, scaled, jittered."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.workloads.windows.make import augment_file

        count = augment_file(source, out, factor=factor, seed=seed)
        typer.echo(f"{out}: {count:,} windows")
