"""Everything that a report says, gathered once as plain values; the formats only render it.

The order is that of a person with ten minutes: the answer and its score, the way to it phase by
phase, what to be careful about, then each phase, the training, the final model, and where all of
it comes from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.document import kept_study, report_document
from phasetune.report.kept import kept_plan
from phasetune.report.page.health import Finding, findings
from phasetune.report.page.sections.blocks import (
    FigurePlace,
    Paragraph,
    Section,
    count_text,
    listing,
    printable,
    value_words,
)
from phasetune.report.page.sections.computing import computing_section, stage_work
from phasetune.report.page.sections.final import Score, final_section, score_of
from phasetune.report.page.sections.origin import (
    chosen_parameters,
    provenance_section,
    settings_section,
)
from phasetune.report.page.sections.phase import phase_section, replicates_words
from phasetune.report.page.sections.reading import reading_section
from phasetune.report.page.sections.steps import Step, Surety, step_ahead, step_of
from phasetune.select.record import carries
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import read_document
from phasetune.store.masking import masked_content
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.study.schema import Phase, Study


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A parameter that the phases varied, with the value that came of it."""

    parameter: str
    value: str
    phase: str
    surety: Surety


@dataclass(frozen=True, kw_only=True)
class StudyContent:
    """What every format of the report says, in reading order."""

    name: str
    question: str
    asked: str
    is_complete: bool
    answer: tuple[str, ...]
    chips: tuple[Chip, ...]
    score: Score | None
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    sections: tuple[Section, ...]


def study_content(results: ResultsPaths, study: StudyPaths) -> StudyContent:
    """Gather what a study has to say, as far as it is decided.

    Raises:
        StoreError: there is no study, or a document of it can't be read.
    """
    kept = kept_study(study)
    report = printable(_without_secrets(report_document(study)))
    folds = kept.replicates.folds
    decided = {record["phase"]: record for record in report["phases"]}
    steps = tuple(
        step_of(decided[phase.name], folds=folds)
        if phase.name in decided
        else step_ahead(phase.name, printable(_axes(phase)), "not decided yet")
        for phase in kept.phases
    )
    return StudyContent(
        name=report["study"]["name"],
        question=report["study"]["description"],
        asked=_asked(kept, report),
        is_complete=report["is_complete"],
        answer=tuple(_answer(report, steps)),
        chips=_chips(report, steps),
        score=score_of(report),
        steps=steps,
        findings=findings(report),
        sections=tuple(_sections(results, study, kept, report)),
    )


def _without_secrets(report: dict[str, Any]) -> dict[str, Any]:
    """Settings in decisions say what was typed, since best.yaml is made of them; pages do not."""
    for record in report["phases"]:
        for trial in record["trials"]:
            trial |= {name: masked_content(trial[name]) for name in ("point", "settings", "note")}
    return report


def _asked(study: Study, report: Mapping[str, Any]) -> str:
    objective, rules = study.objective, report["study"]["constraints"]
    best = "Highest" if objective.mode == "max" else "Lowest"
    words = f"{best} {printable(objective.metric)} on {objective.on} data"
    words += f" with {listing(rules)}" if rules else ""
    asked = study.replicates
    if asked.seeds * (asked.folds or 1) == 1:
        return f"{words}, one run per setting."
    return f"{words}, {replicates_words(folds=asked.folds, seeds=asked.seeds)} per setting."


def _answer(report: Mapping[str, Any], steps: Sequence[Step]) -> list[str]:
    """What to use, and how sure that is."""
    decided, phases = len(report["phases"]), count_text(len(steps), "phase")
    settings = {t["key"] for r in report["phases"] for t in r["trials"] if t["candidate"]}
    if not decided:
        return ["Nothing is decided yet."]
    last = report["phases"][-1]
    if not carries(last):
        return [f"Phase {last['phase']} decided nothing, so there is no recommendation."]
    so_far = decided < len(steps)
    if len(settings) == 1:
        told = " so far" if so_far else ", so it is recommended"
        return [f"Only one setting was tried{told}; there was none to compare it with."]
    compared = f"Of {len(settings)} settings compared in"
    if so_far:
        return [f"{compared} {decided} of {phases}, these lead so far.", *_sureness(steps)]
    return [f"{compared} {phases}, these are recommended.", *_sureness(steps)]


