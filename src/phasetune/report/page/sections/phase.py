"""The section of a phase: the decision in words, how sure it is, the figure, the numbers."""

import statistics
from collections.abc import Iterator

from phasetune.report.analysis import standing_sentences
from phasetune.report.numbers import number_text
from phasetune.report.page.sections.blocks import (
    Block,
    Bullets,
    FigurePlace,
    Paragraph,
    Section,
    count_text,
    listing,
)
from phasetune.report.page.sections.records import Record, candidates, lead_interval
from phasetune.report.page.sections.trials import trial_tables
from phasetune.report.page.statistics import expected_best_of, noise_of
from phasetune.select.words import decision_sentences

_MOST_REASONS = 3


def phase_section(record: Record, *, position: str, folds: int | None, seeds: int) -> Section:
    """Words first, then the figure, then the numbers."""
    names, (first, *more) = _told_names(record), decision_sentences(record)
    sentences = (*more, *_surety_sentences(record, folds=folds, seeds=seeds))
    lists = (Bullets(texts=sentences, names=names), Bullets(texts=_reasons(record)))
    blocks: tuple[Block, ...] = (
        Paragraph(text=first, is_lead=True, names=names),
        *(bullets for bullets in lists if bullets.texts),
        FigurePlace(kind="phase", phase=record["phase"]),
        *trial_tables(record),
    )
    return Section(
        anchor=f"phase-{record['phase']}", title=record["phase"], kicker=position, blocks=blocks
    )


def _surety_sentences(record: Record, *, folds: int | None, seeds: int) -> Iterator[str]:
    if record["runner_up"] is None:
        return
    interval = lead_interval(record, folds=folds)
    if interval is not None:
        low, high = number_text(interval.low), number_text(interval.high)
        verdict = (
            "it includes zero, so the order of these two is not settled"
            if interval.holds(0.0)
            else "zero is outside, so the lead is not explained by noise"
        )
        yield (
            f"Paired over the same {replicates_words(folds=folds, seeds=seeds)}, the 95% interval "
            f"of that difference is {low} to {high}: {verdict}."
        )
    gain = _gain_by_luck(record)
    if gain is not None:
        yield (
            f"{_compared_words(record)} they all equally good, the best of them would be expected "
            f"to look {number_text(gain)} better than it is, by luck alone."
        )


def _compared_words(record: Record) -> str:
    """How many settings were compared, of how many that were tried."""
    standings = [trial["standing"] for trial in candidates(record)]
    compared = standings.count("feasible")
    if compared == len(standings):
        return f"{compared} settings were compared. Were"
    could = ["could be judged"] if "ineligible" in standings else []
    could += ["met the constraints"] if "infeasible" in standings else []
    return f"{compared} of the {len(standings)} settings {listing(could)}; were"


def replicates_words(*, folds: int | None, seeds: int) -> str:
    """`5 folds`, `3 seeds`, `5 folds with 3 seeds each`."""
    if folds is None:
        return count_text(seeds, "seed")
    return f"{folds} folds" if seeds == 1 else f"{folds} folds with {seeds} seeds each"


def _gain_by_luck(record: Record) -> float | None:
    """Noise of one setting beyond what all share, times what the best of so many is ahead by luck.

    A paired difference has the noise of two settings, so that of one is its error over root two.
    """
    feasible = [trial for trial in candidates(record) if trial["standing"] == "feasible"]
    behind = [trial["behind_leader"] for trial in feasible if trial["behind_leader"] is not None]
    errors = [noise_of([float(value) for value in found["values"]]) for found in behind]
    if not any(errors):
        return None
    return expected_best_of(len(feasible)) * statistics.median(errors) / 2**0.5


def _reasons(record: Record) -> tuple[str, ...]:
    """Who was infeasible or ineligible, and by how much; the first few."""
    told = tuple(standing_sentences(record))
    more = len(told) - _MOST_REASONS
    if more <= 0:
        return told
    return (*told[:_MOST_REASONS], f"{count_text(more, 'more trial')} could not win either.")


def _told_names(record: Record) -> tuple[str, ...]:
    told = (record["winner"], record["leader"], record["runner_up"], record["closest"])
    return tuple(dict.fromkeys(name for name in (*told, *record["ties"]) if name is not None))
