"""From a study and the settings carried so far to the trials of a phase.

Every trial becomes chains of runs, one per replicate. What two trials share needs no mechanism of
its own: stages that read no labelled data do not depend on the replicate, and a stage's key does
not depend on the parameters of later stages, so equal work has equal keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from phasetune.errors import PlanError
from phasetune.plan.key import Identity
from phasetune.plan.milestones import planned_run
from phasetune.plan.names import BASELINE_NAME, trial_names
from phasetune.plan.points import count_points, points_of, refuse_equal
from phasetune.plan.trial import PhasePlan, Replicate, Run, Trial
from phasetune.stage.canonical import canonical_json
from phasetune.stage.contract import Fold, Stage
from phasetune.stage.seeds import derived_seed
from phasetune.study.load import LoadedStudy
from phasetune.study.parameters import Settings, flatten, nest, set_parameter, typed_settings
from phasetune.study.schema import FINAL, Phase, Point

LARGE = 10_000
LARGEST = 100_000
HOLD_OUT_OF = 5


@dataclass(frozen=True, kw_only=True)
class _TypedStage:
    """A stage with its parameters; `text` says both."""

    stage: Stage
    text: str
    model: BaseModel
    params: Settings


class Planner:
    """Plans phases of one study; remembers typed parameters and runs it has seen.

    Without `shares` each trial has runs of its own, and none has milestones.
    """

    def __init__(
        self, loaded: LoadedStudy, fingerprints: Mapping[str, str], *, shares: bool = True
    ) -> None:
        self.study = loaded.study
        self.workload = loaded.workload
        self._data = loaded.data
        self._shares = shares
        self._identity = Identity(
            code=loaded.workload.code, numerics=loaded.study.numerics, fingerprints=fingerprints
        )
        self._typed_stages: dict[str, _TypedStage] = {}
        self._runs: dict[tuple[object, ...], Run] = {}
        self._phase_of_trial: dict[str, str] = {FINAL: FINAL}
        self._refuse_too_large()

    @property
    def repetitions(self) -> int:
        """How many replicates each trial has."""
        replicates = self.study.replicates
        return replicates.seeds * (replicates.folds or 1) if self.workload.replicated else 1

    def base_settings(self) -> Settings:
        """The study's own parameters before any phase: complete, or as far as they are given."""
        given = {
            f"{stage}.{name}": value
            for stage, params in self.study.params.items()
            for name, value in params.items()
        }
        try:
            return self._settings(given, {})
        except PlanError:
            return given

    def phase(self, index: int, carried: Settings) -> PhasePlan:
        """The trials of a phase around what was carried into it.

        Raises:
            PlanError: a trial's parameters or name are not allowed, or two trials are the same.
        """
        phase = self.study.phases[index]
        points = points_of(phase)
        trials = self._trials(phase, points, [self._settings(carried, p.params) for p in points])
        return PhasePlan(
            index=index,
            name=phase.name,
            carried=carried,
            trials=trials,
            baseline=self._baseline(phase, trials, carried),
        )

    def check(self) -> None:
        """Plan all phases, as if the first point of each won, so that mistakes show at once.

        Raises:
            PlanError: as for `phase`.
        """
        self.final(self.first_settings()[-1])

    def first_settings(self) -> list[Settings]:
        """The settings of all trials as if the first point of each phase won; last, its winner's.

        Raises:
            PlanError: as for `phase`.
        """
        carried, found = self.base_settings(), list[Settings]()
        for index in range(len(self.study.phases)):
            plan = self.phase(index, carried)
            found += [trial.settings for trial in plan.all_trials]
            carried = plan.trials[0].settings
        return [*found, carried]

    def final(self, winner: Settings) -> Trial | None:
        """The last winner, refitted on all training data and tested once; None if neither."""
        final = self.study.final
        tested = self.workload.test_stages if final.test else ()
        if not final.refit and not tested:
            return None
        seed_index, fold = (0, None) if final.refit else self._repetitions()[0]
        stages = (*self.workload.training_stages, *tested)
        chain = self._typed_chain(stages, winner)
        replicate = self._replicate(chain, name=FINAL, seed_index=seed_index, fold=fold)
        return Trial(name=FINAL, phase=FINAL, point={}, settings=winner, replicates=(replicate,))

    def _settings(self, carried: Settings, point: Mapping[str, Any]) -> Settings:
        nested = nest(carried)
        for name, value in point.items():
            set_parameter(nested, name, value)
        settings: dict[str, Any] = {}
        for stage in self.workload.stages:
            settings |= self._typed(stage, nested.get(stage.name, {})).params
        return settings

    def _typed(self, stage: Stage, values: Mapping[str, Any]) -> _TypedStage:
        text = f"{stage.name} {canonical_json(values, where=stage.name)}"
        if text not in self._typed_stages:
            flat = {f"{stage.name}.{name}": value for name, value in values.items()}
            model = typed_settings([stage], flat)
            self._typed_stages[text] = _TypedStage(
                stage=stage, text=text, model=model[stage.name], params=flatten(model)
            )
        return self._typed_stages[text]

    def _typed_chain(self, stages: Iterable[Stage], settings: Settings) -> list[_TypedStage]:
        nested = nest(settings)
        return [self._typed(stage, nested.get(stage.name, {})) for stage in stages]

    def _trials(
        self, phase: Phase, points: Sequence[Point], settings: Sequence[Settings]
    ) -> tuple[Trial, ...]:
        refuse_equal(phase, settings)
        names = trial_names(phase, points, settings)
        self._refuse_taken_names(phase, names)
        self._refuse_against_rules(names, settings)
        return tuple(
            self._trial(name, phase.name, point, setting)
            for name, point, setting in zip(names, points, settings, strict=True)
        )

    def _trial(self, name: str, phase: str, point: Point, settings: Settings) -> Trial:
        chain = self._typed_chain(self._scored_stages(), settings)
        return Trial(
            name=name,
            phase=phase,
            point={key: settings.get(key, value) for key, value in point.params.items()},
            settings=settings,
            replicates=tuple(
                self._replicate(chain, name=name, seed_index=seed_index, fold=fold)
                for seed_index, fold in self._repetitions()
            ),
            note=point.note,
            expect=point.expect,
        )

    def _baseline(self, phase: Phase, trials: Sequence[Trial], carried: Settings) -> Trial | None:
        """The study's fixed baseline, else (where it is needed) what was carried in."""
        explicit = self.study.baseline
        if not self.study.needs_baseline:
            return None
        around, params = (carried, {}) if explicit is None else (self.base_settings(), explicit)
        settings = self._baseline_settings(around, params)
        for trial in trials:
            if trial.settings == settings:
                return trial
        self._refuse_against_rules([BASELINE_NAME], [settings])
        name = f"{phase.name}-{BASELINE_NAME}"
        if any(trial.name == name for trial in trials):
            raise PlanError(
                f"phases.{phase.name}.trial_name: {name!r} is the baseline's name; use another"
            )
        self._refuse_taken_names(phase, [name])
        return self._trial(name, phase.name, Point(params=dict(params)), settings)

    def _baseline_settings(self, around: Settings, params: Mapping[str, Any]) -> Settings:
        try:
            return self._settings(around, params)
        except PlanError as error:
            raise PlanError([f"baseline: {problem}" for problem in error.problems]) from error

    def _refuse_taken_names(self, phase: Phase, names: Sequence[str]) -> None:
        """People find a trial by its name alone, so no two phases may share one."""
        for name in names:
            other = self._phase_of_trial.setdefault(name, phase.name)
            if other != phase.name:
                raise PlanError(
                    f"phases.{phase.name}.trial_name: gives {name!r}, which is a trial of {other}; "
                    "put the phase into the name"
                )

    def _refuse_against_rules(self, names: Sequence[str], settings: Sequence[Settings]) -> None:
        problems = list(self._rule_problems(names, settings))
        if problems:
            raise PlanError(problems)

    def _rule_problems(self, names: Sequence[str], settings: Sequence[Settings]) -> Iterable[str]:
        """What the workload's own rules across stages say of each setting."""
        if self.workload.check is None:
            return
        for name, setting in zip(names, settings, strict=True):
            chain = self._typed_chain(self.workload.stages, setting)
            models = {typed.stage.name: typed.model for typed in chain}
            for problem in self.workload.check(models, self._data):
                yield f"trial {name}: {problem}"

    def _scored_stages(self) -> tuple[Stage, ...]:
        on_test = self.study.objective.on == "test"
        return self.workload.stages if on_test else self.workload.training_stages

    def _repetitions(self) -> list[tuple[int, Fold | None]]:
        """Seeds times folds, the same for every trial, so that differences are paired."""
        seeds = range(self.study.replicates.seeds if self.workload.replicated else 1)
        return [(seed, fold) for seed in seeds for fold in self._folds()]

    def _folds(self) -> list[Fold | None]:
        count = self.study.replicates.folds
        if not self.workload.replicated or (count is None and self.study.objective.on == "test"):
            return [None]
        seed = derived_seed(self.study.seed, "folds")
        return [
            Fold(index=index, of=count or HOLD_OUT_OF, seed=seed) for index in range(count or 1)
        ]

    def _replicate(
        self, chain: Sequence[_TypedStage], *, name: str, seed_index: int, fold: Fold | None
    ) -> Replicate:
        identity = self._identity if self._shares else replace(self._identity, alone=name)
        runs = list[Run]()
        for typed in chain:
            repeated = typed.stage.name in self.workload.replicated
            index = seed_index if repeated else 0
            seed = derived_seed(self.study.seed, "stage", typed.stage.name, index)
            parent = runs[-1].key if runs else None
            runs.append(self._run(identity, typed, seed, fold if repeated else None, parent))
        return Replicate(seed_index=seed_index, fold=fold, runs=tuple(runs))

    def _run(
        self,
        identity: Identity,
        typed: _TypedStage,
        seed: int,
        fold: Fold | None,
        parent: str | None,
    ) -> Run:
        request = (typed.text, identity.alone, seed, fold, parent)
        if request not in self._runs:
            self._runs[request] = planned_run(
                identity,
                typed.stage,
                typed.model,
                typed.params,
                seed=seed,
                fold=fold,
                parent=parent,
            )
        return self._runs[request]

    def _refuse_too_large(self) -> None:
        trials = sum(count_points(phase) for phase in self.study.phases)
        each = self.repetitions
        count = trials * each
        counted = f"{trials} trials" if each == 1 else f"{trials} trials x {each} replicates"
        if count > LARGEST:
            raise PlanError(
                f"the study has {counted}; more than {LARGEST} can't be planned, so "
                "make the grids smaller, lower `replicates`, or make several studies of it"
            )
        if count > LARGE and not self.study.allow_large:
            raise PlanError(f"the study has {counted}; for more than {LARGE} set allow_large: true")
