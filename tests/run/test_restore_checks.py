"""What is looked at before Tune restores anything: each check fails closed, and none needs Ray.

Tune's files are put beside what an interrupted study left, as Tune writes them.
"""

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import StudyMaker
from phasetune import StoreError, analysis, restore_tuner, run_study
from phasetune.run.ray.restore import OpenAttempt, open_attempt
from phasetune.run.ray.tune_state import write_tune_state
from phasetune.store.paths import ResultsPaths, run_folder
from stored import cut_off

VALUES = (0.2, 0.6, 0.4)
WAY_OUT = "; `phasetune run` goes on by a new Tuner, which needs none of Tune's state"
STATE = "experiment_state-2026-01-02_03-04-05.json"


@pytest.fixture(scope="module")
def interrupted(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results root: the first of three runs is done, the second got to a checkpoint."""
    results = tmp_path_factory.mktemp("interrupted") / "results"
    phases = [{"name": "one", "grid": {"train.value": list(VALUES)}}]
    cut_off(scripted_study(phases=phases), results, after=8)
    put_tunes_files(attempt_in(results))
    return results


@pytest.fixture
def results(interrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy that others can look into, so that it counts who can write there; nobody else can."""
    monkeypatch.setitem(sys.modules, "ray", None)  # importing it raises
    copy = Path(shutil.copytree(interrupted, tmp_path / "results"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = os.umask(0o022)
    yield copy
    os.umask(before)


def attempt_in(results: Path) -> Path:
    """The second wave's: the runs of `train`."""
    return results / "scripted" / "phases" / "one" / "attempts" / "0002"


def put_tunes_files(attempt: Path) -> None:
    plan = json.loads((attempt.parents[1] / "plan.json").read_text())
    keys = [trial["replicates"][0]["runs"][1]["key"] for trial in plan["trials"]]
    trials = [tune_trial(attempt, index, key) for index, key in enumerate(keys)]
    state = {"trial_data": trials, "runner_data": {}, "stats": {}}
    (attempt / STATE).write_text(json.dumps(state))
    (attempt / "tuner.pkl").write_bytes(pickle.dumps({"_is_restored": False}))


def tune_trial(attempt: Path, index: int, key: str) -> list[str]:
    folder = attempt / run_folder("train", key)
    known = [str(path) for path in sorted(folder.glob("checkpoint_*"))]
    asked = {"index": index, "stage": "train", "train.value": VALUES[index]}
    about = {"relative_logdir": folder.name, "config": {"run": asked}, "status": "TERMINATED"}
    runtime = {"checkpoint_manager": {"value": pickle.dumps(known).hex()}}
    return [json.dumps(about), json.dumps(runtime)]


def found_in(results: Path) -> OpenAttempt:
    paths = ResultsPaths(results)
    return open_attempt(paths, paths.study("scripted"), "one", attempt=None)


def test_an_interrupted_attempt_passes_and_its_open_runs_go_on(
    results: Path, tmp_path: Path
) -> None:
    found = found_in(results)
    assert found.folder == attempt_in(results)
    jobs = [found.plan.requests(trial.folder, tmp_path) for trial in found.state.trials]
    assert [[request.point for request in job] for job in jobs] == [
        [],
        [{"train.value": 0.6}],
        [{"train.value": 0.4}],
    ]
    assert {request.attempt for job in jobs for request in job} == {tmp_path}
    write_tune_state(found.state, tmp_path, unfinished=found.unfinished)
    written = json.loads((tmp_path / STATE).read_text())["trial_data"]
    assert [json.loads(about)["status"] for about, _ in written] == [
        "TERMINATED",
        "PENDING",
        "PENDING",
    ]


def test_what_a_killed_copy_left_is_no_attempt(results: Path) -> None:
    attempt_in(results).rename(attempt_in(results).parent / ".draft-0002-0123")
    attempt_in(results).mkdir()
    with pytest.raises(StoreError, match="no attempt through Ray that is not finished"):
        restore_tuner(results, "one")


def changed_state(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def go(attempt: Path) -> None:
        content = json.loads((attempt / STATE).read_text())
        change(content)
        (attempt / STATE).write_text(json.dumps(content))

    return go


def ask_otherwise(content: dict[str, Any]) -> None:
    about = json.loads(content["trial_data"][1][0])
    about["config"]["run"]["train.value"] = 0.61
    content["trial_data"][1][0] = json.dumps(about)


def add_a_stranger(content: dict[str, Any]) -> None:
    about, runtime = content["trial_data"][2]
    about = json.loads(about)
    about |= {"relative_logdir": "train-0123456789abcdef0123"}
    about["config"]["run"]["index"] = 3
    content["trial_data"].append([json.dumps(about), runtime])


def cut(name: str, size: int) -> Callable[[Path], object]:
    return lambda attempt: (attempt / name).write_bytes((attempt / name).read_bytes()[:size])


def checkpoint_file(attempt: Path, name: str) -> Path:
    """Of the one run that has a checkpoint: those of runs that are done are gone."""
    (path,) = attempt.glob(f"*/checkpoint_*/{name}")
    return path


def flip_a_bit(name: str) -> Callable[[Path], object]:
    def go(attempt: Path) -> None:
        path = checkpoint_file(attempt, name)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return go


def seed_of_study(attempt: Path) -> None:
    study = attempt.parents[3] / "study.yaml"
    study.write_text(study.read_text().replace("seed: 11", "seed: 12"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut(STATE, 400), f"{STATE} is torn, or not what Tune writes"),
        (cut(STATE, 0), f"{STATE} is torn, or not what Tune writes"),
        (lambda attempt: (attempt / STATE).unlink(), "Tune's state is missing"),
        (
            lambda attempt: (attempt / "experiment_state-2027-01-01_00-00-00.json").touch(),
            "experiment_state-2027-01-01_00-00-00.json is torn",
        ),
        (changed_state(lambda content: content.pop("runner_data")), "torn, or not what Tune"),
        (changed_state(lambda content: content["trial_data"].clear()), "knows of no trial"),
        (cut("tuner.pkl", 12), "tuner.pkl is empty or torn"),
        (cut("tuner.pkl", 0), "tuner.pkl is empty or torn"),
        (lambda attempt: (attempt / "tuner.pkl").unlink(), "tuner.pkl is missing"),
        (
            changed_state(lambda content: content["trial_data"].pop(0)),
            "is not of the phase's plan: of its 2 trials one is missing",
        ),
        (
            changed_state(lambda content: content["trial_data"].pop()),
            "is not of the phase's plan: it does not know of the trial train-",
        ),
        (
            changed_state(add_a_stranger),
            "is not of the phase's plan: it knows of the trial train-0123456789abcdef0123",
        ),
        (changed_state(ask_otherwise), '"train.value": 0.61} instead of {"index": 1'),
        (flip_a_bit("state.json"), "which Tune knows of, is damaged"),
        (flip_a_bit("phasetune-checkpoint.json"), "checkpoint_.*, which Tune knows of, "),
        (
            lambda attempt: shutil.rmtree(checkpoint_file(attempt, "state.json").parent),
            "which Tune knows of, has no seal that can be read",
        ),
        (lambda attempt: attempt.chmod(0o775), "can be written by its group"),
        (lambda attempt: (attempt / "tuner.pkl").chmod(0o666), "can be written by everybody"),
        (lambda attempt: (attempt / "link").symlink_to("/"), "is a symbolic link"),
        (lambda attempt: (attempt.parents[3] / "study.yaml").chmod(0o664), "study.yaml can be wr"),
        (seed_of_study, "plan.json is not what the study as it was kept gives now"),
    ],
    ids=[
        "torn state", "empty state", "missing state", "a newer state is empty", "half a state",
        "no trial", "torn tuner", "empty tuner", "missing tuner", "the first trial less",
        "the last trial less", "a trial more", "another setting", "a bit in a checkpoint",
        "a bit in a seal", "a checkpoint is gone", "group-writable folder", "writable pickle",
        "symbolic link", "writable study", "the study changed",
    ],
)  # fmt: skip
def test_what_does_not_verify_is_not_restored(
    damage: Callable[[Path], object], message: str, results: Path
) -> None:
    damage(attempt_in(results))
    attempts = sorted(attempt_in(results).parent.iterdir())
    with pytest.raises(StoreError, match=message) as refused:
        restore_tuner(results, "one")
    assert str(refused.value).endswith(WAY_OUT)
    assert sorted(attempt_in(results).parent.iterdir()) == attempts


def test_tunes_analysis_is_not_read_where_others_can_write(results: Path) -> None:
    (attempt_in(results) / STATE).chmod(0o666)
    with pytest.raises(StoreError, match=f"{STATE} can be written by everybody"):
        analysis(results, "one")


def test_what_is_finished_is_not_restored(results: Path, scripted_study: StudyMaker) -> None:
    phases = [{"name": "one", "grid": {"train.value": list(VALUES)}}]
    run_study(scripted_study(phases=phases), results=results, in_process=True)
    for attempt in (None, 2):
        with pytest.raises(StoreError, match="no attempt through Ray that is not finished"):
            restore_tuner(results, "one", attempt=attempt)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"phase": "two"}, "the phase 'two' has no attempt; run the study first"),
        ({"phase": "one", "study": "s"}, "'one' of the study 's' has no attempt"),
        ({"phase": "one", "attempt": 7}, "there is no attempt .*0007"),
        ({"phase": "one", "attempt": 1}, "0001/tuner.pkl is missing"),
    ],
    ids=["no such phase", "no such study", "no such attempt", "not through Ray"],
)
def test_what_is_not_there_is_told(asked: dict[str, Any], message: str, results: Path) -> None:
    with pytest.raises(StoreError, match=message):
        restore_tuner(results, **asked)


def test_a_phase_of_two_studies_needs_the_studys_name(results: Path) -> None:
    shutil.copytree(results / "scripted", results / "second")
    with pytest.raises(StoreError, match="'one' is a phase of scripted, second; name one as"):
        restore_tuner(results, "one")
