"""Where a study stands: a pure fold of its events.

A driver's display folds them as they come, `phasetune status` folds the lines of the journal, in
which one command follows another. A command that was killed leaves runs without an end; they are
forgotten when the next one starts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from phasetune.run.events import (
    BackendStarting,
    Event,
    FinalDone,
    Noticed,
    PhaseAhead,
    PhaseDecided,
    PhaseStarted,
    RunDone,
    RunFailed,
    RunReported,
    RunStarted,
    StudyEnded,
    StudyStarted,
    TrialJudged,
    WaveStarted,
)
from phasetune.run.picture.pace import RunningRun, Tally, tallied
from phasetune.run.picture.phase import PhasePicture

_MOST_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A study as its events tell it; times are in seconds since 1970.

    `failures` and `notices` are the last few of this command; `seconds` and `resources` are of
    runs that are done, by stage and by what they measure; `seconds_before` is what phases before
    the open one took for `trials_before`.
    """

    study: str = ""
    metric: str = ""
    mode: Literal["max", "min"] = "max"
    constraints: tuple[str, ...] = ()
    ahead: tuple[PhaseAhead, ...] = ()
    started_at: float = 0.0
    last_at: float = 0.0
    backend: str = ""
    device: str = ""
    is_starting: bool = False
    phases: Mapping[str, PhasePicture] = field(default_factory=dict)
    current: str = ""
    running: Mapping[str, RunningRun] = field(default_factory=dict)
    most_running: int = 0
    seconds: Mapping[str, Tally] = field(default_factory=dict)
    resources: Mapping[str, Tally] = field(default_factory=dict)
    seconds_before: float = 0.0
    trials_before: int = 0
    failures: tuple[RunFailed, ...] = ()
    notices: tuple[str, ...] = ()
    final: FinalDone | None = None
    ended: StudyEnded | None = None

    def take(self, at: float, event: Event) -> "Picture":
        """The picture after an event."""
        return replace(_TAKES[type(event)](self, at, event), last_at=at)

    @property
    def phase(self) -> PhasePicture | None:
        """The phase that the command works on, or worked on last."""
        return self.phases.get(self.current)

    @property
    def decisions(self) -> dict[str, PhaseDecided]:
        """The decisions that stand, by phase, in the study's order."""
        found = {name: p.decision for name, p in self.phases.items() if p.decision is not None}
        return {entry.name: found[entry.name] for entry in self.ahead if entry.name in found}

    def seconds_left_of_phase(self, now: float) -> float | None:
        """Until the phase is done, where that can be said."""
        if self.phase is None or self.ended is not None:
            return None
        return self.phase.seconds_left(
            now,
            tuple(self.running.values()),
            seconds=self.seconds,
            at_once=max(1, self.most_running),
        )

    def seconds_left_of_study(self, now: float) -> float | None:
        """Roughly, until all is done: trials ahead take what trials took so far."""
        left, ahead = self.seconds_left_of_phase(now), self._trials_ahead()
        if left is None or not ahead:
            return left
        open_seconds, open_trials = self._open_work(now)
        trials = self.trials_before + open_trials
        seconds = self.seconds_before + open_seconds + left
        return left + ahead * seconds / trials if trials > 0 else None

    def _open_work(self, now: float) -> tuple[float, int]:
        """Seconds that the phase took so far, and the trials that it is for."""
        phase = self.phase
        if phase is None or phase.began_at is None:
            return 0.0, 0
        trials = max(phase.trials or 0, len(phase.candidates))
        return max(0.0, now - phase.began_at), trials - phase.reused

    def _trials_ahead(self) -> int:
        names = [entry.name for entry in self.ahead]
        first = names.index(self.current) + 1 if self.current in names else len(names)
        return sum(entry.trials for entry in self.ahead[first:])

    def closed(self) -> "Picture":
        """With nothing that runs; what the open phase took counts for those to come."""
        seconds, _ = self._open_work(self.last_at)
        fresh = 0 if self.phase is None else len(self.phase.candidates) - self.phase.reused
        is_open = self.phase is not None and self.phase.began_at is not None
        picture = replace(
            self,
            running={},
            is_starting=False,
            seconds_before=self.seconds_before + seconds,
            trials_before=self.trials_before + (fresh if is_open else 0),
        )
        return picture.with_phase(replace(self.phase, began_at=None)) if self.phase else picture

    def with_phase(self, phase: PhasePicture) -> "Picture":
        """With a phase, which is the one that is worked on."""
        return replace(self, phases={**self.phases, phase.name: phase}, current=phase.name)


