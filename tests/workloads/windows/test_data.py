"""The data block: what it may say, what it is known by, and when it is read."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune import StageError, Study, StudyError, load_study, run_study
from phasetune.workloads.windows import Data

FolderMaker = Callable[..., Path]
StudyMaker = Callable[..., Study]
WindowMaker = Callable[..., NDArray[np.float32]]

PARTS = ("unlabeled", "train", "test")
ONE_OF_BOTH = (
    "data: must have either dir, a folder, or source: synthetic or digits, and the other null"
)
AUGMENT = (
    "make it with `phasetune data augment {home}/train.npz --out {home}/unlabeled_augmented.npz`"
)
MAKE = (
    "name its folder in data.dir, or try made-up windows, as `phasetune data make windows --out "
    "DIR` writes them"
)
HEAVY = {"torch", "numpy", "sklearn", "scipy", "ray", "pandas"}
MODULES = "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"


def fingerprints(**block: Any) -> dict[str, str]:
    data = Data(**block)
    return {part: data.fingerprint(part) for part in PARTS}


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {part for part in PARTS if one[part] != other[part]}


@pytest.mark.parametrize(
    ("block", "sentence"),
    [
        ({}, ONE_OF_BOTH),
        ({"dir": "somewhere", "source": "digits"}, ONE_OF_BOTH),
        ({"dir": None, "source": None}, ONE_OF_BOTH),
        (
            {"dir": "somewhere", "windows": 2000},
            "data: windows belongs to source: synthetic alone; leave it out",
        ),
        (
            {"source": "digits", "seed": 0},
            "data: seed belongs to source: synthetic alone; leave it out",
        ),
        (
            {"source": "digits", "unlabeled": 100},
            "data: unlabeled belongs to source: synthetic alone; leave it out",
        ),
        ({"source": "cifar"}, "data.source: must be 'synthetic' or 'digits', but is 'cifar'"),
        (
            {"source": "synthetic", "windows": 49},
            "data.windows: must be greater than or equal to 50, but is 49",
        ),
        (
            {"source": "synthetic", "unlabeled": 19},
            "data.unlabeled: must be greater than or equal to 20, but is 19",
        ),
        (
            {"source": "synthetic", "seed": 2**32},
            "data.seed: must be less than 4294967296, but is 4294967296",
        ),
        ({"source": "digits", "folder": "x"}, "data.folder: is not known"),
    ],
)
def test_a_block_that_says_too_little_or_too_much_is_a_sentence(
    windows_study: StudyMaker, block: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(windows_study(block))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(sentence)


@pytest.mark.parametrize(
    "block",
    [
        {"dir": "somewhere"},
        {"dir": "somewhere", "source": None},
        {"source": "digits"},
        {"dir": None, "source": "synthetic", "windows": 50, "unlabeled": 20, "seed": 2**32 - 1},
    ],
)
def test_a_block_that_names_one_place_is_read(
    windows_study: StudyMaker, block: dict[str, Any]
) -> None:
    assert load_study(windows_study(block)).data == block


def test_the_same_files_elsewhere_have_the_same_fingerprints(
    folder: FolderMaker, tmp_path: Path
) -> None:
    first = folder()
    shutil.copytree(first, tmp_path / "copied" / "data")
    assert fingerprints(dir=str(first)) == fingerprints(dir=str(tmp_path / "copied" / "data"))


@pytest.mark.parametrize(
    ("file", "part"), [("unlabeled_augmented", "unlabeled"), ("train", "train"), ("test", "test")]
)
def test_a_new_file_changes_the_fingerprint_of_its_part_alone(
    folder: FolderMaker, windows: WindowMaker, file: str, part: str
) -> None:
    before = fingerprints(dir=str(folder("before")))
    changes = {file: {"X": windows(20, stream=9), "y": np.arange(20) % 2}}
    assert differing(before, fingerprints(dir=str(folder("after", **changes)))) == {part}


def test_other_labels_of_the_same_windows_are_other_content(folder: FolderMaker) -> None:
    one = fingerprints(dir=str(folder("one")))
    other = fingerprints(dir=str(folder("other", train={"y": (np.arange(40) + 1) % 2})))
    assert differing(one, other) == {"train"}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, set()),
        ({"seed": 1}, {"unlabeled", "train", "test"}),
        ({"unlabeled": 101}, {"unlabeled"}),
        ({"windows": 61}, {"train", "test"}),
        ({"windows": 61, "unlabeled": None}, {"unlabeled", "train", "test"}),
    ],
)
def test_made_windows_are_known_by_what_they_are_made_from(
    change: dict[str, int | None], parts: set[str]
) -> None:
    block = {"source": "synthetic", "windows": 60, "unlabeled": 100}
    assert differing(fingerprints(**block), fingerprints(**{**block, **change})) == parts


def test_a_count_that_is_left_out_is_that_of_its_default() -> None:
    left_out = fingerprints(source="synthetic", windows=60)
    assert left_out == fingerprints(source="synthetic", windows=60, unlabeled=240, seed=0)


def test_no_two_parts_have_one_fingerprint(folder: FolderMaker) -> None:
    blocks: list[dict[str, Any]] = [
        {"source": "digits"},
        {"source": "synthetic", "windows": 60, "unlabeled": 60},
        {"dir": str(folder())},
    ]
    assert len({value for block in blocks for value in fingerprints(**block).values()}) == 9


@pytest.mark.parametrize(
    ("part", "missing", "way_out"),
    [
        ("unlabeled", ["unlabeled_augmented"], AUGMENT),
        ("unlabeled", ["unlabeled_augmented", "train"], MAKE),
        ("train", ["train"], MAKE),
        ("test", ["test"], MAKE),
    ],
)
def test_a_missing_file_is_named_with_the_way_out(
    folder: FolderMaker, part: Any, missing: list[str], way_out: str
) -> None:
    home = folder(**dict.fromkeys(missing))
    data = Data(dir=str(home))
    sentence = f"{home}/{missing[0]}.npz is not there; {way_out.format(home=home)}"
    for ask in (data.fingerprint, data.shape, data.windows_of):
        with pytest.raises(FileNotFoundError) as caught:
            ask(part)
        assert str(caught.value) == sentence


def test_a_shape_is_read_from_the_header_alone(folder: FolderMaker, windows: WindowMaker) -> None:
    many = windows(400)
    path = folder(train={"X": many, "y": np.arange(400) % 2}) / "train.npz"
    content = path.read_bytes()
    assert many.tobytes() in content
    path.write_bytes(content.replace(many.tobytes(), bytes(many.nbytes)))
    data = Data(dir=str(path.parent))
    assert data.shape("train") == (400, 8, 2)
    with pytest.raises(StageError, match=r"train\.npz: array 'X' is damaged"):
        data.windows_of("train")


def test_a_part_is_loaded_once_and_by_itself(folder: FolderMaker) -> None:
    home = folder(unlabeled_augmented=None, test=None)
    data = Data(dir=str(home))
    loaded = data.windows_of("train")
    (home / "train.npz").unlink()
    assert data.windows_of("train") is loaded
    assert data.labels_of("train").tolist() == [0, 1] * 20
    assert data.shape("train") == (40, 8, 2)
    assert data.num_classes == 2
    with pytest.raises(FileNotFoundError):
        Data(dir=str(home)).windows_of("train")


@pytest.mark.parametrize("source", ["synthetic", "digits"])
def test_a_named_source_is_loaded_once(source: Any) -> None:
    data = Data(source=source)
    assert data.windows_of("train") is data.windows_of("train")


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        ({"source": "synthetic", "windows": 60, "unlabeled": 100}, (100, 105, 4)),
        ({"source": "digits"}, (899, 8, 8)),
    ],
)
def test_the_shape_of_a_source_is_that_of_its_windows(
    block: dict[str, Any], shape: tuple[int, ...]
) -> None:
    data = Data(**block)
    assert data.shape("unlabeled") == shape
    assert data.windows_of("unlabeled").shape == shape
    assert Data(**block).shape("test") == Data(**block).windows_of("test").shape


def test_files_that_changed_are_read_anew_by_the_next_study_of_the_process(
    folder: FolderMaker, windows_study: StudyMaker, tmp_path: Path
) -> None:
    def accuracy() -> float:
        outcome = run_study(study, results=tmp_path / "results", in_process=True)
        assert outcome.winner is not None
        return float(outcome.winner["test"]["accuracy"])

    study = windows_study({"dir": str(folder())})
    before = accuracy()
    folder(test={"y": (np.arange(9) + 1) % 2})
    assert accuracy() == pytest.approx(1 - before)


def test_importing_the_workload_imports_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import phasetune.workloads.windows")


@pytest.mark.parametrize("kind", ["files", "synthetic", "digits"])
def test_planning_imports_nothing_heavy_but_numpy(
    folder: FolderMaker, windows_study: StudyMaker, tmp_path: Path, kind: str
) -> None:
    block = {"dir": str(folder())} if kind == "files" else {"source": kind}
    study = windows_study(block).model_dump_json()
    code = (
        "from phasetune import Study, plan_study\n"
        f"plan_study(Study.model_validate_json({study!r}), results={str(tmp_path / 'results')!r})"
    )
    assert not (HEAVY - {"numpy"}) & modules_after(code)


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{MODULES}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))
