"""What is printed at the end of a command: decisions, failures, where everything is, what next."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from phasetune.api import StudyOutcome
from phasetune.cli.display.formats import Telling
from phasetune.cli.display.progress import Counts, printable
from phasetune.cli.guard import same_command
from phasetune.errors import StoreError
from phasetune.report.analysis import (
    print_phase_table,
    settings_lines,
    standing_sentences,
    test_heading,
)
from phasetune.report.document import chosen_studies, kept_study, report_document
from phasetune.report.results import trial_results
from phasetune.run.executor import Account, FailedRun
from phasetune.select.words import decision_sentences, value_text
from phasetune.store.paths import (
    ResultsPaths,
    StudyPaths,
    results_as_typed,
    results_at,
    shown_path,
)
from phasetune.study.dump import best_study, study_yaml
from phasetune.study.schema import Study


def print_outcome(outcome: StudyOutcome, results: str, told: Telling) -> None:
    """Who won and why, what was shared, what failed, where everything is, what to type next."""
    console = told.console
    account = outcome.result.account
    for record in outcome.decisions.values():
        _print_decision(console, record)
    _print_final(console, outcome.report)
    _print_failures(console, outcome.failures)
    for warning in outcome.report["warnings"]:
        console.print(f"warning: {warning}", markup=False)
    console.print(f"\n{_done(account, told.counts)}", markup=False)
    paths = results_as_typed(results).study(outcome.paths.root.name)
    for line in _where(paths, outcome.report):
        console.print(line, markup=False, soft_wrap=True)
    if outcome.failures:
        again = same_command("--retry-failed")
        console.print(f"Try failed runs again: {again}", markup=False, soft_wrap=True)
    for number, command in enumerate(_next(paths, outcome.report)):
        console.print(f"{'' if number else 'Next:':<6}{command}", markup=False, soft_wrap=True)


def _done(account: Account, counts: Counts) -> str:
    if counts.num_ended:
        shared = f"Executed {counts.num_ended} of {len(account.distinct)} distinct runs"
        return f"{shared}, for the {account.asked} that trials take alone."
    if account.failures:
        why = "what is not stored failed before, or needs what failed"
    else:
        why = f"all {len(account.distinct)} runs are stored"
    if counts.has_decided_anew:
        return f"Nothing to execute: {why}; decisions were made from what is stored."
    return f"Nothing to do: {why}; decisions stand."


def _where(paths: StudyPaths, report: Mapping[str, Any]) -> Iterator[str]:
    if paths.page.exists():
        yield f"Look at it      {paths.page}"
    if paths.page.exists() and shown_path(paths.page) != str(paths.page):
        yield f"  also at       {shown_path(paths.page)}"
    yield f"Analysis        {shown_path(paths.analysis)}"
    yield f"Report          {shown_path(paths.report)}"
    if report["final_recommendation"] is not None:
        yield f"Final settings  {shown_path(paths.best)}"
    if report["final"] is not None and report["final"]["state"] == "done":
        yield f"Final model     {shown_path(paths.model)}"
    yield f"Trials by name  {shown_path(paths.root / 'trials')}"


def _next(paths: StudyPaths, report: Mapping[str, Any]) -> Iterator[str]:
    """Commands that show more of what there is."""
    results = ResultsPaths(paths.root.parent)
    root = shlex.quote(results.shown)
    of_study = f"{root} --study {paths.root.name}"
    if report["final_recommendation"] is not None:
        yield f"phasetune best {of_study}"
    if sum(len(record["trials"]) for record in report["phases"]) > 1:
        yield f"phasetune compare {of_study}"
    if results.mlflow.exists():
        yield f"phasetune ui {root}"
    if not report["is_complete"]:
        yield f"phasetune status {of_study}"


def _print_decision(console: Console, record: Mapping[str, Any]) -> None:
    console.print(f"\nPhase {record['phase']}", markup=False, style="bold")
    print_phase_table(console, record)
    for sentence in decision_sentences(record):
        console.print(sentence, markup=False)
    if record["winner"] is None:
        for sentence in standing_sentences(record):
            console.print(f"- {printable(sentence)}", markup=False)


def _print_final(console: Console, report: Mapping[str, Any]) -> None:
    final = report["final"]
    if final is None:
        return
    if final["state"] != "done":
        console.print(f"\nThe final model failed: {printable(final['reason'])}", markup=False)
    elif final["test"] is not None:
        metric = report["study"]["objective"]["metric"]
        value = final["test"].get(metric)
        shown = "" if value is None else f": {metric} {float(value):.4f}"
        console.print(f"\n{test_heading(report)}{shown}", markup=False)


def _print_failures(console: Console, failures: Sequence[FailedRun]) -> None:
    if not failures:
        return
    console.print(f"\n{len(failures)} failed:", markup=False, style="bold")
    for failed in failures:
        what = printable(f"{failed.label}: {failed.failure.message}")
        console.print(f"- {what}", markup=False, soft_wrap=True)
        console.print(f"  {shown_path(failed.traceback)}", markup=False, soft_wrap=True)


def print_trial(
    document: Mapping[str, Any], account: Account, study: Study, results: str, told: Telling
) -> None:
    """One trial's metrics, what failed of it, and where its results are."""
    console = told.console
    console.print(f"\nTrial {document['name']} of phase {document['phase']}", markup=False)
    for name, summary in document["metrics"].items():
        console.print(f"  {name} = {value_text(summary)}", markup=False)
    _print_failures(console, account.failures)
    path = trial_results(results_as_typed(results).study(study.name), document["name"])
    console.print(f"Results: {shown_path(path)}", markup=False, soft_wrap=True)


def print_best(results: str, study: str | None, *, as_yaml: bool) -> None:
    """The decisions in words and the final settings; or the settings as a study.

    Raises:
        StoreError: there is no such study, or nothing was decided in it.
    """
    chosen = chosen_studies(results_at(results).root, study)
    if as_yaml and len(chosen) > 1:
        names = ", ".join(paths.root.name for paths in chosen)
        raise StoreError(f"{results} holds several studies ({names}); choose one with --study")
    for paths in chosen:
        report = report_document(paths)
        if as_yaml:
            sys.stdout.write(_best_yaml(paths, report))
        else:
            _print_best(report)


def _best_yaml(paths: StudyPaths, report: Mapping[str, Any]) -> str:
    recommendation = report["final_recommendation"]
    if recommendation is None:
        raise StoreError(
            f"{paths.root.name}: nothing was decided yet; `phasetune run` goes on with the study"
        )
    return study_yaml(best_study(kept_study(paths), recommendation["settings"]), beside=None)


def _print_best(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(f"Study {report['study']['name']}", markup=False, style="bold")
    for record in report["phases"]:
        console.print(f"\n{record['phase']}", markup=False, style="bold")
        for sentence in decision_sentences(record):
            console.print(Padding(Text(sentence), (0, 0, 0, 2)))
    for warning in report["warnings"]:
        console.print(f"\nwarning: {warning}", markup=False)
    if not report["is_complete"]:
        console.print("\nThe study is not complete; `phasetune run` goes on with it.", markup=False)
    if report["final_recommendation"] is not None:
        console.print("\nFinal settings", markup=False, style="bold")
        for line in settings_lines(report):
            console.print(line, markup=False)
    _print_final(console, report)
    console.print()