def _study_started(picture: Picture, at: float, event: StudyStarted) -> Picture:
    before = picture.closed()
    names = {entry.name for entry in event.phases}
    return replace(
        before,
        study=event.study,
        metric=event.metric,
        mode=event.mode,
        constraints=event.constraints,
        ahead=event.phases,
        started_at=at,
        backend="",
        device="",
        phases={name: phase for name, phase in before.phases.items() if name in names},
        current="",
        most_running=0,
        failures=(),
        notices=(),
        final=None,
        ended=None,
    )


def _phase_started(picture: Picture, _at: float, event: PhaseStarted) -> Picture:
    phase = PhasePicture(
        name=event.phase,
        position=event.position,
        trials=event.trials,
        sharing=event.sharing,
        missing=event.missing,
        missing_by_stage=event.missing_by_stage,
    )
    names = [entry.name for entry in picture.ahead]
    later = names[names.index(event.phase) + 1 :] if event.phase in names else []
    gone = later if event.missing else []
    phases = {name: entry for name, entry in picture.phases.items() if name not in gone}
    return replace(picture, phases=phases).with_phase(phase)


def _backend_starting(picture: Picture, _at: float, event: BackendStarting) -> Picture:
    return replace(picture, backend=event.backend, is_starting=True)


def _wave_started(picture: Picture, at: float, event: WaveStarted) -> Picture:
    phase = picture.phases.get(event.phase) if event.phase == picture.current else None
    if phase is None:
        phase = PhasePicture(name=event.phase)  # the final, or one trial alone, starts no phase
    told = replace(
        picture, backend=event.backend, device=event.device, is_starting=False, running={}
    )
    return told.with_phase(phase.with_wave(at, event.runs))


def _run_started(picture: Picture, at: float, event: RunStarted) -> Picture:
    run = RunningRun(
        key=event.key, stage=event.stage, label=event.label, steps=event.steps, started_at=at
    )
    running = {**picture.running, event.key: run}
    most = max(picture.most_running, len(running))
    return replace(picture, running=running, most_running=most)


def _run_reported(picture: Picture, at: float, event: RunReported) -> Picture:
    run = picture.running.get(event.key)
    if run is None:
        return picture
    told = run.reported(at, event.step, event.metrics)
    return replace(picture, running={**picture.running, event.key: told})


def _run_ended(picture: Picture, _at: float, event: RunDone | RunFailed) -> Picture:
    running = {key: run for key, run in picture.running.items() if key != event.key}
    ended = replace(picture, running=running)
    if picture.phase is not None:
        ended = ended.with_phase(picture.phase.with_end(event))
    if isinstance(event, RunFailed):
        return replace(ended, failures=(*picture.failures, event)[-_MOST_KEPT:])
    resources = dict(picture.resources)
    for name, value in event.resources.items():
        resources = tallied(resources, name, value)
    seconds = tallied(picture.seconds, event.stage, event.seconds)
    return replace(ended, resources=resources, seconds=seconds)


def _trial_judged(picture: Picture, _at: float, event: TrialJudged) -> Picture:
    phase = picture.phase
    return picture if phase is None else picture.with_phase(phase.with_judged(event))


def _phase_decided(picture: Picture, at: float, event: PhaseDecided) -> Picture:
    closed = replace(picture, last_at=at).closed()
    phase = closed.phases.get(event.phase, PhasePicture(name=event.phase))
    return closed.with_phase(replace(phase, decision=event))


def _final_done(picture: Picture, _at: float, event: FinalDone) -> Picture:
    return replace(picture, running={}, final=event)


def _study_ended(picture: Picture, at: float, event: StudyEnded) -> Picture:
    return replace(replace(picture, last_at=at).closed(), ended=event)


def _noticed(picture: Picture, _at: float, event: Noticed) -> Picture:
    return replace(picture, notices=(*picture.notices, event.message)[-_MOST_KEPT:])


_TAKES: Mapping[type[Event], Callable[[Picture, float, Any], Picture]] = {
    StudyStarted: _study_started,
    PhaseStarted: _phase_started,
    BackendStarting: _backend_starting,
    WaveStarted: _wave_started,
    RunStarted: _run_started,
    RunReported: _run_reported,
    RunDone: _run_ended,
    RunFailed: _run_ended,
    TrialJudged: _trial_judged,
    PhaseDecided: _phase_decided,
    FinalDone: _final_done,
    StudyEnded: _study_ended,
    Noticed: _noticed,
}
