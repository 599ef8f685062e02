"""What trials have in common, as a tree: each distinct run between its parent and its trials."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from phasetune.report.figures.record import FiguredStudy, PlannedTrial, RunId
from phasetune.report.figures.style import counted

MOST_ROWS = 60
_COLUMNS = ("column", "stage", "node", "parent", "rows", "runs", "trials", "asked", "is_common")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A line at the right of the tree: a trial, or several that would be drawn alike."""

    phase: str
    is_winner: bool
    trials: tuple[PlannedTrial, ...]


def sharing_tree(study: FiguredStudy) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Nodes and rows of the tree.

    A node is the distinct runs of a stage that have one parent and are used by the same rows:
    `runs` of them, for so many `trials`, which would take `asked` runs if each ran by itself; they
    are `is_common` where each of these trials uses all of them. A row is a trial; of more than 60,
    trials of a phase that share what comes before their last stage are one row, then those of a
    phase, then all.
    """
    rows = _rows(study.trials)
    nodes = _nodes(rows)
    return nodes, pd.DataFrame(
        [
            (row.phase, _row_name(row, index, nodes), row.is_winner, len(row.trials))
            for index, row in enumerate(rows)
        ],
        columns=["phase", "name", "is_winner", "trials"],
    )


def _row_name(row: _Row, index: int, nodes: pd.DataFrame) -> str:
    """Of several trials also whether the runs that not all of them use are their own."""
    if len(row.trials) == 1:
        return row.trials[0].name
    apart = nodes[nodes["rows"].map(lambda rows: index in rows) & ~nodes["is_common"].astype(bool)]
    is_own = len(apart) > 0 and bool((apart["asked"] == apart["runs"]).all())
    return counted(len(row.trials), "trial") + (", runs of their own" if is_own else "")


def _rows(trials: Sequence[PlannedTrial]) -> list[_Row]:
    """As many rows as can be read, by the first way to join trials that gives so few."""
    ways = (
        [(trial.phase, trial.name) for trial in trials],
        [(trial.phase, trial.is_winner, _shared_part(trial)) for trial in trials],
        [(trial.phase, trial.is_winner) for trial in trials],
        [None for _ in trials],
    )
    for way in ways:
        joined: dict[object, list[PlannedTrial]] = defaultdict(list)
        for trial, key in zip(trials, way, strict=True):
            joined[key].append(trial)
        if len(joined) <= MOST_ROWS:
            break
    return [_row(together) for together in joined.values()]


def _shared_part(trial: PlannedTrial) -> frozenset[RunId]:
    return frozenset(run.id for chain in trial.chains for run in chain[:-1])


def _row(trials: Sequence[PlannedTrial]) -> _Row:
    phases = list(dict.fromkeys(trial.phase for trial in trials))
    return _Row(
        phase=phases[0] if len(phases) == 1 else counted(len(phases), "phase"),
        is_winner=all(trial.is_winner for trial in trials),
        trials=tuple(trials),
    )


@dataclass(kw_only=True)
class _Use:
    """Where a distinct run stands in its chains, and who uses it."""

    column: int
    parent: RunId | None
    rows: set[int] = field(default_factory=set)
    trials: set[tuple[str, str]] = field(default_factory=set)


def _uses(rows: Sequence[_Row]) -> dict[RunId, _Use]:
    """Each distinct run, parents before children."""
    found: dict[RunId, _Use] = {}
    for index, row in enumerate(rows):
        for trial in row.trials:
            for chain in trial.chains:
                for column, run in enumerate(chain):
                    parent = chain[column - 1].id if column else None
                    use = found.setdefault(run.id, _Use(column=column, parent=parent))
                    use.rows.add(index)
                    use.trials.add((trial.phase, trial.name))
    return dict(sorted(found.items(), key=lambda item: item[1].column))


def _nodes(rows: Sequence[_Row]) -> pd.DataFrame:
    """Runs that have one stage, one parent node and the same rows are one node."""
    numbers: dict[tuple[object, ...], int] = {}
    node_of: dict[RunId | None, int] = {None: -1}
    members: dict[int, list[_Use]] = defaultdict(list)
    about: dict[int, tuple[str, int]] = {}
    for run, use in _uses(rows).items():
        parent = node_of[use.parent]
        node = numbers.setdefault((run[0], parent, frozenset(use.rows)), len(numbers))
        node_of[run], about[node] = node, (run[0], parent)
        members[node].append(use)
    nodes = [
        {"stage": about[node][0], "node": node, "parent": about[node][1], **_counts(uses)}
        for node, uses in members.items()
    ]
    return pd.DataFrame(nodes, columns=list(_COLUMNS))


def _counts(uses: Sequence[_Use]) -> dict[str, object]:
    """Of the runs of one node."""
    trials = len(set.union(*(use.trials for use in uses)))
    asked = sum(len(use.trials) for use in uses)
    return {
        "column": uses[0].column,
        "rows": sorted(uses[0].rows),
        "runs": len(uses),
        "trials": trials,
        "asked": asked,
        "is_common": asked == trials * len(uses),
    }


def run_counts_text(nodes: pd.DataFrame) -> str:
    """`4 runs, not 10`, or `10 runs` where none is shared."""
    runs, asked = int(nodes["runs"].sum()), int(nodes["asked"].sum())
    return counted(runs, "run") + (f", not {asked:,}" if asked > runs else "")
