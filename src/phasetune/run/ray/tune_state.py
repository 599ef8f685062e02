"""What Tune's state says of an attempt, read without unpickling anything.

Tune writes its experiment as JSON in which single values are pickles in hex, and beside it a
`tuner.pkl`. Tune itself does not fail closed on either: where one is torn, empty or missing, it
starts another experiment in the same folder. So they are looked at before Tune touches them.
"""

import json
import pickletools
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.store.durable import write_text

TUNER = "tuner.pkl"
STATES = "experiment_state-*.json"
_MARKS = (TUNER, STATES, "basic-variant-state-*.json")
_CHECKPOINT = re.compile(rb"/(checkpoint_[0-9]{6})(?![0-9])")


@dataclass(frozen=True, kw_only=True)
class TuneTrial:
    """A tune_trial: its folder's name, what it was asked, and the checkpoints that Tune knows."""

    folder: str
    asked: Mapping[str, Any]
    checkpoints: tuple[str, ...]

    @property
    def index(self) -> int:
        """Which of its wave's jobs it executes."""
        index: int = self.asked["index"]
        return index


@dataclass(frozen=True, kw_only=True)
class TuneState:
    """The newest state of an attempt, the one that Tune would restore."""

    path: Path
    content: Mapping[str, Any]
    trials: tuple[TuneTrial, ...]

    @property
    def session(self) -> str:
        """By which Tune tells the states of several sessions apart: when it began."""
        return self.path.stem.removeprefix("experiment_state-")


def is_of_tune(attempt: Path) -> bool:
    """Whether Tune left anything in an attempt's folder; in-process attempts have nothing."""
    return any(True for mark in _MARKS for _ in attempt.glob(mark))


def read_tune_state(attempt: Path) -> TuneState:
    """The state of an attempt whose files are all there and whole.

    Raises:
        StoreError: one is missing, empty, torn, or is not what Tune writes.
    """
    _refuse_torn_pickle(attempt / TUNER)
    path = max(attempt.glob(STATES), default=None, key=lambda found: found.name)
    if path is None:
        raise StoreError(f"{attempt} has no {STATES}: Tune's state is missing")
    try:
        content = json.loads(path.read_bytes())
        trials = tuple(_tune_trial(*entry) for entry in content["trial_data"])
        is_whole = isinstance(content["runner_data"], dict) and "stats" in content
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path} is torn, or not what Tune writes: {error!r}") from error
    if not is_whole or not trials:
        raise StoreError(f"{path} is not what Tune writes, or knows of no trial")
    return TuneState(path=path, content=content, trials=trials)


def write_tune_state(state: TuneState, folder: Path, *, unfinished: Collection[str]) -> None:
    """Write the state into another folder, where these tune_trials, and no others, are to go on.

    Tune calls a run terminated that was asked to stop, and failed one whose driver was killed.

    Raises:
        StoreError: it can't be written.
    """
    trial_data = [
        [_with_status(about, unfinished), runtime] for about, runtime in state.content["trial_data"]
    ]
    content = json.dumps({**state.content, "trial_data": trial_data})
    write_text(folder / state.path.name, content)


def _refuse_torn_pickle(path: Path) -> None:
    try:
        with path.open("rb") as file:
            for _ in pickletools.genops(file):  # walks to the last operation, executes none
                pass
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing: Tune's state is not whole") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} is empty or torn: {error}") from error


def _tune_trial(about: str, runtime: str) -> TuneTrial:
    found, manager = json.loads(about), json.loads(runtime)["checkpoint_manager"]
    folder, asked = found["relative_logdir"], found["config"]["run"]
    if Path(folder).name != folder or type(asked["index"]) is not int or "status" not in found:
        raise ValueError(f"a trial in {folder!r} that asks for {asked!r}")
    names = _CHECKPOINT.findall(bytes.fromhex(manager["value"]))
    checkpoints = tuple(sorted({name.decode() for name in names}))
    return TuneTrial(folder=folder, asked=asked, checkpoints=checkpoints)


def _with_status(about: str, unfinished: Collection[str]) -> str:
    found = json.loads(about)
    ended = "ERROR" if found["status"] == "ERROR" else "TERMINATED"
    status = "PENDING" if found["relative_logdir"] in unfinished else ended
    return json.dumps({**found, "status": status})
