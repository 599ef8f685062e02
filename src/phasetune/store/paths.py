"""Where everything lies below a results root. The one place that knows."""

from dataclasses import dataclass
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.durable import make_folder
from phasetune.store.machine_folder import local_root
from phasetune.store.remote.mirror import folders_like, mirror_of, open_mirror
from phasetune.store.remote.mirror import shown_path as shown_path
from phasetune.store.remote.uris import as_given, is_uri, plain_folder
from phasetune.study.schema import MLFLOW_ARTIFACTS, STORE

SEAL = "phasetune-checkpoint.json"
"""In each resume checkpoint: of which run it is, and the digests of its files."""


@dataclass(frozen=True)
class ResultsPaths:
    """A results root, shared by studies: `store/` and one folder per study."""

    root: Path

    @property
    def uri(self) -> str | None:
        """Where results lie that this root is the mirror of; None for a plain folder."""
        mirror = mirror_of(self.root)
        return None if mirror is None else mirror.uri

    @property
    def shown(self) -> str:
        """What people call it, and type."""
        return self.uri or str(self.root)

    @property
    def store(self) -> Path:
        return self.root / STORE

    @property
    def digests(self) -> Path:
        """What is remembered of files as this machine sees them."""
        return local_root(self.root) / STORE / "digests.json"

    @property
    def mlflow(self) -> Path:
        """MLflow's own database, where a study names no other store; never on a network file
        system, where SQLite damages its files.
        """
        return local_root(self.root) / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return local_root(self.root) / MLFLOW_ARTIFACTS

    @property
    def lock(self) -> Path:
        """Held by whoever computes or deletes below this root; stays when nobody does."""
        return self.store / "in-use.lock"

    def study(self, name: str) -> "StudyPaths":
        return StudyPaths(self.root / name)

    def studies(self) -> list["StudyPaths"]:
        """Every study that has left something, by name."""
        found = sorted(self.root.glob("*/study.yaml"))
        return [StudyPaths(path.parent) for path in found]

    @property
    def exists(self) -> bool:
        """Whether a study was run here."""
        return self.lock.exists() or bool(self.studies())


def results_at(root: str | Path) -> ResultsPaths:
    """The results root as an absolute path, which no folder needs to be at yet; of a URI its
    mirror, with the documents that are there now.

    Raises:
        StoreError: a file is there, or the URI can't be reached.
    """
    text = as_given(root)
    if is_uri(text):
        mirror = open_mirror(text)
        mirror.refresh()
        return ResultsPaths(mirror.root)
    path = plain_folder(text).resolve()
    if path.exists() and not path.is_dir():
        raise StoreError(f"results must be a folder, but {path} is a file; name another")
    return ResultsPaths(path)


def results_as_typed(root: str | Path) -> ResultsPaths:
    """The results root as somebody typed it, for what is told to people: a relative folder stays
    one. Nothing is brought.

    Raises:
        StoreError: the URI can't be reached.
    """
    text = as_given(root)
    return ResultsPaths(open_mirror(text).root if is_uri(text) else plain_folder(text))


