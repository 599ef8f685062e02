"""The section on how the numbers are to be read: what they are, and what they are not."""

from collections.abc import Mapping
from typing import Any

from phasetune.report.page.sections.blocks import Bullets, Section
from phasetune.report.page.sections.phase import replicates_words
from phasetune.report.page.statistics import share_of
from phasetune.study.schema import Study


def reading_section(study: Study, report: Mapping[str, Any]) -> Section:
    """What the numbers are, and what they are not; only of those that the report has."""
    test = (report["final"] or {}).get("test") or {}
    folds, seeds = study.replicates.folds, study.replicates.seeds
    texts = []
    if seeds * (folds or 1) > 1:
        texts.append(
            f"a ± b is the mean over {replicates_words(folds=folds, seeds=seeds)} and its standard "
            "error. It describes how much they vary; it is not a confidence interval."
        )
        texts.append(
            "Trials share folds and seeds, so they are compared pair by pair. Trials whose "
            "difference to the leader is within one standard error are within noise of it."
        )
        texts.append(_interval_note(folds))
    else:
        texts.append("Every setting was tried once, so nothing here tells noise from difference.")
    texts.append(_luck_note(study, is_tested=bool(test)))
    if any(share_of(name, test) for name in test):
        texts.append(
            "Intervals of accuracies on the test data are Wilson's 95% score intervals (Wilson "
            "1927): they say how exactly so many rows can tell, not how other data would come out."
        )
    return Section(
        anchor="reading", title="How to read the numbers", blocks=(Bullets(texts=tuple(texts)),)
    )


def _luck_note(study: Study, *, is_tested: bool) -> str:
    if study.objective.on == "test":
        return "Winners were chosen on the test data, so every score there is optimistic."
    luck = "The best of several settings looks better than it is, since luck is selected too."
    free = "The test data had no say in any choice, so the final test is free of that."
    return f"{luck} {free}" if is_tested else luck


def _interval_note(folds: int | None) -> str:
    if folds is None:
        return (
            "Intervals of differences are plain 95% paired t intervals over seeds: the held-out "
            "rows are the same for all seeds, so other data might say otherwise."
        )
    return (
        "Folds share most of their training rows, which makes plain t intervals too narrow "
        "(Bengio and Grandvalet 2004). Intervals of differences are corrected for that (Nadeau "
        "and Bengio 2003), so they are wider than the standard errors suggest."
    )
