"""Runs that branch off one trunk: each ends as it would have ended alone, bit for bit."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from fit_tasks import Noisy, Scripted, fresh, training
from phasetune import Trunk
from phasetune.train.checkpoint import load_checkpoint, read_state
from phasetune.train.fit import fit
from phasetune.train.progress import Progress
from phasetune.train.settings import Training
from stage_context import Context

MakeTask = Callable[[], Noisy | Scripted]
WSD = {"schedule": "warmup_stable_decay", "warmup_steps": 4}
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {},
    "decaying": WSD,
    "step": {"schedule": "step", "step_epochs": 2, "step_factor": 0.5},
    "plateau": {"schedule": "plateau", "plateau_patience": 1, "min_delta": 0.05},
}
SAVING = {
    "save_every_n_epochs": 1,
    "keep_last": 2,
    "keep_epochs": (1, 4),
    "log_every_n_steps": 1,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that a fit leaves."""

    progress: Progress
    weights: dict[str, Any]
    rows: dict[int, dict[str, float]]
    kept: dict[str, Any]
    reasons: dict[str, list[str]]
    steps: str

    def assert_same(self, other: "Outcome") -> None:
        for name in ("weights", "kept"):
            torch.testing.assert_close(vars(self)[name], vars(other)[name], rtol=0.0, atol=0.0)
        for name in ("progress", "rows", "reasons", "steps"):
            assert vars(self)[name] == vars(other)[name]


def outcome(task: Noisy | Scripted, ctx: Context, progress: Progress | None) -> Outcome:
    assert progress is not None
    kept = {path.name: path for path in sorted(ctx.checkpoints.iterdir())}
    loaded = {name: load_checkpoint(path) for name, path in kept.items()}
    steps = ctx.output / "steps.csv"
    return Outcome(
        progress=progress,
        weights=task.model.state_dict(),
        rows=ctx.by_step,
        kept={name: one.state for name, one in loaded.items()},
        reasons={name: one.meta["kept_as"] for name, one in loaded.items()},
        steps=steps.read_text() if steps.exists() else "",
    )


class Family:
    """Runs of one task that differ in their horizon."""

    def __init__(self, folder: Path, make: MakeTask, **given: Any) -> None:
        self._folder, self._make, self._given = folder, make, given
        self._count = 0

    def alone(self, asked: Training) -> Outcome:
        task, ctx = self._make(), self._context()
        return outcome(task, ctx, fit(task, ctx, asked))

    def together(
        self,
        runs: Sequence[Training],
        *,
        stops: Sequence[int] = (),
        branch_stops: Sequence[int] = (),
    ) -> list[Outcome]:
        """Each from its branch point on, to which the trunk goes on from the one before.

        Each trunk is cut at `stops`, each branch at `branch_stops`, counted in askings.
        """
        found, begins, rows = [], None, dict[int, dict[str, float]]()
        for asked in runs:
            begins, rows = self.trunk(asked, begins, rows, stops=stops)
            task, ctx, progress = self._called(asked, Trunk(begins=begins), rows, stops)
            found.append(outcome(task, ctx, progress))
        return found

    def trunk(
        self,
        asked: Training,
        begins: Path | None,
        rows: dict[int, dict[str, float]],
        *,
        stops: Sequence[int] = (),
    ) -> tuple[Path, dict[int, dict[str, float]]]:
        """Its folder, and its history."""
        milestone = asked.milestone()
        assert milestone is not None
        assert milestone.branch_step is not None
        until = Trunk(begins=begins, until=milestone.branch_step)
        _, ctx, progress = self._called(asked, until, rows, stops)
        assert progress is None
        return ctx.output, ctx.by_step

    def _called(
        self,
        asked: Training,
        trunk: Trunk,
        rows: dict[int, dict[str, float]],
        stops: Sequence[int],
    ) -> tuple[Noisy | Scripted, Context, Progress | None]:
        resumed: Path | None = None
        for stop_at in stops:
            ctx = self._context(trunk=trunk, resumed=resumed, stop_at=stop_at)
            if fit(self._make(), ctx, asked) is not None or any(ctx.output.iterdir()):
                break
            rows, resumed = {**rows, **ctx.by_step}, ctx.checkpoint
        task, ctx = self._make(), self._context(trunk=trunk, resumed=resumed)
        progress = fit(task, ctx, asked)
        ctx.by_step = {**rows, **ctx.by_step}
        return task, ctx, progress

    def _context(self, **given: Any) -> Context:
        self._count += 1
        return Context(output=self._folder / f"{self._count}", **self._given, **given)


