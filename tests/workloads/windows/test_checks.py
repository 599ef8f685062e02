"""What is wrong with the content of the data, told before anything trains."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phasetune import StageError, Study, StudyError, plan_study, run_study
from phasetune.stage.contract import Fold
from phasetune.train.splits import inner_split, outer_split
from phasetune.workloads.windows import Data
from phasetune.workloads.windows.files import write_part

FolderMaker = Callable[..., Path]
StudyMaker = Callable[..., Study]
WindowMaker = Callable[..., NDArray[np.float32]]

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(40, 8, 2)).astype(np.float32)
TEST = RNG.normal(size=(9, 8, 2)).astype(np.float32)
OVERLAPPING = np.concatenate([TEST[:4], TRAIN[[7, 7]], TEST[6:]])


def labels(*counts: int) -> NDArray[np.int64]:
    """Labels of which the i-th class has the i-th count."""
    return np.repeat(np.arange(len(counts)), counts)


@pytest.mark.parametrize(
    ("changes", "folds", "sentence"),
    [
        (
            {"unlabeled_augmented": {"X": np.ones((12, 8, 3), np.float32)}},
            5,
            (
                "windows of unlabeled must have [8, 2] time steps and channels, as in train, but "
                "have [8, 3]"
            ),
        ),
        (
            {"test": {"X": np.ones((9, 7, 2), np.float32)}},
            5,
            (
                "windows of test must have [8, 2] time steps and channels, as in train, but "
                "have [7, 2]"
            ),
        ),
        (
            {"unlabeled_augmented": {"X": np.ones((1, 8, 2), np.float32)}},
            5,
            "unlabeled must have at least 2 windows, one to train on and one to validate on",
        ),
        (
            {"train": {"y": labels(40)}, "test": {"y": labels(9)}},
            5,
            "train must have at least two classes, but all labels are 0",
        ),
        (
            {"train": {"y": labels(20, 0, 20)}, "test": {"y": labels(9)}},
            5,
            "train must have every class from 0 to 2, but has no 1",
        ),
        (
            {"train": {"y": labels(0, 0, 20, 0, 0, 0, 20)}, "test": {"y": np.full(9, 6)}},
            5,
            "train must have every class from 0 to 6, but has no 0, 1, 3, 4, 5",
        ),
        (
            {"test": {"y": labels(3, 3, 1, 0, 2)}},
            5,
            "test has labels [2, 4] that train has not",
        ),
        (
            {"train": {"y": labels(36, 4)}},
            5,
            "class 1 has 4 windows in train, too few for 5 folds; use fewer folds or more data",
        ),
        (
            {"train": {"y": labels(38, 2)}},
            2,
            "class 1 has 2 windows in train, too few for 2 folds; use fewer folds or more data",
        ),
        (
            {"train": {"X": TRAIN[:9], "y": labels(3, 3, 3)}},
            3,
            (
                "train has 9 windows: 15% of a fold's 6, watched for early stopping, must hold "
                "every class; use more data"
            ),
        ),
        (
            {"train": {"X": TRAIN}, "test": {"X": OVERLAPPING}},
            5,
            (
                "2 windows of test are in train too, the first is test window 4; take them out of "
                "one of both"
            ),
        ),
        (
            {"unlabeled_augmented": {"X": TEST[3:6]}, "test": {"X": TEST}},
            5,
            (
                "3 windows of test are in unlabeled too, the first is test window 3; take them "
                "out of one of both"
            ),
        ),
        (
            {"unlabeled_augmented": {"X": TRAIN[:12], "source": np.full(12, 7)}},
            5,
            "unlabeled must have at least 2 windows, one to train on and one to validate on",
        ),
    ],
)
def test_each_problem_of_the_content_is_one_sentence(
    folder: FolderMaker, changes: dict[str, Any], folds: int, sentence: str
) -> None:
    assert list(Data(dir=str(folder(**changes))).check(folds=folds)) == [sentence]


def test_problems_of_several_kinds_are_told_together(folder: FolderMaker) -> None:
    home = folder(
        unlabeled_augmented={"X": np.ones((1, 8, 3), np.float32)},
        train={"X": TRAIN, "y": labels(36, 0, 4)},
        test={"X": OVERLAPPING, "y": np.full(9, 1)},
    )
    problems = list(Data(dir=str(home)).check(folds=5))
    assert [problem.partition(" must")[0].partition(",")[0] for problem in problems] == [
        "windows of unlabeled",
        "unlabeled",
        "train",
        "test has labels [1] that train has not",
        "class 2 has 4 windows in train",
        "2 windows of test are in train too",
    ]


def test_all_parts_that_can_t_be_read_are_told_together(folder: FolderMaker) -> None:
    home = folder(
        unlabeled_augmented={"X": np.full((12, 8, 2), np.nan, np.float32)},
        train={"y": None},
        test=None,
    )
    problems = list(Data(dir=str(home)).check(folds=5))
    assert problems[:2] == [
        f"{home / 'unlabeled_augmented.npz'}: X must be finite, but window 0 has NaN or infinity",
        f"{home / 'train.npz'} must hold an array 'y', but holds 'X'",
    ]
    assert problems[2].startswith(f"{home / 'test.npz'} is not there")
    assert len(problems) == 3


@pytest.mark.parametrize("folds", [1, 2, 5])
@pytest.mark.parametrize(
    "block", [{"source": "digits"}, {"source": "synthetic", "windows": 50, "unlabeled": 20}]
)
def test_named_sources_have_no_problems(block: dict[str, Any], folds: int) -> None:
    assert list(Data(**block).check(folds=folds)) == []


def test_good_files_have_no_problems(folder: FolderMaker) -> None:
    assert list(Data(dir=str(folder())).check(folds=5)) == []


def can_be_cut(classes: NDArray[np.int64], folds: int) -> bool:
    """Whether every fold, or all data where there are none, can be split as training does."""
    cuts: Sequence[Fold | None] = [Fold(index=i, of=folds, seed=3) for i in range(folds)]
    try:
        for fold in cuts if folds > 1 else [None]:
            inner_split(classes, outer_split(classes, fold)[0], seed=5)
    except StageError:
        return False
    return True


@example(counts=[5, 5], folds=5)
@example(counts=[12, 3], folds=2)
@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    folds=st.integers(1, 6),
)
def test_labels_are_refused_exactly_where_training_could_not_cut_them(
    counts: list[int], folds: int
) -> None:
    classes = labels(*counts)
    every = np.random.default_rng(1).normal(size=(len(classes) + 2, 3, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        write_part(Path(name) / "unlabeled_augmented.npz", X=every[2:])
        write_part(Path(name) / "train.npz", X=every[2:], y=classes)
        write_part(Path(name) / "test.npz", X=every[:2], y=np.zeros(2, np.int64))
        problems = list(Data(dir=name).check(folds=folds))
    assert (not problems) == can_be_cut(classes, folds)


def test_wrong_sources_are_told_before_anything_trains(folder: FolderMaker) -> None:
    home = folder(unlabeled_augmented={"source": np.arange(11)})
    (problem,) = Data(dir=str(home)).check(folds=5)
    assert problem.startswith(f"{home / 'unlabeled_augmented.npz'}: source must be 12 integers")


def test_a_label_far_from_the_others_is_told_briefly(folder: FolderMaker) -> None:
    far = labels(20, 20)
    far[-1] = 100_000
    problems = list(Data(dir=str(folder(train={"y": far}))).check(folds=2))
    assert problems
    assert max(len(problem) for problem in problems) < 300


def test_a_class_that_is_too_small_without_folds_is_told_without_them(
    folder: FolderMaker,
) -> None:
    problems = list(Data(dir=str(folder(train={"y": labels(39, 1)}))).check(folds=1))
    assert len(problems) == 1
    assert "class 1" in problems[0]
    assert "folds" not in problems[0]


BAD_CONTENT: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (
        {"train": {"X": TRAIN.astype(np.float64)}, "test": {"y": None}},
        {},
        [
            "data: {home}/train.npz: X must be float32, but is float64; save X.astype('float32')",
            "data: {home}/test.npz must hold an array 'y', but holds 'X'",
        ],
    ),
    (
        {"train": {"y": labels(36, 4)}},
        {},
        ["data: class 1 has 4 windows in train, too few for 5 folds; use fewer folds or more data"],
    ),
    (
        {"train": {"y": labels(37, 3)}},
        {"replicates": {"folds": 4}},
        ["data: class 1 has 3 windows in train, too few for 4 folds; use fewer folds or more data"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "asked", "sentences"),
    BAD_CONTENT,
    ids=["unreadable", "too few to hold out", "too few for the folds"],
)
def test_a_study_of_bad_content_neither_is_planned_nor_runs(
    folder: FolderMaker,
    windows_study: StudyMaker,
    tmp_path: Path,
    changes: dict[str, Any],
    asked: dict[str, Any],
    sentences: list[str],
) -> None:
    home, results = folder(**changes), tmp_path / "results"
    study = windows_study({"dir": str(home)}, **asked)
    expected = tuple(sentence.format(home=home) for sentence in sentences)
    with pytest.raises(StudyError) as planned:
        plan_study(study, results=results, check_data=True)
    with pytest.raises(StudyError) as ran:
        run_study(study, results=results, in_process=True)
    assert planned.value.problems == ran.value.problems == expected
    assert not results.exists()


def test_a_plan_alone_does_not_look_into_the_files(
    folder: FolderMaker, windows_study: StudyMaker, tmp_path: Path
) -> None:
    home = folder(train={"y": labels(36, 4)})
    plan = plan_study(windows_study({"dir": str(home)}), results=tmp_path / "results")
    assert plan.data.is_known