@dataclass(frozen=True)
class StudyPaths:
    """What a study leaves."""

    root: Path

    @property
    def study(self) -> Path:
        return self.root / "study.yaml"

    @property
    def driver_lock(self) -> Path:
        """Held by the one driver that works on the study, and names it; stays when none does."""
        return self.root / "driver.lock"

    @property
    def workers_lock(self) -> Path:
        """Held by the workers of the study that live on this machine."""
        return local_root(self.root.parent) / self.root.name / "workers.lock"

    @property
    def beside(self) -> Path | None:
        """What paths in its files are relative to; None at a URI, whose mirror lies elsewhere on
        each machine.
        """
        return self.root if mirror_of(self.root) is None else None

    @property
    def inputs(self) -> Path:
        """What the kept study was planned with, besides its fields."""
        return self.root / "inputs.json"

    @property
    def final(self) -> Path:
        """What came of the last winner."""
        return self.root / "final.json"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def provenance(self) -> Path:
        return self.root / "provenance.json"

    @property
    def analysis(self) -> Path:
        return self.root / "analysis.txt"

    @property
    def views(self) -> Path:
        """Digests of what was written for people, so that what is damaged is made again."""
        return self.root / "views.json"

    @property
    def best(self) -> Path:
        return self.root / "best.yaml"

    @property
    def model(self) -> Path:
        """The final model's files."""
        return self.root / "model"

    @property
    def page(self) -> Path:
        """The report to look at: one file that opens offline."""
        return self.root / "report.html"

    @property
    def training_reports(self) -> Path:
        """Reports of the training of single runs, where somebody asked for them."""
        return self.root / "reports"

    @property
    def figures(self) -> Path:
        """The figures of the report, as pictures."""
        return self.root / "figures"

    @property
    def log(self) -> Path:
        """What Ray printed."""
        return self.root / "logs" / "ray.log"

    @property
    def driver_log(self) -> Path:
        """What detached drivers printed, one after the other."""
        return self.root / "logs" / "driver.log"

    @property
    def stop_request(self) -> Path:
        """Left by somebody on another machine who wants the driver to end; the driver takes it."""
        return self.root / "stop-requested.json"

    @property
    def events(self) -> Path:
        """The journal: what happened while the study ran, line by line."""
        return self.root / "logs" / "events.jsonl"

    def run_log(self, stage: str, key: str) -> Path:
        """What a run printed."""
        return self.root / "logs" / "runs" / f"{run_folder(stage, key)}.log"

    @property
    def tracking(self) -> Path:
        """What each tracker was told so far, and what trackers of files write."""
        return self.root / "tracking"

    def phase(self, name: str) -> "PhasePaths":
        return PhasePaths(self.root / "phases" / name)

    def trial(self, name: str) -> Path:
        """The folder of a trial, for people who know its name."""
        return self.root / "trials" / name

    def checkpoints(self, stage: str, key: str) -> list[Path]:
        """Every checkpoint that any attempt of this study left of a run."""
        return sorted(self.root.glob(f"phases/*/attempts/*/{run_folder(stage, key)}/checkpoint_*"))

    def trial_plans(self) -> list[Path]:
        """The plans of all trials that were run alone and that no decided phase has taken up."""
        return sorted(self.root.glob("phases/*/plan-*.json"))

    def all_checkpoints(self) -> list[Path]:
        """Every checkpoint that any attempt of this study left of any run."""
        return list(folders_like(self.root, "phases/*/attempts/*/*/checkpoint_*"))


@dataclass(frozen=True)
class PhasePaths:
    """What a phase leaves."""

    root: Path

    @property
    def plan(self) -> Path:
        """The phase's trials and the keys of their runs."""
        return self.root / "plan.json"

    def trial_plan(self, key: str) -> Path:
        """The plan of one trial that was run alone since the phase was last decided."""
        return self.root / f"plan-{key[:12]}.json"

    @property
    def decision(self) -> Path:
        return self.root / "decision.json"

    def old_decision(self, inputs: str) -> Path:
        """A decision that no longer holds, kept beside the one that does."""
        return self.root / f"decision-{inputs[:12]}.json"

    @property
    def trials(self) -> Path:
        return self.root / "trials.parquet"

    @property
    def history(self) -> Path:
        return self.root / "history.parquet"

    @property
    def attempts(self) -> Path:
        return self.root / "attempts"

    def new_attempt(self) -> Path:
        """Make a folder that no attempt has used: reused ones would mix what they hold.

        Raises:
            StoreError: it can't be made, or the URI of the results can't be reached.
        """
        make_folder(self.attempts)
        mirror = mirror_of(self.attempts)
        there = [] if mirror is None else mirror.folders(self.attempts)
        names = {*there, *(path.name for path in self.attempts.iterdir())}
        number = max((int(name) for name in names if name.isdecimal()), default=0) + 1
        while True:
            path = self.attempts / f"{number:04d}"
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise StoreError(f"{path} can't be made: {error.strerror or error}") from error
            else:
                return path


def run_folder(stage: str, key: str) -> str:
    """The name of a run's folder in an attempt; long enough to be unique, short enough to read."""
    return f"{stage}-{key[:20]}"
