"""The section of the final model: what it scored on the test data, class by class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phasetune.report.analysis import test_heading
from phasetune.report.numbers import number_text
from phasetune.report.page.sections.blocks import (
    Block,
    Column,
    FigurePlace,
    Paragraph,
    Row,
    Section,
    Table,
)
from phasetune.report.page.statistics import Interval, confusion_counts, share_of
from phasetune.select.words import short_value_text

_TOLD = (
    "accuracy",
    "worst_class_accuracy",
    "macro_f1",
    "macro_precision",
    "macro_recall",
    "auroc",
    "log_loss",
)

Report = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Score:
    """The objective on the test data beside what validation promised, for the top of a page."""

    metric: str
    heading: str
    test: float
    interval: Interval | None
    words: str
    validation: float | None
    validation_words: str


def score_of(report: Report) -> Score | None:
    """The final test's score; None where there is none."""
    final, metric = report["final"], report["study"]["objective"]["metric"]
    test = None if final is None else final["test"]
    if not test or metric not in test:
        return None
    share, promised = share_of(metric, test), _validation(report).get(metric)
    words = "no interval: the test reports no counts for it"
    if share is not None:
        words = f"{_interval_text(share.interval)} (95%, Wilson), {share.hits} of {share.count}"
    return Score(
        metric=metric,
        heading=test_heading(report),
        test=float(test[metric]),
        interval=None if share is None else share.interval,
        words=words,
        validation=None if promised is None else float(promised["mean"]),
        validation_words="" if promised is None else short_value_text(promised),
    )


def final_section(report: Report) -> Section | None:
    """The final model; None where the study asks for none, or its time has not come."""
    final = report["final"]
    if final is None:
        return None
    blocks: list[Block] = []
    if final["state"] != "done":
        blocks.append(Paragraph(text=f"The final model failed: {final['reason']}", is_lead=True))
    elif not final["test"]:
        blocks.append(Paragraph(text="The final model was not tested.", is_lead=True))
    else:
        blocks += _tested(report, final["test"])
    return Section(
        anchor="final", title="Final model", kicker="After the phases", blocks=tuple(blocks)
    )


def _tested(report: Report, test: Mapping[str, Any]) -> list[Block]:
    score = score_of(report)
    blocks: list[Block] = []
    if score is not None:
        told = f"{score.metric} {number_text(score.test)}, {score.words}"
        blocks.append(Paragraph(text=f"{score.heading}: {told}.", is_lead=True))
    blocks += [FigurePlace(kind="confusion"), _test_table(report, test)]
    per_class = _class_table(test)
    return blocks if per_class is None else [*blocks, per_class]


def _test_table(report: Report, test: Mapping[str, Any]) -> Table:
    study, promised = report["study"], _validation(report)
    constrained = [text.split()[0] for text in study["constraints"]]
    names = dict.fromkeys([study["objective"]["metric"], *constrained, *_TOLD])
    told = [name for name in names if name in test] or sorted(test)
    return Table(
        title="The final model, in validation and on the test data",
        columns=(
            Column(title="Metric"),
            Column(title="Validation", is_number=True),
            Column(title="Test", is_number=True),
            Column(title="95% interval", is_number=True),
        ),
        rows=tuple(
            Row(
                cells=(
                    name,
                    short_value_text(promised[name]) if name in promised else "",
                    number_text(float(test[name])),
                    _share_text(name, test),
                )
            )
            for name in told
        ),
    )


def _class_table(test: Mapping[str, Any]) -> Table | None:
    counts = confusion_counts(test)
    if counts is None:
        return None
    return Table(
        title="The final model, class by class, on the test data",
        columns=(
            Column(title="Class"),
            Column(title="Rows", is_number=True),
            Column(title="Found (recall)", is_number=True),
            Column(title="95% interval", is_number=True),
            Column(title="Right when named (precision)", is_number=True),
            Column(title="F1", is_number=True),
        ),
        rows=tuple(
            Row(
                cells=(
                    str(k),
                    str(sum(row)),
                    _metric_text(f"class_{k}_recall", test),
                    _share_text(f"class_{k}_recall", test),
                    _metric_text(f"class_{k}_precision", test),
                    _metric_text(f"class_{k}_f1", test),
                )
            )
            for k, row in enumerate(counts)
        ),
    )


def _validation(report: Report) -> Mapping[str, Any]:
    recommended = report["final_recommendation"]
    return {} if recommended is None else recommended["validation"] or {}


def _metric_text(name: str, test: Mapping[str, Any]) -> str:
    return number_text(float(test[name])) if name in test else ""


def _share_text(name: str, test: Mapping[str, Any]) -> str:
    share = share_of(name, test)
    return "" if share is None else _interval_text(share.interval)


def _interval_text(interval: Interval) -> str:
    return f"{number_text(interval.low)} to {number_text(interval.high)}"
