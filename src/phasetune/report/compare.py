"""Trials side by side: where their parameters differ, what they scored, how they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from phasetune.errors import StudyError
from phasetune.report.conditions import column_named, rows_where
from phasetune.report.document import chosen_studies, kept_study
from phasetune.report.frames.columns import TEXT, TRIALS
from phasetune.report.frames.table import metric_columns, parameters_of, together
from phasetune.report.frames.trials import trials_frame
from phasetune.select.verdict import Standing
from phasetune.store.paths import ResultsPaths, results_as_typed, results_at
from phasetune.study.schema import Objective, Study

_ROOT = "results"
_GROUP = (_ROOT, "study", "phase")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The table; which of its columns are parameters and, each with its error, metrics.

    `num_trials` is how many there are before filtering.
    """

    table: pd.DataFrame
    parameters: tuple[str, ...]
    metrics: tuple[str, ...]
    num_trials: int


def compared(
    roots: Sequence[str | Path],
    *,
    study: str | None = None,
    sort_by: str | None = None,
    filters: Sequence[str] = (),
) -> Comparison:
    """The trials of the studies below results roots that all filters hold for.

    The best by the objective is first, what could not be judged last. `sort_by` names another
    column, the least of it first, or with a `-` before it the greatest.

    Raises:
        StoreError: a root holds no such study, or no trial has such a column.
        StudyError: a filter can't be read, or the studies have different objectives and `sort_by`
            is not given.
    """
    given = list({results_at(r).root: results_as_typed(r) for r in reversed(roots)}.values())[::-1]
    known = {
        (root.shown, paths.root.name): kept_study(paths)
        for root in given
        for paths in chosen_studies(root.root, study)
    }
    trials = _all_trials(given, study)
    rows = _filtered(trials, filters)
    left = dict.fromkeys(zip(rows[_ROOT], rows["study"], strict=True)) or list(known)[:1]
    studies = [known[whose] for whose in left]
    rows = _ranked(rows, _objective(studies)) if sort_by is None else _sorted(rows, sort_by)
    parameters = [name for name in parameters_of(trials) if rows[name].nunique(dropna=False) > 1]
    metrics = list(dict.fromkeys(_column(trials, name) for name in _metrics(studies)))
    columns = [
        *_whose(rows),
        *("phase", "trial"),
        *parameters,
        *(name for metric in metrics for name in (metric, f"{metric}_sem")),
        *([] if sort_by is None else [_sort_column(rows, sort_by)]),
        *("replicates_done", "standing", "is_winner"),
    ]
    return Comparison(
        table=rows.reindex(columns=list(dict.fromkeys(columns))).reset_index(drop=True),
        parameters=tuple(parameters),
        metrics=tuple(metrics),
        num_trials=len(trials),
    )


def _all_trials(roots: Sequence[ResultsPaths], study: str | None) -> pd.DataFrame:
    found = (trials_frame(root.root, study).assign(**{_ROOT: root.shown}) for root in roots)
    return together(found, {**TRIALS, _ROOT: TEXT})


def _filtered(trials: pd.DataFrame, filters: Sequence[str]) -> pd.DataFrame:
    """The rows that every filter holds for; each sees all trials, so that baselines are there."""
    holds = pd.Series(True, index=trials.index)
    for sentence in filters:
        holds &= rows_where(trials, sentence, group_by=_GROUP)
    return trials[holds]


def _objective(studies: Sequence[Study]) -> Objective:
    """The one objective of the studies, of which there is one at least."""
    by_text = {f"{o.mode} {o.metric}": o for o in (study.objective for study in studies)}
    if len(by_text) > 1:
        raise StudyError(
            f"the studies have different objectives ({', '.join(by_text)}), so none is best; "
            "say by which column to sort: --sort-by, or sort_by in Python"
        )
    return next(iter(by_text.values()))


def _ranked(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The best first; what could not be judged last; equal ones in the order of the file."""
    column = _column(trials, objective.metric)
    places = pd.DataFrame(index=trials.index)
    places["is_last"] = trials["standing"] == Standing.INELIGIBLE
    places["value"] = trials[column] if column in trials else float("nan")
    ascending = [True, objective.mode == "min"]
    ranked = places.sort_values(["is_last", "value"], ascending=ascending, kind="stable")
    return trials.loc[ranked.index]


def _sorted(trials: pd.DataFrame, sort_by: str) -> pd.DataFrame:
    column = _sort_column(trials, sort_by)
    return trials.sort_values(column, ascending=column == sort_by, kind="stable")


def _sort_column(trials: pd.DataFrame, sort_by: str) -> str:
    name = sort_by if sort_by in trials else sort_by.removeprefix("-")
    return str(column_named(trials, name, asked_by="sort").name)


def _metrics(studies: Sequence[Study]) -> list[str]:
    """Objectives, then what constraints are about."""
    objectives = [study.objective.metric for study in studies]
    return [*objectives, *(rule.metric for study in studies for rule in study.rules)]


def _column(trials: pd.DataFrame, metric: str) -> str:
    """The column of a metric, which may have the name of another column."""
    return metric_columns([metric], [*TRIALS, *parameters_of(trials)])[metric]


def _whose(trials: pd.DataFrame) -> list[str]:
    """The columns that tell whose a trial is, where there are several roots or studies."""
    several_roots = trials[_ROOT].nunique() > 1
    several_studies = trials["study"].nunique() > 1
    return [_ROOT] * several_roots + ["study"] * several_studies
