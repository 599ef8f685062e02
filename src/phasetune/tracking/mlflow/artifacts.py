"""Files and the final model of a record, told to MLflow when they changed since they were told.

The run's own tags say what it has: what was told is known to every process.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasetune.stage.canonical import digest
from phasetune.store.digests import file_digest
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Record
from phasetune.tracking.mlflow.model import built_model
from phasetune.tracking.mlflow.runs import KnownRun
from phasetune.tracking.mlflow.words import WHOLE_TEXTS

ARTIFACTS_TAG = "phasetune.artifacts"
MODEL_TAG = "phasetune.model"
MODEL_NOTE_TAG = "phasetune.model_note"
_MODEL = "model"
_MODEL_FILES = "model_files"


def tell_artifacts(client: Any, run: KnownRun, artifacts: Mapping[str, Path]) -> None:
    """Copy files and folders that the run does not have yet, or has in an older state."""
    had = _kept_digests(run)
    now = {where: content_digest(path) for where, path in artifacts.items()}
    for where, path in artifacts.items():
        if had.get(where) != now[where]:
            _copy(client, run.run_id, where, path)
    if any(had.get(where) != digest for where, digest in now.items()):
        run.set_tag(client, ARTIFACTS_TAG, json.dumps({**had, **now}, sort_keys=True))


def tell_whole_texts(client: Any, run: KnownRun, texts: Mapping[str, str]) -> None:
    """Keep what was too long for MLflow as an artifact."""
    if not texts:
        return
    with tempfile.TemporaryDirectory(prefix="phasetune-texts-") as place:
        path = Path(place, Path(WHOLE_TEXTS).name)
        path.write_text(json.dumps(dict(texts), indent=2, sort_keys=True))
        tell_artifacts(client, run, {WHOLE_TEXTS: path})


def tell_model(client: Any, run: KnownRun, record: Record, study: StudyPaths) -> None:
    """Log the final model once: as MLflow's model where the workload can load it, else its files.

    Of an older one that was replaced, MLflow's model stays beside it.
    """
    if record.model is None or record.workload is None:
        return
    state = content_digest(record.model)
    if run.tags.get(MODEL_TAG) == state:
        return
    with built_model(record.model, record.workload, study) as built:
        if built.folder is None:
            client.log_artifacts(run.run_id, str(record.model), _MODEL_FILES)
        else:
            _log_model(client, run, built.folder, state)
    run.set_tag(client, MODEL_NOTE_TAG, built.note or "loads with mlflow.pyfunc.load_model")
    run.set_tag(client, MODEL_TAG, state)


def _log_model(client: Any, run: KnownRun, folder: Path, state: str) -> None:
    """As `Model.log` does, but by the client alone: that one works on global state."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    _delete_unfinished(client, run)
    logged = client.create_logged_model(
        run.experiment, _MODEL, run.run_id, {MODEL_TAG: state}, model_type="phasetune"
    )
    described = Model.load(str(folder))
    described.run_id, described.model_id = run.run_id, logged.model_id
    described.model_uuid, described.artifact_path = logged.model_id, logged.artifact_location
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run.run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _delete_unfinished(client: Any, run: KnownRun) -> None:
    """What a process left that died while it logged the model."""
    mine = f"source_run_id = '{run.run_id}'"
    for logged in client.search_logged_models([run.experiment], filter_string=mine):
        if str(logged.status) != "READY":
            client.delete_logged_model(logged.model_id)


def content_digest(path: Path) -> str:
    """Of a file, or of the files of a folder with their places in it.

    Raises:
        OSError: it is not there or can't be read.
    """
    if path.is_dir():
        files = sorted(entry for entry in path.rglob("*") if entry.is_file())
        return digest({entry.relative_to(path).as_posix(): file_digest(entry) for entry in files})
    return file_digest(path)


def _kept_digests(run: KnownRun) -> dict[str, str]:
    try:
        found = json.loads(run.tags.get(ARTIFACTS_TAG, "{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _copy(client: Any, run_id: str, where: str, path: Path) -> None:
    target = Path(where)
    folder = None if target.parent == Path() else target.parent.as_posix()
    if path.is_dir():
        client.log_artifacts(run_id, str(path), where)
    elif path.name == target.name:
        client.log_artifact(run_id, str(path), folder)
    else:
        with tempfile.TemporaryDirectory(prefix="phasetune-artifact-") as place:
            named = shutil.copyfile(path, Path(place, target.name))
            client.log_artifact(run_id, str(named), folder)
