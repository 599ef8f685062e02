"""Render a plan."""

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from phasetune.plan.epochs import StepSurvey
from phasetune.plan.show import Cost, Disk, StudyPlan
from phasetune.plan.span import Span
from phasetune.plan.survey import PhaseSurvey, StageSurvey, StudySurvey
from phasetune.report.analysis import fits
from phasetune.store.documents import document_text
from phasetune.store.space import size_text

_MOST_NAMES = 12
_COUNTS = ("asked for", "distinct", "stored", "to execute")


def print_plan(plan: StudyPlan, *, as_json: bool) -> None:
    """Print a plan for people, or as JSON."""
    if as_json:
        sys.stdout.write(document_text(plan.to_document()))
        return
    console, found = Console(highlight=False), plan.survey
    console.print(f"Study {plan.study}: {_headline(found)}\n", markup=False)
    for number, phase in enumerate(found.phases, start=1):
        _print_phase(console, number, phase)
    _print_stages(console, found)
    console.print(f"\n{_shared(found)}", markup=False)
    for stage in found.stages:
        if stage.steps is not None:
            console.print(_steps(stage.stage, stage.steps), markup=False)
    if not found.is_exhaustive:
        console.print(
            "Too many possible winners to go through: later phases are shown as if the first point "
            "of each phase won.",
            markup=False,
        )
    console.print(plan.takes, markup=False)
    _print_remarks(console, plan)
    console.print(_cost(plan.cost, found), markup=False)
    console.print(_disk(plan.disk, found), markup=False)


def _print_remarks(console: Console, plan: StudyPlan) -> None:
    for change in plan.changes:
        console.print(change, markup=False)
    for warning in plan.warnings:
        console.print(f"warning: {warning}", markup=False)
    for problem in plan.data.problems:
        console.print(f"warning: {problem}; keys are unknown until it is there", markup=False)


def _headline(found: StudySurvey) -> str:
    return (
        f"{_count(len(found.phases), 'phase')}, {_count(found.trials, 'trial')}, "
        f"{found.settings} distinct settings"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _print_phase(console: Console, number: int, phase: PhaseSurvey) -> None:
    trials = _count(len(phase.trials), "trial")
    replicates = f" x {phase.replicates} replicates" if phase.replicates > 1 else ""
    baseline = ", and the baseline" if phase.has_extra_baseline else ""
    winner = f"; decided: {phase.winner}" if phase.winner else ""
    console.print(f"{number}. {phase.name}: {trials}{replicates}{baseline}{winner}", markup=False)
    console.print(
        f"   {phase.asked} runs asked for, {phase.new} new here, {phase.missing} to execute",
        markup=False,
    )
    for name in phase.trials[:_MOST_NAMES]:
        console.print(f"   - {name}", markup=False, overflow="fold")
    if len(phase.trials) > _MOST_NAMES:
        console.print(f"   ... and {len(phase.trials) - _MOST_NAMES} more", markup=False)
    console.print()


def _print_stages(console: Console, found: StudySurvey) -> None:
    """A table of runs per stage; a line per stage where it would not fit the console."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("stage")
    for heading in _COUNTS:
        table.add_column(heading, justify="right")
    for stage in found.stages:
        table.add_row(stage.stage, *_counts(stage))
    if fits(console, table):
        console.print(table)
        return
    for stage in found.stages:
        counts = zip(_counts(stage), _COUNTS, strict=True)
        text = ", ".join(f"{count} {heading}" for count, heading in counts)
        console.print(f"{stage.stage}: {text}", markup=False)


def _counts(stage: StageSurvey) -> tuple[str, ...]:
    stored = _difference(stage.distinct, stage.missing)
    return tuple(str(count) for count in (stage.asked, stage.distinct, stored, stage.missing))


def _difference(distinct: Span, missing: Span) -> Span:
    found = sorted((distinct.low - missing.low, distinct.high - missing.high))
    return Span(low=found[0], high=found[1])


def _shared(found: StudySurvey) -> str:
    asked = _sum(stage.asked for stage in found.stages)
    distinct = _sum(stage.distinct for stage in found.stages)
    of_trials = ", ".join(
        f"{stage.stage} {stage.shared} instead of {stage.alone}"
        for stage in found.stages
        if stage.alone.high
    )
    has_more = str(asked) != str(_sum(stage.alone for stage in found.stages))
    more = ", with baselines, the final refit and test" if has_more else ""
    return f"Shared by the trials: {of_trials}. In all {distinct} runs instead of {asked}{more}."


def _steps(stage: str, steps: StepSurvey) -> str:
    counted = (
        f"{steps.unit.capitalize()} of {stage}: {steps.alone} asked for, {steps.shared} distinct"
        f"{_times_less(steps.alone, steps.shared)}"
    )
    weighed = ""
    if (steps.weighed_alone, steps.weighed_shared) != (steps.alone, steps.shared):
        weighed = (
            f"; weighed by what each costs {steps.weighed_alone} and {steps.weighed_shared}"
            f"{_times_less(steps.weighed_alone, steps.weighed_shared)}"
        )
    why = "".join(
        f" Runs that differ in {steps.unit} share none of them: {reason}."
        for reason in steps.why_alone
    )
    missing = "" if steps.missing == steps.shared else f"; {steps.missing} to execute"
    return f"{counted}{weighed}{missing}.{why}"


def _times_less(asked: Span, distinct: Span) -> str:
    """Such as `, 3.3 times less`; of spans the least and the most that it can be."""
    if not distinct.low or asked == distinct:
        return ""
    found = sorted({asked.low / distinct.low, asked.high / distinct.high})
    return f", {'-'.join(f'{ratio:.1f}' for ratio in found)} times less"


def _sum(spans: Iterable[Span]) -> Span:
    found = list(spans)
    return Span(low=sum(span.low for span in found), high=sum(span.high for span in found))


def _cost(cost: Cost, found: StudySurvey) -> str:
    if not any(stage.missing.high for stage in found.stages):
        return "Cost: none, everything is stored."
    if cost.low_seconds is None or cost.high_seconds is None:
        stages = ", ".join(cost.unknown_stages)
        return f"Cost: no estimate, since no run of {stages} is stored yet."
    low, high = duration_text(cost.low_seconds), duration_text(cost.high_seconds)
    span = low if low == high else f"{low} to {high}"
    return f"Cost: about {span} of computing, one run after the other (from stored runs)."


def _disk(disk: Disk, found: StudySurvey) -> str:
    missing = [stage.stage for stage in found.stages if stage.missing.high]
    free = f"{size_text(disk.free_bytes)} free"
    if not missing:
        return f"Disk: nothing more, {free}."
    unknown = f"no run of {', '.join(disk.unknown_stages)} is stored yet"
    if disk.unknown_stages == tuple(missing):
        return f"Disk: no estimate, since {unknown}; {free}."
    low, high = size_text(disk.low_bytes), size_text(disk.high_bytes)
    span = low if low == high else f"{low} to {high}"
    besides = f", and what is unknown, since {unknown}" if disk.unknown_stages else ""
    return f"Disk: about {span} more{besides}; {free}."


def duration_text(seconds: float) -> str:
    """Such as `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
