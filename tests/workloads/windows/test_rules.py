"""What parameters may be together, and what is said before hours of a CPU are spent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import TESTS
from phasetune import PlanError, Study, StudyError, plan_study
from phasetune.plan.show import StudyPlan
from phasetune.workloads.windows import Data, Finetune, Pretrain
from phasetune.workloads.windows.rules import advice, problems

FolderMaker = Callable[..., Path]
StudyMaker = Callable[..., Study]
WindowMaker = Callable[..., NDArray[np.float32]]

QUICKSTART = TESTS.parent / "configs" / "quickstart.yaml"
SYNTHETIC = Data(source="synthetic", windows=50)
MISSING = Data(dir="/there/is/no/such/folder")


def found(
    pretrain: dict[str, Any] | None = None,
    finetune: dict[str, Any] | None = None,
    data: Data = SYNTHETIC,
) -> list[str]:
    return list(problems(Pretrain(**pretrain or {}), Finetune(**finetune or {}), data))


@pytest.mark.parametrize(
    ("pretrain", "finetune", "sentence"),
    [
        (
            {"hidden_size": 32},
            {"num_heads": 5},
            "finetune.num_heads must divide pretrain.hidden_size (32), but is 5",
        ),
        (
            {"hidden_size": 4},
            {"num_heads": 8},
            "finetune.num_heads must divide pretrain.hidden_size (4), but is 8",
        ),
        (
            {"num_layers": 2},
            {"freeze_layers": 3},
            "finetune.freeze_layers must be at most pretrain.num_layers (2), but is 3",
        ),
        (
            {},
            {"mixup_probability": 0.7, "cutmix_probability": 0.4},
            (
                "finetune.mixup_probability + finetune.cutmix_probability must be at most 1, but "
                "is 1.1; a window is mixed in one way"
            ),
        ),
        (
            {"patch_size": 105},
            {},
            (
                "pretrain.mask (patch, mask_ratio 0.15, patch_size 105) would hide all 105 time "
                "steps of a window; nothing would be left to see"
            ),
        ),
        *(
            (
                {"gradient_checkpointing": stage == "pretrain"},
                {"gradient_checkpointing": stage == "finetune"},
                (
                    f"{stage}.gradient_checkpointing must be false: an LSTM's layers are one "
                    "operation with nothing to leave out; use a smaller batch_size with accumulate"
                ),
            )
            for stage in ("pretrain", "finetune")
        ),
        ({"watch": "val_accuracy"}, {}, "pretrain.watch must be val_loss, but is 'val_accuracy'"),
        (
            {},
            {"watch": "accuracy"},
            "finetune.watch must be val_loss or val_accuracy, but is 'accuracy'",
        ),
    ],
)
def test_each_problem_is_one_sentence(
    pretrain: dict[str, Any], finetune: dict[str, Any], sentence: str
) -> None:
    assert found(pretrain, finetune) == [sentence]


def test_all_problems_are_told_together() -> None:
    pretrain = {"hidden_size": 10, "patch_size": 200}
    finetune = {"num_heads": 4, "freeze_layers": 2, "mixup_probability": 0.9}
    starts = [problem.partition(" ")[0] for problem in found(pretrain, finetune)]
    assert starts == [
        "finetune.num_heads",
        "finetune.freeze_layers",
        "finetune.mixup_probability",
        "pretrain.mask",
    ]


@pytest.mark.parametrize(
    ("pretrain", "finetune"),
    [
        ({}, {}),
        ({"hidden_size": 5}, {"num_heads": 5}),
        ({"num_layers": 3}, {"freeze_layers": 3}),
        ({}, {"mixup_probability": 0.5, "cutmix_probability": 0.5}),
        ({}, {"mixup_probability": 0.0, "cutmix_probability": 1.0}),
        ({"patch_size": 104}, {}),
        ({"patch_size": 500, "mask": "block"}, {}),
        ({"patch_size": 500, "mask": "random"}, {}),
        ({"patch_size": 500, "epochs": 0}, {}),
    ],
)
def test_what_is_just_allowed(pretrain: dict[str, Any], finetune: dict[str, Any]) -> None:
    assert found(pretrain, finetune) == []


def test_of_missing_data_nothing_is_said_but_the_rest_is() -> None:
    assert found({"patch_size": 500}, {"num_heads": 7}, MISSING) == [
        "finetune.num_heads must divide pretrain.hidden_size (128), but is 7"
    ]


def test_time_steps_are_those_of_the_files(folder: FolderMaker, windows: WindowMaker) -> None:
    home = folder(unlabeled_augmented={"X": windows(3)[:, :5]}, train=None, test=None)
    data = Data(dir=str(home))
    assert found({"patch_size": 4}, {}, data) == []
    assert len(found({"patch_size": 5}, {}, data)) == 1


@pytest.mark.parametrize(
    ("pretrain", "most"),
    [
        ({"mask": "random"}, 0.93),
        ({"mask": "block"}, 0.93),
        ({"mask": "patch", "patch_size": 2}, 0.87),
        ({"mask": "patch", "patch_size": 3}, 0.83),
    ],
)
def test_a_ratio_must_leave_one_step_or_patch_of_eight_steps(
    pretrain: dict[str, Any], most: float
) -> None:
    digits, heads = Data(source="digits"), {"num_heads": 4}
    assert found({**pretrain, "mask_ratio": most}, heads, digits) == []
    too_much = {**pretrain, "mask_ratio": most + 0.02}
    (sentence,) = found(too_much, heads, digits)
    assert sentence.startswith(f"pretrain.mask ({pretrain['mask']}, mask_ratio {most + 0.02:g}")
    assert "would hide all 8 time steps" in sentence
    assert found({**too_much, "epochs": 0}, heads, digits) == []


@pytest.mark.parametrize("shape", [(), (12,)])
def test_windows_without_time_steps_are_left_to_the_check_of_the_content(
    folder: FolderMaker, shape: tuple[int, ...]
) -> None:
    data = Data(dir=str(folder(unlabeled_augmented={"X": np.ones(shape, np.float32)})))
    assert found({}, {}, data) == []
    assert list(advice(Pretrain(), Finetune(), data, "cpu")) == []


@pytest.mark.parametrize(
    ("windows", "epochs", "device", "is_told"),
    [
        (20_000, 50, "cpu", True),
        (19_999, 50, "cpu", False),
        (1_000_000, 1, "cpu", True),
        (1_000_000, 0, "cpu", False),
        (20_000, 50, "cuda", False),
        (10_000_000, 1000, "cuda", False),
        (3000, 8, "cpu", False),
    ],
)
def test_full_size_on_a_cpu_is_told(windows: int, epochs: int, device: str, is_told: bool) -> None:
    data = Data(source="synthetic", unlabeled=windows)
    expected = (
        f"pre-training on {windows:,} windows is of full size, and without CUDA it runs on the "
        "CPU, where it can take hours. Run it where there is a GPU, or derive a smaller study, as "
        "configs/quickstart.yaml does"
    )
    told = list(advice(Pretrain(epochs=epochs), Finetune(), data, device))
    assert told == ([expected] if is_told else [])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("freeze_epochs", "epochs", "is_told"),
    [(0, 1, False), (4, 5, False), (5, 5, True), (9, 5, True)],
)
def test_an_encoder_that_is_never_thawed_is_told(
    freeze_epochs: int, epochs: int, device: str, is_told: bool
) -> None:
    finetune = Finetune(freeze_epochs=freeze_epochs, epochs=epochs)
    expected = (
        f"finetune.freeze_epochs ({freeze_epochs}) leaves none of the 5 finetune.epochs, so the "
        "encoder is never fine-tuned"
    )
    for data in (SYNTHETIC, MISSING):
        told = list(advice(Pretrain(), finetune, data, device))
        assert told == ([expected] if is_told else [])


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("pretrain.min_delta", ".inf", "inf"),
        ("pretrain.clip_norm", ".inf", "inf"),
        ("finetune.focal_gamma", ".nan", "nan"),
        ("finetune.learning_rate", "-.inf", "-inf"),
    ],
)
def test_parameters_must_be_finite(tmp_path: Path, name: str, value: str, told: str) -> None:
    override = f"params.{name}={value}"
    with pytest.raises(StudyError) as caught:
        plan_study(QUICKSTART, overrides=[override], results=tmp_path)
    assert caught.value.problems == (
        f"params.{name} (override {override!r}): must be a finite number, but is {told}",
    )


def test_of_missing_or_unreadable_data_no_size_is_told(folder: FolderMaker) -> None:
    assert list(advice(Pretrain(epochs=10**6), Finetune(), MISSING, "cpu")) == []
    home = folder()
    (home / "unlabeled_augmented.npz").write_bytes(b"no archive")
    unreadable = Data(dir=str(home))
    assert list(advice(Pretrain(epochs=10**6), Finetune(), unreadable, "cpu")) == []


def test_a_trial_that_breaks_a_rule_is_named(windows_study: StudyMaker, tmp_path: Path) -> None:
    def plan(*heads: int) -> StudyPlan:
        phase = {"name": "heads", "grid": {"finetune.num_heads": list(heads)}}
        return plan_study(windows_study({"source": "digits"}, phases=[phase]), results=tmp_path)

    rule = r"num_heads must divide pretrain\.hidden_size \(4\), but is 3$"
    with pytest.raises(PlanError, match=rf"^trial heads-num_heads=3: finetune\.{rule}"):
        plan(2, 3)
    assert plan(2, 4).survey.trials == 2


def test_a_plan_for_a_cpu_tells_that_a_study_is_of_full_size(
    windows_study: StudyMaker, tmp_path: Path
) -> None:
    def told(epochs: int) -> tuple[str, ...]:
        study = windows_study(
            {"source": "synthetic", "unlabeled": 100_000},
            params={"pretrain": {"epochs": epochs}},
            resources_per_trial={"gpu": 0},
        )
        return plan_study(study, results=tmp_path / "results").warnings

    assert told(1) == ()
    assert len(told(10)) == 1
    assert "100,000 windows is of full size" in told(10)[0]
