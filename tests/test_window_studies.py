"""The studies in `configs/`: what they ask, and that they run to the same report, byte for byte."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, Heard
from phasetune import StudyOutcome, load_study, plan_study, run_study, trials
from phasetune.plan.span import Span
from phasetune.run.events import RunReported, WaveStarted
from phasetune.run.interrupt import Interrupted
from phasetune.workloads.windows import Data, load
from window_stages import SHRUNK, TWO_TRIALS

CONFIGS = TESTS.parent / "configs"
QUICKSTART = CONFIGS / "quickstart.yaml"
TIMEWARP = tuple(f"exp_phase1_timewarp_{sigma}" for sigma in ("0.10", "0.12", "0.15", "0.20"))


def asked(phase: str, *parts: str) -> tuple[str, ...]:
    return tuple(f"exp_{phase}_{part}" for part in parts)


STUDIES = {
    "lstm_phase_iv": (
        asked("phase2_arch", "64_4", "128_8", "128_4"),
        asked("phase3_depth", "50", "75", "100"),
    ),
    "quickstart": (
        asked("phase2_arch", "16_2", "32_4", "32_2"),
        asked("phase3_depth", "8", "12", "16"),
    ),
    "digits": (
        asked("phase2_arch", "16_2", "32_4", "32_2"),
        asked("phase3_depth", "40", "60", "80"),
    ),
}


@pytest.mark.parametrize("name", STUDIES)
def test_ten_trials_are_eight_settings_and_four_pre_trainings(name: str, tmp_path: Path) -> None:
    plan = plan_study(CONFIGS / f"{name}.yaml", results=tmp_path)
    found = plan.survey
    assert (found.trials, found.settings, found.is_exhaustive) == (10, Span(low=8, high=8), True)
    assert [phase.trials for phase in found.phases] == [TIMEWARP, *STUDIES[name]]
    assert [phase.replicates for phase in found.phases] == [5, 5, 5]
    assert [stage.stage for stage in found.stages] == ["pretrain", "finetune", "test"]
    pretrain, finetune, test = found.stages
    assert (str(pretrain.shared), str(pretrain.alone)) == ("4", "10")
    assert (str(finetune.shared), str(finetune.alone)) == (str(8 * 5), str(10 * 5))
    assert str(test.distinct) == "1"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("schedule", "distinct", "weighed"),
    [
        ("warmup_stable_decay", 175, (81, 138)),
        ("constant", 150, (75, 112)),
        ("plateau", 150, (75, 112)),
        ("cosine", 275, (106, 238)),
    ],
)
def test_the_full_study_asks_for_575_epochs_and_needs_fewer(
    schedule: str, distinct: int, weighed: tuple[int, int], tmp_path: Path
) -> None:
    overrides = [f"params.pretrain.schedule={schedule}"]
    plan = plan_study(CONFIGS / "lstm_phase_iv.yaml", overrides=overrides, results=tmp_path)
    steps = plan.survey.stages[0].steps
    assert steps is not None
    assert (steps.unit, str(steps.alone), str(steps.shared)) == ("epochs", "575", str(distinct))
    assert steps.weighed_alone == Span(low=369, high=538)
    assert steps.weighed_shared == Span(low=weighed[0], high=weighed[1])
    assert bool(steps.why_alone) == (schedule == "cosine")


def test_a_decaying_rate_is_the_full_study_s_own() -> None:
    study = load_study(CONFIGS / "lstm_phase_iv.yaml")
    assert study.params["pretrain"]["schedule"] == "warmup_stable_decay"


def test_the_full_study_s_data_may_be_missing_when_it_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = plan_study(CONFIGS / "lstm_phase_iv.yaml", results=tmp_path)
    assert not plan.data.is_known
    assert [problem.partition(" can't")[0] for problem in plan.data.problems] == [
        f"data: the part {part!r}" for part in ("unlabeled", "train", "test")
    ]
    assert "data/processed/unlabeled_augmented.npz is not there" in plan.data.problems[0]
    assert plan_study(QUICKSTART, results=tmp_path).data.is_known


NOTES = {
    "lstm_phase_iv": [
        ["Conservative baseline", "RECOMMENDED", "Moderate", "Current (baseline)"],
        [None, "RECOMMENDED", None],
        ["Current baseline", "RECOMMENDED", "Diminishing returns"],
    ],
    "quickstart": [
        ["Conservative baseline", "RECOMMENDED at full size", "Moderate", "Current (baseline)"],
        [None] * 3,
        [None] * 3,
    ],
    "digits": [[None] * 4, [None] * 3, [None] * 3],
}


@pytest.mark.parametrize("name", STUDIES)
def test_notes_are_those_of_the_study_itself(name: str) -> None:
    study = load_study(CONFIGS / f"{name}.yaml")
    assert [[point.note for point in phase.points or ()] for phase in study.phases] == NOTES[name]


def test_what_is_expected_at_full_size_is_not_expected_at_another() -> None:
    full, *others = (load_study(CONFIGS / f"{name}.yaml") for name in STUDIES)
    accuracy = [[p.expect["accuracy"] for p in phase.points or ()] for phase in full.phases]
    assert accuracy == [
        [(0.63, 0.65), (0.65, 0.69), (0.64, 0.68), (0.60, 0.63)],
        [(0.62, 0.66), (0.66, 0.70), (0.64, 0.68)],
        [(0.65, 0.69), (0.67, 0.72), (0.66, 0.71)],
    ]
    found = [p.expect.get("class_1_accuracy") for p in full.phases[0].points or ()]
    assert found == [(0.35, 0.40), (0.45, 0.55), (0.40, 0.50), (0.15, 0.25)]
    for study in others:
        assert not any(point.expect for phase in study.phases for point in phase.points or ())


def shrunk(results: Path, overrides: tuple[str, ...] = SHRUNK, **options: Any) -> StudyOutcome:
    """The quickstart study in this process, unless options say otherwise."""
    given = {"in_process": True, **options}
    return run_study(QUICKSTART, overrides=overrides, results=results, **given)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    return shrunk(tmp_path_factory.mktemp("whole") / "results")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    return shrunk(tmp_path_factory.mktemp("two") / "results", TWO_TRIALS)


def report(outcome: StudyOutcome) -> bytes:
    return outcome.paths.report.read_bytes()


def test_it_runs_to_a_recommendation(whole: StudyOutcome) -> None:
    assert (whole.exit_code, list(whole.failures)) == (0, [])
    content = json.loads(report(whole))
    assert content["is_complete"]
    recommended = content["final_recommendation"]
    assert recommended["trial"].startswith("exp_phase3_depth_")
    assert set(recommended["settings"]) > {
        "finetune.time_warp_sigma",
        "finetune.num_heads",
        "pretrain.hidden_size",
        "pretrain.epochs",
    }
    scores = {"accuracy", "class_0_accuracy", "class_1_accuracy"}
    wanted = {
        *scores,
        "pretrain_best_val_loss",
        "pretrain_final_train_loss",
        "pretrain_final_val_loss",
    }
    every_trial = [trial for phase in content["phases"] for trial in phase["trials"]]
    assert [trial["name"] for trial in every_trial[:4]] == list(TIMEWARP)
    assert all(wanted <= set(trial["metrics"]) for trial in every_trial)
    assert wanted <= set(recommended["validation"])
    assert scores <= set(recommended["test"])
    others = ("pretrain_", "watched_", "best_", "epochs_")
    assert not [name for name in recommended["test"] if name.startswith(others)]


def test_trials_share_pre_trainings(whole: StudyOutcome) -> None:
    executed = [entry["stage"] for entry in whole.result.account.executed]
    assert executed.count("pretrain") == 4
    assert executed.count("test") == 1
    frame = trials(whole.paths.root.parent)
    times = ("pretrain_time_min", "finetune_time_min", "total_time_min")
    assert all((frame[column] > 0).all() for column in times)
    first = frame[frame["phase"] == "timewarp"]
    assert first["pretrain_time_min"].nunique() == 1
    results = json.loads((whole.paths.trial(TIMEWARP[0]) / "results.json").read_text())
    assert set(results["times"]) == set(times)


def test_the_final_model_scores_what_the_report_says(whole: StudyOutcome) -> None:
    data = Data(source="synthetic", windows=80, unlabeled=40)
    predicted = load(whole.paths.model).predict(data.windows_of("test"))
    accuracy = (predicted == data.labels_of("test")).mean()
    assert whole.winner is not None
    assert whole.winner["test"]["accuracy"] == pytest.approx(accuracy)


def test_another_results_root_gives_the_same_report(whole: StudyOutcome, tmp_path: Path) -> None:
    again = shrunk(tmp_path)
    assert len(again.result.account.executed) == len(whole.result.account.executed)
    assert report(again) == report(whole)


def test_the_same_call_again_executes_nothing(whole: StudyOutcome) -> None:
    before = report(whole)
    heard = Heard()
    again = shrunk(whole.paths.root.parent, listener=heard)
    assert (again.result.account.executed, heard.of(WaveStarted)) == ([], [])
    assert report(again) == before


class StopsAt:
    """Asks the study to stop when it has reported so many steps; counts all of them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.steps = 0

    def notify(self, event: object) -> None:
        if isinstance(event, RunReported):
            self.steps += 1
            if self.steps == self._count:
                os.kill(os.getpid(), signal.SIGTERM)


def test_an_interrupted_study_goes_on_to_the_same_report(two: StudyOutcome, tmp_path: Path) -> None:
    cut, heard = StopsAt(3), Heard()  # in the first fine-tuning
    with pytest.raises(Interrupted):
        shrunk(tmp_path, TWO_TRIALS, listener=cut)
    assert not list(tmp_path.rglob("report.json"))
    resumed = shrunk(tmp_path, TWO_TRIALS, listener=heard)
    assert report(resumed) == report(two)
    every_step = 2 * 1 + (2 + 1) * 2  # two pre-trainings, two fine-tunings and a refit
    assert cut.steps + len(heard.of(RunReported)) == every_step


@pytest.mark.ray
def test_through_ray_it_comes_to_the_same_report(two: StudyOutcome, tmp_path: Path) -> None:
    through_ray = shrunk(tmp_path, TWO_TRIALS, in_process=False, max_concurrent=2)
    assert list(through_ray.failures) == []
    assert report(through_ray) == report(two)
