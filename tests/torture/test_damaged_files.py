"""Each kind of file below a results root is torn, emptied, lost or flipped, one by one."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import Study
from torture.crashing import CRASHED, Fault, left_by, ran, steps

CUT_AT = 60

NAMED_BELOW = ("phases", "trials", "attempts", "prepare", "train", "test")

Damage = Callable[[Path], object]


def tear(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_the_last_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        draw = random.Random(path.name)  # noqa: S311 - a place, no secret
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(200))  # noqa: S311 - no secret


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def say_nothing(path: Path) -> None:
    path.write_text("{}")


def say_something_else(path: Path) -> None:
    """Of a document each value is another kind of thing; what is none is left alone."""
    with suppress(ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            path.write_text(json.dumps(dict.fromkeys(content, 5)))


def say_more(path: Path) -> None:
    with suppress(ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            path.write_text(json.dumps({**content, "more": [1]}))


DAMAGES = (
    tear,
    cut_the_last_byte,
    empty,
    flip_a_bit,
    fill_with_garbage,
    replace_by_a_folder,
    say_nothing,
    say_something_else,
    say_more,
    Path.unlink,
)


@pytest.fixture(scope="module")
def study(scripted_study: StudyMaker) -> Study:
    failing = {"train.value": [0.2, 0.6, 0.4], "train.fault": ["none", "raise"]}
    rest = scripted_study().model_dump(mode="json")["phases"][1:]
    return scripted_study(phases=[{"name": "value", "grid": failing}, *rest])


@pytest.fixture(scope="module")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("finished") / "results"
    assert ran(study, results) == 0
    return results


@pytest.fixture(scope="module")
def interrupted(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Killed while a run was writing its checkpoints."""
    results = tmp_path_factory.mktemp("interrupted") / "results"
    assert ran(study, results, Fault(kind="before", number=CUT_AT)) == CRASHED
    return results


def one_of_each_kind(results: Path) -> Iterator[str]:
    """Of all files that are called the same, but for names, keys and numbers, the first one."""
    seen = set[tuple[str, ...]]()
    for path in sorted(results.rglob("*")):
        parts = path.relative_to(results).parts
        kind = tuple(
            part for before, part in pairwise(("", *parts)) if not is_name(part, before=before)
        )
        if path.is_file() and kind not in seen:
            seen.add(kind)
            yield "/".join(parts)


def is_name(part: str, *, before: str) -> bool:
    return before in NAMED_BELOW or len(part) > 20 or part.startswith("checkpoint_")


def survives(study: Study, left: Path, results: Path, name: str, damage: Damage) -> None:
    """The same command mends it; or says which file it can't read, and mends it without."""
    expected = left_by(study, left) if (left / study.name / "report.json").exists() else None
    shutil.copytree(left, results)
    damage(results / name)
    what = f"{name}: {getattr(damage, '__name__', damage)}"
    code = ran(study, results)
    if code == 2:
        told = results.with_suffix(".error").read_text()
        assert str(results / name) in told, what
        assert "\n" not in told, what
        (results / name).rename(results.with_suffix(".moved"))
        code = ran(study, results)
    assert code == 0, what
    if expected is not None:
        assert left_by(study, results) == expected, what


def test_each_kind_of_file_in_some_way(study: Study, finished: Path, tmp_path: Path) -> None:
    for number, name in enumerate(one_of_each_kind(finished)):
        damage = DAMAGES[number % len(DAMAGES)]
        survives(study, finished, tmp_path / str(number), name, damage)


@pytest.mark.torture
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_a_finished_study_left(
    study: Study, finished: Path, tmp_path: Path, damage: Damage
) -> None:
    for number, name in enumerate(one_of_each_kind(finished)):
        survives(study, finished, tmp_path / str(number), name, damage)


@pytest.mark.torture
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_an_interrupted_study_left(
    study: Study, interrupted: Path, finished: Path, tmp_path: Path, damage: Damage
) -> None:
    for number, name in enumerate(one_of_each_kind(interrupted)):
        results = tmp_path / str(number)
        survives(study, interrupted, results, name, damage)
        assert left_by(study, results) == left_by(study, finished), name
        assert steps(results)
