"""Of two workers that execute one run, the one whose try is the newest hands in."""

import json
from pathlib import Path

import pytest

from conftest import Heard, StudyMaker
from phasetune.api import run_study
from phasetune.run.events import RunReported

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


class BeginsElsewhere:
    """As a worker on another node would, at a step of a run: begins a try, once."""

    def __init__(self, results: Path, *, at_step: int) -> None:
        self._results = results
        self._at_step = at_step
        self.marks: list[Path] = []

    def notify(self, event: object) -> None:
        if isinstance(event, RunReported) and event.step == self._at_step and not self.marks:
            (mark,) = self._results.glob("*/phases/*/attempts/*/tries/train-*/0001-begun-*")
            newer = mark.with_name(mark.name.replace("0001-begun", "0002-begun"))
            newer.write_bytes(mark.read_bytes())
            self.marks.append(newer)


@pytest.mark.parametrize(
    ("at_step", "told"),
    [(2, [1, 2, 3, 4]), (4, [1, 2, 3, 4])],
    ids=["before a checkpoint", "before the artifact"],
)
def test_a_worker_whose_run_was_begun_elsewhere_hands_in_nothing_more(
    at_step: int, told: list[int], tmp_path: Path, scripted_study: StudyMaker
) -> None:
    study = scripted_study(
        params={"train": {"steps": 4}},
        phases=[{"name": "one", "points": [{}]}],
        final={"refit": False, "test": False},
    )
    elsewhere = BeginsElsewhere(tmp_path / "cut", at_step=at_step)
    outcome = run_study(study, results=tmp_path / "cut", listener=elsewhere)
    undisturbed = run_study(study, results=tmp_path / "undisturbed", in_process=True)
    assert elsewhere.marks
    assert not outcome.failures
    assert len(list((tmp_path / "cut" / "scripted").glob("phases/one/attempts/*"))) == 3
    reports = [(o.paths.root / "report.json").read_bytes() for o in (outcome, undisturbed)]
    assert reports[0] == reports[1]


def test_checkpoints_of_two_tries_never_share_a_folder(
    tmp_path: Path, scripted_study: StudyMaker, heard: Heard
) -> None:
    fault = {"fault": "kill", "fault_step": 3, "steps": 4, "marker": str(tmp_path / "killed")}
    study = scripted_study(
        params={"train": fault},
        phases=[{"name": "one", "points": [{}]}],
        final={"refit": False, "test": False},
    )
    run_study(study, results=tmp_path / "results", listener=heard)
    reported = [json.loads(line) for line in _lines(tmp_path, "train-*/result.json")]
    names = [row["checkpoint_dir_name"] for row in reported if row["checkpoint_dir_name"]]
    numbers = [int(name.removeprefix("checkpoint_")) for name in names]
    assert numbers == [0, 1, 10_000, 10_001]


def _lines(root: Path, pattern: str) -> list[str]:
    (path,) = root.glob(f"results/scripted/phases/one/attempts/*/{pattern}")
    return path.read_text().splitlines()
