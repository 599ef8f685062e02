"""The tracker `wandb`: Weights & Biases, a run for each record, grouped by study.

Online where somebody is logged in, else offline: then files are kept in the study's folder, and
`wandb sync` sends them. Which run belongs to which record, and which steps it was told, is kept
beside them, because a store that is offline can't be asked. Weights & Biases wants steps to grow
in a whole run, so each stage has its own: `<stage>/step`.
"""

import hashlib
import importlib
import netrc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from phasetune.errors import StoreError, StudyError
from phasetune.store.durable import make_folder
from phasetune.store.lines import LinesReader, LinesWriter
from phasetune.store.masking import masked
from phasetune.store.paths import StudyPaths
from phasetune.tracking.contract import Forgotten, Record, Series, Status, Unavailable
from phasetune.tracking.origin import study_origin
from phasetune.tracking.settings import unless_set

_SERVER = "https://api.wandb.ai"
_ENVIRONMENT = {"WANDB_ERROR_REPORTING": "false"}
_LONGEST_SECONDS = 15.0
_SETTINGS = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "x_disable_stats": True,  # of the driver, which trains nothing
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "init_timeout": _LONGEST_SECONDS,
    "finish_timeout": _LONGEST_SECONDS,
}


@dataclass(frozen=True, kw_only=True)
class WandbPlace:
    """A project, of one's own or of an entity, and whether it is told over the network."""

    project: str
    entity: str | None
    mode: str


def wandb_place(target: str | None, study: StudyPaths) -> WandbPlace:
    """The project `PROJECT` or `ENTITY/PROJECT`; by default one that is named as the study.

    Raises:
        StudyError: the target is no project.
    """
    entity, slash, project = (target or study.root.name).rpartition("/")
    if not project or (slash and not entity) or "/" in entity or "://" in str(target):
        raise StudyError(
            f"tracking.wandb must be PROJECT or ENTITY/PROJECT, but is {masked(str(target))!r}"
        )
    mode = os.environ.get("WANDB_MODE") or ("online" if _is_logged_in() else "offline")
    return WandbPlace(project=project, entity=entity or None, mode=mode)


