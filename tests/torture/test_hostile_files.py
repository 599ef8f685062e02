"""Data, models, checkpoints and records from other hands: read, passed over or refused in words."""

import json
import re
import resource
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import StudyMaker
from phasetune.errors import PhasetuneError, StoreError
from phasetune.report.document import report_document
from phasetune.run.checkpoints import newest_checkpoint, seal
from phasetune.stage.canonical import digest
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import document_text
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.inventory import study_checkpoints
from phasetune.store.kept import kept_checkpoints
from phasetune.store.paths import ResultsPaths, StudyPaths
from phasetune.store.references import study_references
from phasetune.store.resume import resume_checkpoints, verifies
from phasetune.train import checkpoint as train_checkpoint
from phasetune.workloads.windows.artifact import load_classifier, save_classifier
from phasetune.workloads.windows.files import read_part, write_part
from phasetune.workloads.windows.model import Classifier, Encoder, EncoderShape
from stored import finished
from torture.hostile import BY_HAND, Case, cases

CPU_SECONDS, HANGING_SECONDS = 2.0, 30.0
MOST_GROWTH_BYTES = 300 << 20
KEY, ENVIRONMENT = "ab" * 16, {"device": "cpu"}

Kind = tuple[Callable[[Path], None], Callable[[Path], object]]


def make_data(folder: Path) -> None:
    windows = np.random.default_rng(0).normal(size=(12, 8, 2)).astype(np.float32)
    write_part(folder / "train.npz", X=windows, y=np.arange(12) % 2)


def read_data(folder: Path) -> object:
    return read_part(folder / "train.npz", is_labelled=True)


def make_model(folder: Path) -> None:
    shape = EncoderShape(channels=2, hidden_size=4, num_layers=1, dropout=0.0, normalize="none")
    save_classifier(folder, Classifier(Encoder(shape), num_heads=2, num_classes=2, dropout=0.0))


def make_checkpoint(folder: Path) -> None:
    state = {"model": {"weight": torch.arange(100.0)}, "epoch": 3}
    train_checkpoint.write_state(folder, state, epoch=3, metrics={"loss": 0.5}, parameters={})


