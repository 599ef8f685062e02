"""A final model as MLflow has models: a folder that `mlflow.pyfunc.load_model` understands.

It is made by a process of its own (`python -m phasetune.tracking.mlflow.model`), because that
imports the workload and all it needs, such as torch, loads the model and predicts: a workload that
hangs, takes all memory or ends its process there takes no study with it. The model is the
workload's own files, read by its own `load`; nothing is pickled. The workload's sources go along
(as `code/`), unless they are phasetune's, so that it can be loaded where the study's folders are
not. Which packages it needs is read from what its sources import, without asking a network.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from phasetune.stage.sources import covered_files
from phasetune.store.masking import masked
from phasetune.store.paths import StudyPaths
from phasetune.study.load import LoadedStudy, load
from phasetune.study.reading import read_yaml
from phasetune.study.schema import Study
from phasetune.tracking.children import end_with
from phasetune.tracking.mlflow.store import bounded, quietly

LOADER = "phasetune.tracking.mlflow.pyfunc"
_LONGEST_SECONDS = 300.0
_ALWAYS_NEEDED = ("phasetune", "mlflow")


@dataclass(frozen=True, kw_only=True)
class BuiltModel:
    """A model's folder; None, with the reason, where the workload offers none that MLflow could
    load. `note` says what it lacks.
    """

    folder: Path | None
    note: str = ""


@contextmanager
def built_model(model: Path, workload: str, study: StudyPaths) -> Iterator[BuiltModel]:
    """A final model as MLflow has models, in a folder that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="phasetune-model-") as place:
        request = {
            "model": str(model.resolve()),
            "workload": workload,
            "study": str(study.root.resolve()),
            "place": place,
        }
        yield _built(request)


def _built(request: Mapping[str, str]) -> BuiltModel:
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", __name__, str(os.getpid())],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LONGEST_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return BuiltModel(folder=None, note=f"loading it took over {_LONGEST_SECONDS:g} s")
    answer = Path(request["place"], "answer.json")
    if done.returncode or not answer.is_file():
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return BuiltModel(folder=None, note=masked(last)[:500])
    said = json.loads(answer.read_text())
    folder = Path(request["place"], "model") if said["is_loadable"] else None
    return BuiltModel(folder=folder, note=said["note"])


def build(request: Mapping[str, str]) -> None:
    """Make the folder `place`/model, and say in `place`/answer.json what came of it."""
    study, place = _kept_study(Path(request["study"])), Path(request["place"])
    module = sys.modules[study.workload.path]
    note = "the workload has no load(path)"
    is_loadable = hasattr(module, "load")
    if is_loadable:
        signature, note = _signature(module, Path(request["model"]), study)
        _save(place, Path(request["model"]), study, signature)
    answer = {"is_loadable": is_loadable, "note": note}
    (place / "answer.json").write_text(json.dumps(answer))


def _kept_study(root: Path) -> LoadedStudy:
    content = read_yaml(StudyPaths(root).study).content
    folders = [str((root / entry).resolve()) for entry in content.get("import_from", ())]
    return load(Study.model_validate({**content, "import_from": folders}))


def _signature(module: Any, model: Path, study: LoadedStudy) -> tuple[Any, str]:
    """Of inputs and predictions; the inputs themselves are the user's data and are not kept."""
    if not hasattr(module, "example"):
        return None, "no signature: the workload has no example(data)"
    from mlflow.models import infer_signature

    try:
        inputs = module.example(study.data)
    except Exception as error:
        return None, masked(f"no signature: example(data) raised {type(error).__name__}: {error}")
    labels = module.load(model).predict(inputs)
    return infer_signature(inputs, labels, params={"probabilities": False}), ""


def _save(place: Path, model: Path, study: LoadedStudy, signature: Any) -> None:
    import mlflow.pyfunc

    code = _copied_sources(study, place / "sources")
    mlflow.pyfunc.save_model(
        path=str(place / "model"),
        loader_module=LOADER,
        data_path=str(model),
        code_paths=code or None,
        model_config={"workload": study.workload.path},
        signature=signature,
        pip_requirements=_requirements(study.workload.imports),
    )
    for cache in place.rglob("__pycache__"):
        shutil.rmtree(cache, ignore_errors=True)


def _copied_sources(study: LoadedStudy, place: Path) -> list[str]:
    """The workload's sources by their import paths, without phasetune's; what is there to copy."""
    named = (study.workload.path, *study.study.sources)
    for name, source in covered_files(named, study.study.import_from).items():
        target = place / _as_path(name)
        if target.relative_to(place).parts[0] != "phasetune":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return sorted(str(path) for path in place.glob("*"))


def _as_path(name: str) -> Path:
    """`package.part/file.py` or `package.module.py` as a path below an import folder."""
    module, slash, file = name.partition("/")
    if slash:
        return Path(*module.split("."), file)
    return Path(*module.removesuffix(".py").split(".")).with_suffix(".py")


def _requirements(imports: frozenset[str]) -> list[str]:
    """The installed packages behind these imports, with versions that a package index knows."""
    homes = packages_distributions()
    named = {home for name in imports for home in homes.get(name, ())[:1]}
    return [f"{name}=={_public(version(name))}" for name in sorted({*named, *_ALWAYS_NEEDED})]


def _public(number: str) -> str:
    """Without what a build adds, as in `2.10.0+cpu`."""
    return number.partition("+")[0]


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    with bounded(), quietly():
        build(json.load(sys.stdin))
