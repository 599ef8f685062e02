"""Why equal runs vanish before anything starts.

Four trials that differ only in a fine-tuning parameter have four chains `pretrain -> finetune`,
and four equal first links: the key of a run says what it computes, not who asked for it. So a
phase's distinct runs are a set by key, and a run that the store holds already, from an earlier
phase, an earlier study or an interrupted attempt, is not in any wave.

A wave is what can run at once: runs that need nothing from each other. A run whose parent is
stored is in the first one. Runs of one trunk come one after the other, as one process executes
them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from phasetune.plan.milestones import families
from phasetune.plan.trial import Run, Trial


@dataclass(frozen=True, kw_only=True)
class StageSharing:
    """How many runs of a stage trials take, each by itself, and how many distinct ones that is."""

    stage: str
    asked: int
    distinct: int


def distinct_runs(trials: Iterable[Trial]) -> tuple[Run, ...]:
    """Each run once, parents before children, in the order in which trials ask for them."""
    return tuple({run.key: run for trial in trials for run in trial.runs}.values())


def waves(runs: Sequence[Run], is_done: Callable[[Run], bool]) -> tuple[tuple[Run, ...], ...]:
    """The runs that are not done, grouped by how many of their ancestors are not done either."""
    depth: dict[str, int] = {}
    grouped: dict[int, list[Run]] = {}
    for run in runs:
        if is_done(run):
            continue
        own = depth[run.parent] + 1 if run.parent in depth else 0
        depth[run.key] = own
        grouped.setdefault(own, []).append(run)
    return tuple(_in_families(grouped[level]) for level in sorted(grouped))


def _in_families(runs: Sequence[Run]) -> tuple[Run, ...]:
    return tuple(run for family in families(runs) for run in family)


def sharing(trials: Sequence[Trial]) -> tuple[StageSharing, ...]:
    """Per stage, in the order of the chain, what was asked for and what is distinct."""
    asked = Counter(run.stage for trial in trials for run in trial.runs_alone)
    distinct = Counter(run.stage for run in distinct_runs(trials))
    return tuple(
        StageSharing(stage=stage, asked=count, distinct=distinct[stage])
        for stage, count in asked.items()
    )