def runs_of(*epochs: int, **changes: Any) -> list[Training]:
    return [training(epochs=count, **changes) for count in epochs]


def assert_alone_and_together_are_one(
    family: Family, runs: Sequence[Training], *, stops: Sequence[int] = ()
) -> list[Outcome]:
    found = family.together(runs, stops=stops)
    for asked, one in zip(runs, found, strict=True):
        one.assert_same(family.alone(asked))
    return found


by_schedule = pytest.mark.parametrize("changes", SCHEDULES.values(), ids=list(SCHEDULES))


@by_schedule
@pytest.mark.parametrize("stops", [[], [6, 1]], ids=str)
def test_each_run_ends_as_alone(changes: dict[str, Any], stops: list[int], tmp_path: Path) -> None:
    """The trunk goes on twice; with `stops` each part of it, and each branch, is cut."""
    family = Family(tmp_path, fresh)
    runs = runs_of(3, 5, 8, **changes)
    found = assert_alone_and_together_are_one(family, runs, stops=stops)
    assert [one.progress.epoch for one in found] == [3, 5, 8]


@pytest.mark.parametrize(
    ("schedule", "also", "given"),
    [
        ("decaying", {"accumulate": 2}, {}),
        ("constant", {"validate_every_n_epochs": 2}, {}),
        ("step", {"validate_every_n_epochs": 3}, {}),
        ("plateau", {"validate_every_n_epochs": 2, "accumulate": 3}, {}),
        ("decaying", {"validate_every_n_epochs": 3, "patience": 1}, {}),
        ("decaying", SAVING, {}),
        ("constant", SAVING, {}),
        ("plateau", {}, {"precision": "bf16"}),
        ("decaying", {}, {"precision": "fp16"}),
    ],
    ids=str,
)
def test_whatever_else_is_asked_for(
    schedule: str, also: dict[str, Any], given: dict[str, Any], tmp_path: Path
) -> None:
    family = Family(tmp_path, fresh, **given)
    runs = runs_of(3, 5, 6, **SCHEDULES[schedule], **also)
    assert_alone_and_together_are_one(family, runs, stops=[5])


@pytest.mark.parametrize(
    ("optimizer", "precision"), [("sgd", "fp32"), ("sgd", "fp16"), ("adam", "fp32")]
)
def test_with_each_optimizer(optimizer: str, precision: str, tmp_path: Path) -> None:
    family = Family(tmp_path, lambda: fresh(optimizer=optimizer), precision=precision)
    assert_alone_and_together_are_one(family, runs_of(3, 5, **WSD), stops=[3])


UP = [3.0, 2.0, 1.0, 1.5, 1.5, 1.5, 0.5, 1.5, 1.5, 1.5, 1.5, 1.5]


@pytest.mark.parametrize(
    ("changes", "epochs", "ended"),
    [
        ({"patience": 3}, (2, 3, 6, 9, 12), (2, 3, 6, 6, 6)),
        ({"patience": 2}, (4, 5, 12), (4, 5, 5)),
        ({"patience": 4}, (6, 8, 12), (6, 8, 11)),
        ({"patience": 2, **WSD}, (5, 6, 10), (5, 5, 5)),
        ({"patience": 3, **WSD}, (5, 7, 12), (5, 6, 6)),
        ({"patience": 4, **WSD}, (8, 12), (8, 11)),
        ({"patience": 1, "validate_every_n_epochs": 3}, (4, 7, 12), (4, 6, 6)),
        ({"patience": 3, "schedule": "plateau", "plateau_patience": 1}, (4, 8, 12), (4, 6, 6)),
    ],
    ids=str,
)
def test_early_stopping_before_and_after_the_branch_point(
    changes: dict[str, Any],
    epochs: tuple[int, ...],
    ended: tuple[int, ...],
    tmp_path: Path,
) -> None:
    """Where the trunk stops early, what branches off later is its best, as it is alone."""
    family = Family(tmp_path, lambda: zeroed(Scripted(val=UP, num_rows=9)))
    runs = runs_of(*epochs, **changes)
    found = assert_alone_and_together_are_one(family, runs, stops=[3])
    assert tuple(one.progress.epoch for one in found) == ended