def read_checkpoint(folder: Path) -> object:
    """With the digest that its attacker would write."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        path, state = folder / "meta.json", folder / "state.pt"
        if path.is_file() and path.stat().st_size < 1 << 20 and state.is_file():
            meta = json.loads(path.read_text())
            meta["sha256"] = train_checkpoint._sha256(state)
            path.write_text(json.dumps(meta))
    kept_checkpoints(folder.parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train_checkpoint.newest_checkpoint(folder.parent)
        return train_checkpoint.load_checkpoint(folder)


def make_artifact(folder: Path) -> None:
    store = ArtifactStore(folder.parent / "store")
    record = {
        "environment": ENVIRONMENT,
        "provenance": {"duration_seconds": 1.0, "notes": ["a"], "is_exact": True, "study": "s"},
        "run": {"exports": ["model.txt"]},
    }
    with store.draft("finetune", KEY, "1") as draft:
        (draft / "files" / "model.txt").write_text("weights")
        rows = [{"step": 1.0, "loss": 0.5}, {"step": 2.0, "loss": float("nan")}]
        metrics = {"accuracy": 0.5}
        store.publish(
            draft, stage="finetune", key=KEY, metrics=metrics, history=rows, record=record
        )
    folder.rmdir()
    shutil.copytree(store.folder("finetune", KEY), folder)


def read_artifact(folder: Path) -> object:
    """In its store; a damaged one is set aside, and computed again."""
    store = ArtifactStore(folder.parent / "store")
    shutil.rmtree(store.root, ignore_errors=True)
    store.folder("finetune", KEY).parent.mkdir(parents=True)
    folder.rename(store.folder("finetune", KEY))
    try:
        found = store.get("finetune", KEY)
        if found is not None:
            found.verify()
            assert found.history() == [] or found.history()[0]["step"] is not None
            assert not [name for name in found.exports if ".." in name or name.startswith("/")]
            read = (found.metrics, found.duration_seconds, found.spent_seconds, found.notes)
            return (*read, found.is_exact, found.resources, found.environment.get("device"))
    except StoreError:
        store.set_aside("finetune", KEY, reason="damaged")
        assert store.get("finetune", KEY) is None
    return None


def sealed_folder(folder: Path) -> None:
    (folder / "state.json").write_text('{"step": 3}')
    rows = [{"step": 3.0, "loss": 0.5}]
    about = {"step": 3, "history": rows, "elapsed_seconds": 1.5, "notes": {"warm": True}}
    seal(folder, key=KEY, environment=ENVIRONMENT, **about)  # type: ignore[arg-type]


def read_sealed(folder: Path) -> object:
    attempt = folder.parent / "study" / "phases" / "p" / "attempts" / "0001" / "fit-k"
    attempt.mkdir(parents=True)
    target = folder.rename(attempt / "checkpoint_000000")
    resume_checkpoints(StudyPaths(folder.parent / "study"))
    verifies(target)
    found, _ = newest_checkpoint([target], key=KEY, environment=ENVIRONMENT)
    return found


def signed(content: Any) -> Any:
    """A seal whose digest is right, where it can have one."""
    with suppress(Exception):
        rest = {name: value for name, value in content.items() if name != "digest"}
        return {**rest, "digest": digest(json.loads(document_text(rest)))}
    return content


def make_failure(folder: Path) -> None:
    failure = Failure(stage="finetune", key=f"{KEY}-000003", cause="error", message="no")
    FailureStore(folder).put(failure, "Traceback")
    path = FailureStore(folder)._record("finetune", failure.key)
    shutil.copy(path, folder / "failed.json")


def read_failure(folder: Path) -> object:
    failures = FailureStore(folder)
    path = failures._record("finetune", f"{KEY}-000003")
    (folder / "failed.json").replace(path)
    failures.of_trunk("finetune", KEY, most_step=5)
    return failures.get("finetune", f"{KEY}-000003")


def read_study(folder: Path) -> object:
    paths = StudyPaths(folder)
    references = study_references(paths)
    study_checkpoints(ResultsPaths(folder.parent), [paths], references)
    return report_document(paths)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, scripted_study: StudyMaker) -> dict[str, Kind]:
    """How to make a good folder of each kind, and how it is read."""
    results = tmp_path_factory.mktemp("results")
    study = finished(scripted_study(), results).paths.root

    def make_study(folder: Path) -> None:
        shutil.copytree(study, folder, dirs_exist_ok=True)

    return {
        "npz": (make_data, read_data),
        "model": (make_model, load_classifier),
        "checkpoint": (make_checkpoint, read_checkpoint),
        "artifact": (make_artifact, read_artifact),
        "seal": (sealed_folder, read_sealed),
        "failure": (make_failure, read_failure),
        "study": (make_study, read_study),
    }


class Overrun(BaseException):
    """Nothing may take it for an error of a file."""


@contextmanager
def within_limits() -> Iterator[None]:
    """Ends what computes for more than two seconds, or waits for what never comes."""

    def end(signum: int, _: object) -> None:
        raise Overrun(f"stopped by {signal.Signals(signum).name}")

    before = {number: signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.setitimer(signal.ITIMER_REAL, HANGING_SECONDS)
    try:
        yield
    finally:
        for timer, number in (
            (signal.ITIMER_PROF, signal.SIGPROF),
            (signal.ITIMER_REAL, signal.SIGALRM),
        ):
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def outcome(case: Case, kind: Kind, folder: Path) -> str | None:
    """What is said of a damaged file; None where it was read, or passed over."""
    make, read = kind
    good = folder / "good"
    good.mkdir(parents=True)
    make(good)
    case.damage(good / case.file)
    try:
        with within_limits():
            read(good)
    except PhasetuneError as error:
        return str(error)
    finally:
        made = [path for path in folder.rglob("*") if path.name == "canary"]
        assert not made, f"{case.name}: the canary was touched: {made}"
    return None


def survey(chosen: list[Case], kinds: Mapping[str, Kind], folder: Path) -> dict[str, str | None]:
    """What is said of each case; an exception of another kind names it."""
    said: dict[str, str | None] = {}
    broken: list[str] = []
    for n, case in enumerate(chosen):
        try:
            said[case.name] = outcome(case, kinds[case.kind], folder / str(n))
        except (Exception, Overrun) as error:
            broken.append(f"{case.name}: {type(error).__name__}: {error}")
        shutil.rmtree(folder / str(n))
    assert not broken, "\n".join(broken)
    return said


def test_good_files_are_read(kinds: Mapping[str, Kind], tmp_path: Path) -> None:
    for name, (make, read) in kinds.items():
        (tmp_path / name / "good").mkdir(parents=True)
        make(tmp_path / name / "good")
        assert read(tmp_path / name / "good") is not None


def test_a_sample_of_hostile_files(kinds: Mapping[str, Kind], tmp_path: Path) -> None:
    every = cases(each=1, sign=signed)
    assert_harmless(every[:: len(every) // 20], kinds, tmp_path)


@pytest.mark.torture
def test_hostile_files(kinds: Mapping[str, Kind], tmp_path: Path) -> None:
    every = cases(each=12, sign=signed)
    assert len(every) > 200
    said = assert_harmless(every, kinds, tmp_path)
    by_hand = [case for case in every if not re.search(r": (bytes|values) \d+$", case.name)]
    unread = {"npz", "model", "checkpoint"}  # none of what was made by hand may be taken for good
    assert [c.name for c in by_hand if c.kind in unread and said[c.name] is None] == []
    assert set(BY_HAND) == {case.kind for case in every}


def assert_harmless(
    chosen: list[Case], kinds: Mapping[str, Kind], folder: Path
) -> dict[str, str | None]:
    for name, (make, read) in kinds.items():  # so that what they import is there
        (folder / name / "good").mkdir(parents=True)
        make(folder / name / "good")
        read(folder / name / "good")
    before = peak_bytes()
    said = survey(chosen, kinds, folder)
    assert peak_bytes() - before < MOST_GROWTH_BYTES
    sentences = [text for text in said.values() if text is not None]
    assert not [text for text in sentences if "Traceback" in text or len(text) > 1000]
    return said
