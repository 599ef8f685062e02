"""Where a phase stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from phasetune.plan.share import StageSharing
from phasetune.run.events import PhaseDecided, RunDone, RunFailed, TrialJudged
from phasetune.run.picture.pace import RunningRun, Tally, tallied


@dataclass(frozen=True, kw_only=True)
class PhasePicture:
    """A phase since a command took it up; the final, and a trial run alone, have no `position`.

    `missing` are the runs that the command executes, `began_at` when the first ones were handed
    out, in seconds since 1970.
    """

    name: str
    position: str = ""
    trials: int | None = None
    sharing: Sequence[StageSharing] = ()
    missing: int = 0
    missing_by_stage: Mapping[str, int] = field(default_factory=dict)
    ended_by_stage: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    seconds: Mapping[str, Tally] = field(default_factory=dict)
    judged: Mapping[str, TrialJudged] = field(default_factory=dict)
    began_at: float | None = None
    decision: PhaseDecided | None = None

    @property
    def ended(self) -> int:
        """Runs that were done or failed."""
        return sum(self.ended_by_stage.values())

    @property
    def candidates(self) -> list[TrialJudged]:
        """Trials whose runs all have an end, without a baseline that can't win."""
        return [trial for trial in self.judged.values() if trial.is_candidate]

    def standing(self, standing: Literal["feasible", "infeasible", "ineligible"]) -> int:
        """How many trials stand so."""
        return sum(trial.standing == standing for trial in self.candidates)

    @property
    def reused(self) -> int:
        """Trials of which nothing was executed."""
        return sum(trial.is_reused for trial in self.candidates)

    def best(self, metric: str, *, mode: str, is_feasible: bool) -> TrialJudged | None:
        """The first of the best trials by a metric, of the feasible ones or of all."""
        found = [
            trial
            for trial in self.candidates
            if trial.standing == "feasible" or (not is_feasible and trial.standing == "infeasible")
        ]
        values = [(trial.metrics[metric], trial) for trial in found if metric in trial.metrics]
        numbers = [(value, trial) for value, trial in values if value == value]  # no NaN
        pick = max if mode == "max" else min
        return pick(numbers, key=lambda pair: pair[0])[1] if numbers else None

    def with_wave(self, at: float, runs: int) -> Self:
        """With runs that were handed out; in a phase that was not planned they are told so."""
        missing = max(self.missing, self.ended + runs)
        began_at = at if self.began_at is None else self.began_at
        return replace(self, missing=missing, began_at=began_at)

    def with_end(self, event: RunDone | RunFailed) -> Self:
        """With a run that has an end."""
        ended = {**self.ended_by_stage, event.stage: self.ended_by_stage.get(event.stage, 0) + 1}
        if isinstance(event, RunFailed):
            return replace(self, ended_by_stage=ended, failed=self.failed + 1)
        seconds = tallied(self.seconds, event.stage, event.seconds)
        return replace(self, ended_by_stage=ended, seconds=seconds)

    def with_judged(self, event: TrialJudged) -> Self:
        """With a trial whose runs all have an end."""
        return replace(self, judged={**self.judged, event.trial: event})

    def seconds_left(
        self,
        now: float,
        running: Sequence[RunningRun],
        *,
        seconds: Mapping[str, Tally],
        at_once: int,
    ) -> float | None:
        """Until its last run ends, with so many `at_once`; None while a stage's pace is unknown.

        A stage takes the mean of its runs in this phase, else in the study (`seconds`), else what
        those that run now promise by their steps.
        """
        if self.decision is not None:
            return 0.0
        waiting = self._waiting(running)
        paces = {
            stage: self._pace(stage, now, running, seconds)
            for stage in {*waiting, *(run.stage for run in running)}
        }
        own = [run.seconds_left_at(now, paces[run.stage]) for run in running]
        queued = [None if (p := paces[s]) is None else n * p for s, n in waiting.items()]
        known = [value for value in (*own, *queued) if value is not None]
        is_known = len(known) == len(own) + len(queued) and self._is_planned(running)
        return max([sum(known) / at_once, *known[: len(own)]]) if is_known else None

    def _is_planned(self, running: Sequence[RunningRun]) -> bool:
        """Whether it is known of which stages the runs are that did not start yet."""
        return bool(self.missing_by_stage) or self.missing <= self.ended + len(running)

    def _waiting(self, running: Sequence[RunningRun]) -> dict[str, int]:
        """Runs that did not start yet, by stage."""
        begun = dict(self.ended_by_stage)
        for run in running:
            begun[run.stage] = begun.get(run.stage, 0) + 1
        left = {s: n - begun.get(s, 0) for s, n in self.missing_by_stage.items()}
        return {stage: count for stage, count in left.items() if count > 0}

    def _pace(
        self,
        stage: str,
        now: float,
        running: Sequence[RunningRun],
        seconds: Mapping[str, Tally],
    ) -> float | None:
        for tallies in (self.seconds, seconds):
            mean = tallies.get(stage, Tally()).mean
            if mean is not None:
                return mean
        promised = [run.seconds_in_all(now) for run in running if run.stage == stage]
        found = [value for value in promised if value is not None]
        return sum(found) / len(found) if found else None
