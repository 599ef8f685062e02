"""What a running study does on a disk that is nearly full."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study
from phasetune.api import run_study
from phasetune.run import driver
from phasetune.run.events import Noticed, RunReported, RunStarted
from phasetune.run.upkeep import Upkeep
from phasetune.store.space import DiskSpace
from stored import Does, cut_off, finished, names_below

MIB = 1024**2

Free = Callable[[int], None]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Let so many MiB of a disk of 100,000 be free."""

    def let(mib: int) -> None:
        space = DiskSpace(total=100_000 * MIB, free=mib * MIB)
        monkeypatch.setattr(driver, "Upkeep", partial(Upkeep, space=lambda _: space))

    return let


def keeping(make: StudyMaker, *phases: list[float]) -> Study:
    """Runs that keep 30 KiB each, a phase per list of values."""
    content: dict[str, Any] = {"workload": "keeps", "constraints": []}
    named = [{"name": f"p{i}", "grid": {"fit.value": found}} for i, found in enumerate(phases)]
    return make(**content, phases=named, final={"refit": False, "test": False})


def told(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed) if event.message.startswith("warning")]


@pytest.mark.parametrize(("mib", "stay"), [(10_000, 9), (9_999, 3)])
def test_below_a_tenth_all_goes_that_nothing_needs(
    scripted_study: StudyMaker, tmp_path: Path, free: Free, heard: Heard, mib: int, stay: int
) -> None:
    free(mib)
    study = keeping(scripted_study, [0.1, 0.9, 0.3])
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    assert len(list(tmp_path.rglob("state.pt"))) == stay
    assert len(told(heard)) == (0 if mib == 10_000 else 1)
    assert all("less than 10% of the disk that holds" in message for message in told(heard))


def cut_twice(study: Study, results: Path) -> tuple[Path, Path]:
    """The checkpoints of one run that two attempts left: of step 1 and of step 2."""
    cut_off(study, results, after=4)
    cut_off(study, results, after=1)
    older, newest = sorted(results.rglob("checkpoint_*"))
    return older, newest


def test_checkpoints_of_older_attempts_go(
    scripted_study: StudyMaker, tmp_path: Path, free: Free
) -> None:
    older, newest = cut_twice(scripted_study(), tmp_path)
    free(9_999)
    there = Does(RunStarted, lambda: (older.exists(), newest.exists()))
    run_study(scripted_study(), results=tmp_path, in_process=True, listener=there)
    assert there.results[0] == (False, True)


@pytest.mark.parametrize(("text", "first_step"), [(None, 3), ("torn", 2)])
def test_a_run_goes_on_from_the_newest_that_verifies(
    scripted_study: StudyMaker,
    tmp_path: Path,
    free: Free,
    heard: Heard,
    text: str | None,
    first_step: int,
) -> None:
    _, newest = cut_twice(scripted_study(), tmp_path)
    if text is not None:
        (newest / "state.json").write_text(text)
    free(9_999)
    run_study(scripted_study(), results=tmp_path, in_process=True, listener=heard)
    assert next(event.step for event in heard.of(RunReported)) == first_step


def test_without_room_for_a_wave_the_study_stops_and_goes_on_when_there_is_some(
    scripted_study: StudyMaker, tmp_path: Path, free: Free, heard: Heard
) -> None:
    finished(keeping(scripted_study, [0.1, 0.9, 0.3]), tmp_path)
    before = names_below(tmp_path / "store")
    study = keeping(scripted_study, [0.1, 0.9, 0.3], [0.2, 0.4])
    free(200)
    with pytest.raises(StoreError) as caught:
        run_study(study, results=tmp_path, in_process=True, listener=heard)
    usage, largest, way_out = caught.value.problems
    assert "has 200 MiB of 97.7 GiB free, but the next wave of runs needs about 256 MiB" in usage
    assert largest.count("store/fit/") == 3
    assert f"`phasetune gc {tmp_path}`" in way_out
    assert f"`phasetune checkpoints {tmp_path}`" in way_out
    assert not heard.of(RunStarted)
    gone = before - names_below(tmp_path / "store")
    assert len(gone) == 12, "two files of each checkpoint, but not the winner's"
    assert all("/checkpoints/" in name for name in gone)
    free(300)
    assert finished(study, tmp_path).exit_code == 0
