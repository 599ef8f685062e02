"""From a tracker's name in a study file to the tracker.

Importing this imports none of their libraries; each is imported when it connects.
"""

from collections.abc import Callable
from importlib.util import find_spec

from phasetune.errors import StudyError
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.tracking.contract import Tracker
from phasetune.tracking.jsonl import JsonlTracker, jsonl_file
from phasetune.tracking.mlflow.storage import storage_notes
from phasetune.tracking.mlflow.store import mlflow_place
from phasetune.tracking.mlflow.tracker import MlflowTracker
from phasetune.tracking.tensorboard import TensorBoardTracker, tensorboard_folder
from phasetune.tracking.wandb import WandbTracker, wandb_place

_Opener = Callable[[str | None, ResultsPaths, StudyPaths], Tracker]


def open_tracker(
    name: str, target: str | None, *, results: ResultsPaths, study: StudyPaths
) -> Tracker:
    """A tracker by its name; `target` is where it writes, None for its usual place.

    Nothing is made, imported or asked before `connect`.

    Raises:
        StudyError: there is no such tracker or place, or its package is not installed.
    """
    if name not in _OPENERS:
        raise StudyError(f"tracking must name one of {', '.join(_OPENERS)}, but names {name!r}")
    return _OPENERS[name](target, results, study)


def tracker_notes(name: str, target: str | None, *, results: ResultsPaths) -> tuple[str, ...]:
    """What people should know of where a tracker writes, in sentences.

    Raises:
        StudyError: it can't write there.
    """
    return storage_notes(mlflow_place(target, results), results) if name == "mlflow" else ()


def _mlflow(target: str | None, results: ResultsPaths, study: StudyPaths) -> Tracker:
    _installed("mlflow", "mlflow")
    return MlflowTracker(mlflow_place(target, results), study=study)


def _tensorboard(target: str | None, results: ResultsPaths, study: StudyPaths) -> Tracker:
    del results
    _installed("tensorboardX", "tensorboardX")
    return TensorBoardTracker(tensorboard_folder(target, study), study=study)


def _wandb(target: str | None, results: ResultsPaths, study: StudyPaths) -> Tracker:
    del results
    _installed("wandb", "phasetune[wandb]")
    return WandbTracker(wandb_place(target, study), study=study)


def _jsonl(target: str | None, results: ResultsPaths, study: StudyPaths) -> Tracker:
    del results
    return JsonlTracker(jsonl_file(target, study), study=study)


def _installed(module: str, package: str) -> None:
    if find_spec(module) is None:
        raise StudyError(
            f"tracking by {module} needs a package that is not installed; type: "
            f'pip install "{package}", or track by another'
        )


_OPENERS: dict[str, _Opener] = {
    "mlflow": _mlflow,
    "jsonl": _jsonl,
    "tensorboard": _tensorboard,
    "wandb": _wandb,
}
