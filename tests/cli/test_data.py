"""`phasetune data ...`: files that a study can read, made or augmented, never overwritten."""

from pathlib import Path

import numpy as np
import pytest

from cli.conftest import phasetune
from phasetune import plan_study
from phasetune.study.schema import Objective, Phase, Point, Study


def test_files_made_are_what_a_study_reads(folder: Path) -> None:
    said = phasetune("data", "make", "windows", "--out", "made", "--windows", "100")
    assert said.code == 0
    assert said.out.splitlines()[-1] == (
        "Use them: phasetune run configs/lstm_phase_iv.yaml 'data={dir: \"made\"}'"
    )
    with np.load(folder / "made/train.npz") as train, np.load(folder / "made/test.npz") as test:
        assert (train["X"].shape, train["X"].dtype) == ((80, 105, 4), np.float32)
        assert (test["X"].shape, set(test["y"].tolist())) == ((20, 105, 4), {0, 1})
    with np.load(folder / "made/unlabeled_augmented.npz") as unlabeled:
        assert unlabeled["X"].shape == (400, 105, 4)
    study = Study(
        name="made",
        workload="phasetune.workloads.windows",
        data={"dir": "made"},
        objective=Objective(metric="accuracy"),
        phases=(Phase(name="one", points=(Point(),)),),
    )
    assert plan_study(study, check_data=True).data.is_known


def test_another_seed_makes_other_files(folder: Path) -> None:
    for name, seed in (("a", "1"), ("b", "2"), ("c", "1")):
        phasetune("data", "make", "windows", "--out", name, "--windows", "60", "--seed", seed)
    found = {name: (folder / name / "train.npz").read_bytes() for name in "abc"}
    assert found["a"] == found["c"] != found["b"]


def test_augmenting_keeps_each_window_and_adds_varied_copies(folder: Path) -> None:
    windows = np.random.default_rng(0).normal(50, 2, (7, 30, 3)).astype(np.float32)
    np.savez(folder / "own.npz", X=windows)
    said = phasetune("data", "augment", "own.npz", "--factor", "3", "--out", "more.npz")
    assert said.out == "more.npz: 21 windows\n"
    with np.load(folder / "more.npz") as file:
        more = file["X"].reshape(3, 7, 30, 3)
        assert file["source"].tolist() == list(range(7)) * 3
    assert np.array_equal(more[0], windows)
    for copy in more[1:]:
        assert all(not np.array_equal(a, b) for a, b in zip(copy, windows, strict=True))
        assert np.allclose(copy.mean(axis=(1, 2)), windows.mean(axis=(1, 2)), atol=1.0)
    assert not np.array_equal(more[1], more[2])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["make", "windows", "--out", "there"],
            "error: there/test.npz is there already and is not overwritten; name another place",
        ),
        (
            ["augment", "there/test.npz", "--out", "there/test.npz"],
            "error: there/test.npz is there already and is not overwritten; name another place",
        ),
        (
            ["augment", "none.npz", "--out", "more.npz"],
            "error: none.npz can't be read: No such file or directory",
        ),
        (
            ["augment", "there/test.npz", "--out", "more.npz"],
            (
                "error: there/test.npz must be an .npz file, as numpy.savez writes it, but: "
                "File is not a zip file"
            ),
        ),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_leaves_nothing(
    folder: Path, arguments: list[str], sentence: str
) -> None:
    (folder / "there").mkdir()
    (folder / "there/test.npz").write_bytes(b"mine")
    said = phasetune("data", *arguments)
    assert (said.code, said.err) == (2, f"{sentence}\n")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["test.npz"]
    assert (folder / "there/test.npz").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ["make", "text", "--out", "x"],
        ["make", "windows", "--out", "x", "--windows", "10"],
        ["augment", "x.npz", "--out", "y.npz", "--factor", "1"],
        ["make", "windows"],
    ],
)
def test_wrong_options_are_refused(folder: Path, arguments: list[str]) -> None:
    assert phasetune("data", *arguments).code == 2
    assert list(folder.iterdir()) == []