def _sureness(steps: Sequence[Step]) -> list[str]:
    doubtful = [step.phase for step in steps if step.surety is Surety.TIE]
    clear = [step.phase for step in steps if step.surety is Surety.CLEAR]
    if doubtful and len(doubtful) == len(steps):
        if len(steps) == 1:
            return ["Another setting did as well within noise."]
        return ["In every phase another setting did as well within noise."]
    told = []
    if clear:
        told.append(f"{listing(clear)}: clearly ahead.")
    if doubtful:
        told.append(f"{listing(doubtful)}: another setting did as well within noise.")
    return told


def _chips(report: Mapping[str, Any], steps: Sequence[Step]) -> tuple[Chip, ...]:
    recommended = report["final_recommendation"]
    if recommended is None:
        return ()
    settings = printable(masked_content(recommended["settings"]))
    surety = {step.phase: step.surety for step in steps}
    return tuple(
        Chip(parameter=name, value=value_words(settings[name]), phase=phase, surety=surety[phase])
        for name, phase in chosen_parameters(report).items()
        if name in settings
    )


def _sections(
    results: ResultsPaths, study: StudyPaths, kept: Study, report: dict[str, Any]
) -> list[Section]:
    total, asked = len(kept.phases), kept.replicates
    decided = {record["phase"]: record for record in report["phases"]}
    stuck = next((r["phase"] for r in report["phases"] if not carries(r)), None)
    sections: list[Section | None] = []
    for index, phase in enumerate(kept.phases, start=1):
        position = f"Phase {index} of {total}"
        if phase.name in decided:
            record = decided[phase.name]
            sections.append(
                phase_section(record, position=position, folds=asked.folds, seeds=asked.seeds)
            )
        else:
            sections.append(_open_section(results, study, phase, position, stuck))
    work = stage_work(results, study, report, [phase.name for phase in kept.phases])
    sections += [
        _training_section(),
        final_section(report),
        reading_section(kept, report),
        computing_section(work),
        settings_section(report),
        provenance_section(report, _invocations(study)),
    ]
    return [section for section in sections if section is not None]


def _open_section(
    results: ResultsPaths, study: StudyPaths, phase: Phase, position: str, stuck: str | None
) -> Section:
    """A phase that is not decided: how far it is, and what it waits for."""
    words, plan = ["This phase is not decided yet."], kept_plan(study.phase(phase.name))
    if stuck is not None:
        words.append(f"It waits for phase {stuck}, which decided nothing.")
    elif plan is not None:
        words.append(_progress(ArtifactStore(results.store), plan))
    if stuck is None:
        words.append("The same command goes on with it.")
    return Section(
        anchor=f"phase-{phase.name}",
        title=phase.name,
        kicker=position,
        blocks=(Paragraph(text=" ".join(words), is_lead=True),),
    )


def _progress(store: ArtifactStore, plan: Mapping[str, Any]) -> str:
    replicates = [replicate for trial in plan["trials"] for replicate in trial["replicates"]]
    keys = {(run["stage"], run["key"]) for replicate in replicates for run in replicate["runs"]}
    done = sum(store.has(stage, key) for stage, key in keys)
    trials, runs = count_text(len(plan["trials"]), "trial"), count_text(len(keys), "run")
    return f"It has {trials}; {done} of {runs} are done."


def _training_section() -> Section:
    return Section(
        anchor="training",
        title="Training",
        blocks=(FigurePlace(kind="pretraining"), FigurePlace(kind="curves")),
    )


def _invocations(study: StudyPaths) -> list[dict[str, Any]]:
    """The commands that computed something; none where they can't be read."""
    try:
        found = (read_document(study.provenance) or {}).get("invocations")
    except StoreError:
        return []
    calls = found if isinstance(found, list) else []
    return [printable(call) for call in calls if isinstance(call, dict)]


def _axes(phase: Phase) -> list[str]:
    points = [point.params for point in phase.points or ()]
    return list(dict.fromkeys([*(phase.grid or {}), *(name for p in points for name in p)]))
