"""Why an epoch is never trained twice: runs that are prefixes of one another have one trunk.

Runs that differ in their horizon alone, and whose way up to a branch point does not depend on it,
have one trunk. It ends at the largest branch point; each run branches off at its own and goes on
to its own end. A trunk's key leaves the horizon out and adds the step, so what was trained for a
shorter run is where a longer one begins, also in a later study.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.plan.key import Identity
from phasetune.plan.trial import Run, TrunkPoint
from phasetune.stage.contract import Fold, Milestone, Stage
from phasetune.study.parameters import Settings

StoredSteps = Callable[[str, str], Sequence[int]]
"""The steps at which a trunk is stored, by its stage and id."""


def nothing_stored(_stage: str, _trunk: str) -> Sequence[int]:
    """No trunk is stored."""
    return ()


def planned_run(
    identity: Identity,
    stage: Stage,
    model: BaseModel,
    params: Settings,
    *,
    seed: int,
    fold: Fold | None,
    parent: str | None,
) -> Run:
    """A run, with the trunk that it branches off where its stage says so.

    Raises:
        PlanError: the stage's milestone names no parameter, or a step outside of its run.
    """
    milestone = None if stage.milestone is None else stage.milestone(model)
    trunk, steps = None, 0
    if milestone is not None:
        steps = _horizon(stage, milestone, params)
        if milestone.branch_step and identity.alone is None:
            horizon, step = milestone.horizon, milestone.branch_step
            shared = identity.trunk(
                stage, params, horizon=horizon, seed=seed, fold=fold, parent=parent
            )
            trunk = TrunkPoint(id=shared, step=step)
    return Run(
        key=identity.key(stage, params, seed=seed, fold=fold, parent=parent),
        stage=stage.name,
        function=stage.function,
        params=params,
        seed=seed,
        fold=fold,
        parent=parent,
        milestone=milestone,
        steps=steps,
        trunk=trunk,
        uses_gpu=stage.uses_gpu,
    )


def _horizon(stage: Stage, milestone: Milestone, params: Settings) -> int:
    steps = params.get(f"{stage.name}.{milestone.horizon}")
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise PlanError(
            f"stage {stage.name!r}: its milestone's horizon must be a whole number among its "
            f"parameters, but {milestone.horizon!r} is {steps!r}"
        )
    if milestone.branch_step is not None and not 0 <= milestone.branch_step <= steps:
        raise PlanError(
            f"stage {stage.name!r}: its milestone must branch off between 0 and {steps}, but does "
            f"at {milestone.branch_step}"
        )
    return steps


def families(runs: Iterable[Run]) -> tuple[tuple[Run, ...], ...]:
    """Runs by trunk, each family from the first branch point to the last; others stand alone."""
    grouped: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.family].append(run)
    return tuple(tuple(sorted(family, key=_branch_order)) for family in grouped.values())


def _branch_order(run: Run) -> tuple[int, int]:
    return (0 if run.trunk is None else run.trunk.step, run.steps)


@dataclass(frozen=True, kw_only=True)
class StepCount:
    """Steps of a stage's runs; `cost` weighs each by what it costs beside the costliest."""

    steps: int = 0
    cost: float = 0.0


def steps_alone(runs: Iterable[Run], *, costliest: float) -> StepCount:
    """The steps that runs take, each by itself."""
    found = [(run.steps, _cost(run, costliest)) for run in runs]
    return StepCount(steps=sum(n for n, _ in found), cost=sum(n * cost for n, cost in found))


def steps_together(
    runs: Iterable[Run], *, costliest: float, stored: StoredSteps = nothing_stored
) -> StepCount:
    """The steps that distinct runs take together, from the trunks that are stored."""
    steps, cost = 0, 0.0
    for family in families(runs):
        at = 0
        for run in family:
            taken = run.steps
            if run.trunk is not None:
                begins = stored(run.stage, run.trunk.id)
                at = max([at, *(step for step in begins if step <= run.trunk.step)])
                taken = run.steps - at
                at = run.trunk.step
            steps, cost = steps + taken, cost + taken * _cost(run, costliest)
    return StepCount(steps=steps, cost=cost)


def _cost(run: Run, costliest: float) -> float:
    return 1.0 if run.milestone is None or not costliest else run.milestone.cost / costliest


def costliest_step(runs: Iterable[Run]) -> float:
    """What the costliest step of these runs costs, in the stage's own unit."""
    return max((run.milestone.cost for run in runs if run.milestone is not None), default=0.0)
