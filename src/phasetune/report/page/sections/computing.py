"""The section on how it was computed: what was shared, executed and reused, and the time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.report.kept import kept_plan
from phasetune.report.page.sections.blocks import (
    Column,
    FigurePlace,
    Paragraph,
    Row,
    Section,
    Table,
    count_text,
    duration_text,
)
from phasetune.store.artifacts import Artifact, ArtifactStore
from phasetune.store.failures import FailureStore
from phasetune.store.paths import ResultsPaths, StudyPaths


@dataclass(frozen=True, kw_only=True)
class StageWork:
    """What a stage's runs took: asked for by trials, distinct, and where their artifacts are from.

    A run that `failed` has none; what is `missing` did not run.
    `alone_seconds` is what the trials would have taken without sharing, `spent_seconds` what this
    study computed.
    """

    stage: str
    asked: int
    distinct: int
    executed: int
    taken: int
    failed: int
    alone_seconds: float
    spent_seconds: float

    @property
    def missing(self) -> int:
        return self.distinct - self.executed - self.taken - self.failed


def stage_work(
    results: ResultsPaths, study: StudyPaths, report: Mapping[str, Any], phases: Sequence[str]
) -> list[StageWork]:
    """Per stage, in the order of the work, what all phases and the final model asked for."""
    asked = dict[str, list[str]]()
    for stage, key in _runs(study, report, phases):
        asked.setdefault(stage, []).append(key)
    return [_work(stage, keys, results.store, study.root.name) for stage, keys in asked.items()]


def _runs(
    study: StudyPaths, report: Mapping[str, Any], phases: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Stage and key of each run that a trial asks for; one that trials share comes several times,
    one that the replicates of a trial share once.
    """
    for phase in phases:
        plan = kept_plan(study.phase(phase))
        for trial in () if plan is None else plan["trials"]:
            runs = [run for replicate in trial["replicates"] for run in replicate["runs"]]
            yield from dict.fromkeys((run["stage"], run["key"]) for run in runs)
    final = {} if report["final"] is None else report["final"]
    yield from ((str(run["stage"]), str(run["key"])) for run in final.get("runs", ()))


def _work(stage: str, keys: Sequence[str], store: Path, study: str) -> StageWork:
    artifacts, failures = ArtifactStore(store), FailureStore(store)
    distinct = list(dict.fromkeys(keys))
    found = {key: artifact for key in distinct if (artifact := artifacts.intact(stage, key))}
    own = [artifact for artifact in found.values() if _is_from(artifact, study)]
    return StageWork(
        stage=stage,
        asked=len(keys),
        distinct=len(distinct),
        executed=len(own),
        taken=len(found) - len(own),
        failed=sum(key not in found and bool(failures.get(stage, key)) for key in distinct),
        alone_seconds=sum(found[key].duration_seconds for key in keys if key in found),
        spent_seconds=sum(artifact.spent_seconds for artifact in own),
    )


def _is_from(artifact: Artifact, study: str) -> bool:
    return bool(artifact.manifest["provenance"].get("study") == study)


def computing_section(work: Sequence[StageWork]) -> Section:
    """Timeline, sharing tree, and a row per stage."""
    return Section(
        anchor="computing",
        title="How it was computed",
        blocks=(
            Paragraph(text=_words(work), is_lead=True),
            FigurePlace(kind="sharing"),
            FigurePlace(kind="timeline"),
            _table(work),
        ),
    )


def _words(work: Sequence[StageWork]) -> str:
    asked, distinct = sum(w.asked for w in work), sum(w.distinct for w in work)
    if not asked:
        return "Nothing was planned yet."
    executed, taken = sum(w.executed for w in work), sum(w.taken for w in work)
    failed, missing = sum(w.failed for w in work), sum(w.missing for w in work)
    words = (
        f"The trials asked for {count_text(asked, 'run')}; sharing left {distinct} distinct ones. "
        f"{executed} of them {'was' if executed == 1 else 'were'} executed by this study"
    )
    words += f", {failed} more failed" if failed else ""
    words += f", {taken} taken from other studies" if taken else ""
    words += f", {missing} {'is' if missing == 1 else 'are'} not done" if missing else ""
    alone, spent = sum(w.alone_seconds for w in work), sum(w.spent_seconds for w in work)
    saved = f", {1 - spent / alone:.0%} less" if alone > spent > 0 else ""
    return (
        f"{words}. That took {duration_text(spent)} of computing instead of the "
        f"{duration_text(alone)} that all trials take alone{saved}."
    )


def _table(work: Sequence[StageWork]) -> Table:
    headings = ("Asked for", "Distinct", "Executed", "Failed", "From others", "Alone", "Spent")
    return Table(
        title="Runs and time per stage",
        columns=(Column(title="Stage"), *(Column(title=h, is_number=True) for h in headings)),
        rows=tuple(
            Row(
                cells=(
                    w.stage,
                    *map(str, (w.asked, w.distinct, w.executed, w.failed, w.taken)),
                    duration_text(w.alone_seconds),
                    duration_text(w.spent_seconds),
                )
            )
            for w in work
        ),
    )