def zeroed(task: Scripted) -> Scripted:
    torch.nn.init.zeros_(next(task.model.parameters()).data)
    return task


def test_patience_that_begins_later_is_that_of_a_run_alone(tmp_path: Path) -> None:
    task, whole = fresh(), fresh()
    asked = training(epochs=9, patience=2, min_delta=10.0)
    trunk, ctx = Context(output=tmp_path / "trunk"), Context(output=tmp_path / "on")
    trunk.trunk = Trunk(begins=None, until=5)
    assert fit(fresh(), trunk, asked, patience_from=5) is None
    ctx.trunk = Trunk(begins=trunk.output)
    progress = fit(task, ctx, asked, patience_from=5)
    alone = fit(whole, Context(output=tmp_path / "alone"), asked, patience_from=5)
    assert progress == alone
    assert progress is not None
    assert progress.epoch == 7


@pytest.mark.parametrize("changes", [SCHEDULES["decaying"], SCHEDULES["plateau"]])
def test_the_bits_of_a_trunk_do_not_depend_on_where_it_was_cut(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    short, middle, long = runs_of(3, 5, 8, **changes, **SAVING)
    family = Family(tmp_path, fresh)
    straight, rows = family.trunk(long, None, {})
    begins, found = None, dict[int, dict[str, float]]()
    for asked in (short, middle, long):
        begins, found = family.trunk(asked, begins, found, stops=[4])
    assert begins is not None
    assert found == rows
    states = [read_state(folder) for folder in (straight, begins)]
    for state in states:
        assert state["sums"] is state["generators"] is None
        state["progress"] = {**state["progress"], "seconds": 0.0}
        state["parts"] = float(state["parts"])
    torch.testing.assert_close(*states, rtol=0.0, atol=0.0, equal_nan=True)


def test_a_trunk_leaves_its_whole_state_and_no_model(tmp_path: Path) -> None:
    ctx = Context(output=tmp_path / "out", trunk=Trunk(begins=None, until=6))
    assert fit(fresh(), ctx, training(epochs=8, **WSD, **SAVING)) is None
    assert sorted(path.name for path in ctx.output.iterdir()) == ["kept", "meta.json", "state.pt"]
    assert json.loads((ctx.output / "meta.json").read_text())["epoch"] == 6
    assert list(ctx.by_step) == list(range(1, 7))
    assert list(ctx.checkpoints.iterdir()) == []  # they are in the output, once


@pytest.mark.parametrize("until", [8, None], ids=["the trunk", "a branch"])
def test_after_a_cut_it_goes_on_from_there_and_not_from_where_the_trunk_begins(
    until: int | None, tmp_path: Path
) -> None:
    asked = training(epochs=9)
    first = Context(output=tmp_path / "first", trunk=Trunk(begins=None, until=2))
    assert fit(fresh(), first, asked) is None
    trunk = Trunk(begins=first.output, until=until)
    cut = Context(output=tmp_path / "cut", trunk=trunk, stop_in=6)
    assert fit(fresh(), cut, asked) is None
    on = Context(output=tmp_path / "on", trunk=trunk, resumed=cut.checkpoint)
    fit(fresh(), on, asked)
    assert (min(cut.by_step), min(on.by_step), max(on.by_step)) == (3, 6, until or 9)


def test_without_sharing_the_decay_of_a_short_run_would_show(tmp_path: Path) -> None:
    """So that the tests above can fail: the same epochs under another horizon differ."""
    family = Family(tmp_path, fresh)
    outcomes = [family.alone(asked) for asked in runs_of(3, 5, 8, **WSD)]
    for one, other in pairwise(outcomes):
        last = one.progress.epoch
        assert one.rows[last] != other.rows[last]
