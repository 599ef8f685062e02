"""Write what a study leaves for people: report, analysis, best settings, trials by name, frames.

All of it follows from the decisions and the store. Where the report would say what it says
already and nothing was executed, nothing is written and nothing heavy is imported. The page to look
at is made of the same, by `page`; one that says something else than the report goes.
"""

from typing import Any

from phasetune.report.analysis import analysis_text
from phasetune.report.document import kept_study, report_document
from phasetune.report.results import write_phase_results
from phasetune.report.views import are_views_whole, remember_views
from phasetune.store.documents import document_text, write_document
from phasetune.store.durable import withdraw, write_text
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.dump import best_study, study_yaml


def write_report(results: ResultsPaths, study: StudyPaths, *, has_new_runs: bool) -> dict[str, Any]:
    """Bring everything up to date; returns the canonical report."""
    report = report_document(study)
    phases = [record["phase"] for record in report["phases"]]
    if not has_new_runs and _says_already(study, report) and are_views_whole(study, report):
        return report
    withdraw(study.page)
    for phase in phases:
        write_phase_results(results, study, phase)
    _write_frames(results, study, phases)
    _write_best(study, report)
    write_text(study.analysis, analysis_text(report))
    remember_views(study, report)
    write_document(study.report, report)
    return report


def _says_already(study: StudyPaths, report: dict[str, Any]) -> bool:
    try:
        return study.report.read_bytes() == document_text(report).encode()
    except OSError:
        return False


def _write_frames(results: ResultsPaths, study: StudyPaths, phases: list[str]) -> None:
    from phasetune.report.frames import write_phase_frames

    for phase in phases:
        write_phase_frames(results.root, study, phase)


def _write_best(study: StudyPaths, report: dict[str, Any]) -> None:
    recommendation = report["final_recommendation"]
    if recommendation is None:
        withdraw(study.best)
        return
    best = best_study(kept_study(study), recommendation["settings"])
    write_text(study.best, study_yaml(best, beside=study.beside))
