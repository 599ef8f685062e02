"""The command `phasetune`. Heavy imports sit in the commands, so that `--help` is instant."""

from typing import Annotated

import typer

from phasetune.cli.data import DebugOption, data
from phasetune.cli.detach import DetachOption
from phasetune.cli.display.formats import LogFormat, LogFormatOption, telling
from phasetune.cli.doctor import doctor
from phasetune.cli.report import report
from phasetune.cli.status import status
from phasetune.cli.stop import stop
from phasetune.cli.storage import ResultsArgument, StudyOption, checkpoints, gc
from phasetune.cli.sync import sync
from phasetune.cli.tables import compare, export
from phasetune.cli.ui import ui

app = typer.Typer(
    help="Phased studies on Ray Tune: one study file, one command.",
    epilog="Start with: phasetune plan STUDY, then: phasetune run STUDY",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.add_typer(data, name="data")

StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="A study file (.yaml) or module:function.")
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY.PATH=VALUE]...",
        help="Changes to the study, such as seed=7 or phases.size.grid.fit.width=[8,16].",
    ),
]
ResultsOption = Annotated[
    str,
    typer.Option(
        "--results", metavar="DIR|URI", help="Where results lie; shared by studies and machines."
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDR", help="Join the Ray cluster at HOST:PORT, or auto."),
]
InProcessOption = Annotated[
    bool, typer.Option("--in-process", help="One run after the other in this process, no Ray.")
]
MaxConcurrentOption = Annotated[
    int | None,
    typer.Option("--max-concurrent", metavar="N", min=1, help="At most N runs at a time."),
]
NoSharingOption = Annotated[
    bool,
    typer.Option(
        "--no-sharing", help="Give each trial runs of its own, to see what sharing saves."
    ),
]
RetryFailedOption = Annotated[
    bool, typer.Option("--retry-failed", help="Try runs again that failed before.")
]

PhaseOption = Annotated[
    str | None,
    typer.Option("--phase", metavar="NAME|NUMBER", help="This phase only, on earlier winners."),
]
StrictEnvironmentOption = Annotated[
    bool,
    typer.Option(
        "--strict-environment",
        help="Run again what was computed with another device or other library versions.",
    ),
]
PageOption = Annotated[
    bool,
    typer.Option(
        "--page/--no-page",
        envvar="PHASETUNE_PAGE",
        show_envvar=False,
        help="Make report.html and figures/ at the end.",
    ),
]


@app.command()
def plan(
    study: StudyArgument,
    overrides: OverridesArgument = None,
    results: ResultsOption = "results",
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    check_data: Annotated[
        bool, typer.Option("--check-data", help="Hash the data anew and check its content.")
    ] = False,
    no_sharing: NoSharingOption = False,
    debug: DebugOption = False,
) -> None:
    """Show trials, what they share, what is stored, what it costs."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.api import plan_study
        from phasetune.cli.plan import print_plan

        found = plan_study(
            study,
            overrides=overrides or (),
            results=results,
            check_data=check_data,
            shares=not no_sharing,
        )
        print_plan(found, as_json=as_json)


@app.command()
def run(
    study: StudyArgument,
    overrides: OverridesArgument = None,
    phase: PhaseOption = None,
    results: ResultsOption = "results",
    max_concurrent: MaxConcurrentOption = None,
    address: AddressOption = None,
    in_process: InProcessOption = False,
    retry_failed: RetryFailedOption = False,
    strict_environment: StrictEnvironmentOption = False,
    no_sharing: NoSharingOption = False,
    page: PageOption = True,
    detach: DetachOption = False,
    log_format: LogFormatOption = LogFormat.AUTO,
    debug: DebugOption = False,
) -> None:
    """Run a study, go on with it, or do nothing because all is done."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.api import run_study
        from phasetune.cli.summary import print_outcome
        from phasetune.study.load import load

        loaded = load(study, overrides or ())
        if detach:
            from phasetune.cli.detach import run_detached

            run_detached(loaded, results, address)
            return
        with telling(log_format, study=loaded.study.name, results=results) as told:
            outcome = run_study(
                loaded,
                results=results,
                phase=phase,
                in_process=in_process,
                address=address,
                max_concurrent=max_concurrent,
                retry_failed=retry_failed,
                strict_environment=strict_environment,
                shares=not no_sharing,
                page=page,
                listener=told.listener,
            )
        print_outcome(outcome, results, told)
        raise typer.Exit(outcome.exit_code)


@app.command()
def trial(
    study: StudyArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A trial's name, as `plan` shows.")],
    overrides: OverridesArgument = None,
    results: ResultsOption = "results",
    max_concurrent: MaxConcurrentOption = None,
    address: AddressOption = None,
    in_process: InProcessOption = False,
    retry_failed: RetryFailedOption = False,
    log_format: LogFormatOption = LogFormat.AUTO,
    debug: DebugOption = False,
) -> None:
    """Run one trial of a study by its name, alone; decides nothing."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.api import run_trial
        from phasetune.cli.summary import print_trial
        from phasetune.study.load import load

        loaded = load(study, overrides or ())
        with telling(log_format, study=loaded.study.name, results=results) as told:
            found, account = run_trial(
                loaded,
                name,
                results=results,
                in_process=in_process,
                address=address,
                max_concurrent=max_concurrent,
                retry_failed=retry_failed,
                listener=told.listener,
            )
        print_trial(found, account, loaded.study, results, told)
        raise typer.Exit(1 if account.failures else 0)


@app.command()
def best(
    results: ResultsArgument,
    study: StudyOption = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the final settings as a study that runs.")
    ] = False,
    debug: DebugOption = False,
) -> None:
    """Show each decision in words, and the final settings."""
    from phasetune.cli.guard import guarded

    with guarded(debug=debug):
        from phasetune.cli.summary import print_best

        print_best(results, study, as_yaml=as_yaml)


for _command in (status, stop, report, compare, export, ui, sync, checkpoints, gc, doctor):
    app.command()(_command)


def main() -> None:
    """The entry point of the console script."""
    from phasetune.run.ray.watch import end_without_ray

    try:
        app(prog_name="phasetune")
    except SystemExit as ended:
        end_without_ray(ended.code)
        raise