def _is_logged_in() -> bool:
    """Whether a key is there to be used; W&B itself would ask the person at the terminal."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _SERVER)).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class WandbTracker:
    """Tells W&B of one study; a run is open from its first news to its end."""

    name = "wandb"

    def __init__(self, place: WandbPlace, *, study: StudyPaths) -> None:
        self._place = place
        self._study = study
        self._folder = study.tracking / "wandb"
        project = "/".join(part for part in (place.entity, place.project) if part)
        kept = f", offline in {self._folder}" if place.mode == "offline" else ""
        self.place = f"{project}{kept}"
        self._told = LinesWriter(self._folder / "told.jsonl")
        self._names: dict[str, dict[str, Any]] = {}
        self._steps: dict[str, dict[str, int]] = {}
        self._runs: dict[str, Any] = {}
        self._settings = ExitStack()
        self._wandb: Any = None

    def connect(self) -> None:
        """Read what was told; W&B itself is asked when the first run begins."""
        if self._wandb is None:  # until the end: others may read the environment meanwhile
            self._settings.enter_context(unless_set(_ENVIRONMENT))
        self._wandb = importlib.import_module("wandb")
        with self._asked():
            make_folder(self._folder)
            self._names, self._steps = {}, {}
            for entry in LinesReader(self._told.path).new():
                self._take(entry)

    def open(self, record: Record, parent: str | None) -> str:
        """A run whose id follows from the study and the record."""
        mark = f"{study_origin(self._study)} {record.id}".encode()
        handle = hashlib.sha256(mark).hexdigest()[:16]
        if handle not in self._names:
            about = {"kind": record.kind, "name": record.name, "parent": parent}
            self._keep({"run": handle, **about})
        return handle

    def last_steps(self, handle: str) -> Mapping[str, int]:
        """From what is kept beside the runs."""
        if handle not in self._names:
            raise Forgotten(f"{self._told.path} has no run {handle}")
        return dict(self._steps.get(handle, {}))

    def log(self, handle: str, series: Series) -> None:
        """A row for each step, with `<stage>/step`."""
        with self._asked():
            run, counter = self._run(handle), f"{series.stage}/step"
            run.define_metric(counter, hidden=True)
            run.define_metric(f"{series.stage}/*", step_metric=counter)
            for step, metrics in zip(series.steps, series.metrics, strict=True):
                row = {f"{series.stage}/{name}": value for name, value in metrics.items()}
                run.log({counter: step, **row})
            if series.steps:
                self._keep({"run": handle, "stage": series.stage, "step": series.steps[-1]})

    def update(
        self,
        handle: str,
        record: Record,
        *,
        told: Record | None,
        series: Sequence[Series] = (),
    ) -> None:
        """Settings, tags and final metrics; files when they are new to this process."""
        for part in series:
            self.log(handle, part)
        with self._asked():
            run = self._run(handle)
            run.config.update(
                {**record.params, "phasetune": dict(record.tags)}, allow_val_change=True
            )
            run.summary.update(dict(record.metrics))
            if "note" in record.tags:
                run.notes = record.tags["note"]
            for path in _new_files(record, told):
                inside = f"{path}/**" if path.is_dir() else str(path)
                run.save(inside, base_path=str(path.parent), policy="now")
            if record.status is not Status.RUNNING:
                run.finish(exit_code=0 if record.status is Status.FINISHED else 1)
                del self._runs[handle]

    def close(self) -> None:
        """End the runs that are open and W&B's process, unless somebody else here uses it."""
        try:
            if self._runs:
                with self._asked():
                    for handle in list(self._runs):
                        self._runs.pop(handle).finish()
            if self._wandb is not None and self._wandb.run is None:
                self._wandb.teardown()
        finally:
            self._told.close()
            self._settings.close()

    def _run(self, handle: str) -> Any:
        if handle not in self._names:
            raise Forgotten(f"{self._told.path} has no run {handle}")
        if handle not in self._runs:
            self._runs[handle] = self._begun(handle)
        return self._runs[handle]

    def _begun(self, handle: str) -> Any:
        about = self._names[handle]
        known = type(self._wandb.Settings()).model_fields
        return self._wandb.init(
            project=self._place.project,
            entity=self._place.entity,
            id=handle,
            name=about["name"],
            group=self._study.root.name,
            job_type=about["kind"],
            dir=str(self._folder),
            resume="allow",
            reinit="create_new",
            config={"parent": about["parent"]},
            settings=self._wandb.Settings(
                mode=self._place.mode,
                **{name: value for name, value in _SETTINGS.items() if name in known},
            ),
        )

    def _keep(self, entry: dict[str, Any]) -> None:
        with self._asked():
            self._told.append([entry])
            self._take(entry)

    def _take(self, entry: Mapping[str, Any]) -> None:
        handle = str(entry.get("run"))
        if "name" in entry:
            self._names[handle] = dict(entry)
        elif isinstance(entry.get("step"), int):
            self._steps.setdefault(handle, {})[str(entry.get("stage"))] = entry["step"]

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except (OSError, StoreError, self._wandb.Error) as error:
            self._runs.clear()
            said = masked(" ".join(str(error).split()))[:300]
            raise Unavailable(f"W&B at {self.place}: {said}") from error


def _new_files(record: Record, told: Record | None) -> list[Path]:
    """Files and the model's folder that this process has not told; by the end of the record, so
    that what still changes is not sent each time.
    """
    if record.status is Status.RUNNING:
        return []
    had = set() if told is None or told.status is Status.RUNNING else set(told.artifacts.values())
    files = [path for path in record.artifacts.values() if path not in had]
    is_new_model = told is None or told.model != record.model
    return [*files, *([record.model] if record.model is not None and is_new_model else [])]
