"""The command `phasetune sync`."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from followed import go, small_study, told
from phasetune.cli.main import app
from phasetune.store import lease
from phasetune.store.driver_lock import driver_place, driving
from phasetune.store.owner import Owner
from phasetune.store.paths import ResultsPaths
from phasetune.tracking.contract import Unavailable
from scripted_tracker import Scripted, faults_of
from shared_storage import mounted_results as mounted_results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def sync(*arguments: str | Path) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, ["sync", *map(str, arguments)], env={"COLUMNS": "100"})
    return done.exit_code, done.output.splitlines()


def test_a_study_that_was_told_nothing_yet_is_told_all(results: Path) -> None:
    go(small_study(tracking="none"), results)
    target = results.parent / "lines.jsonl"
    code, said = sync(results, "--tracking", f"jsonl={target}")
    assert (code, said) == (0, [f"scripted: jsonl ({target}) was told all of 4 records"])
    code, said = sync(results, "--tracking", f"jsonl={target}")
    assert (code, said) == (0, [f"scripted: jsonl ({target}) was told all of 4 records"])
    assert len(target.read_text().splitlines()) == 4 + 4 + 4


def test_each_study_below_the_root_is_told(results: Path) -> None:
    for name in ("one", "two"):
        go(small_study(name=name), results)
        (results / name / "tracking" / "records.jsonl").unlink()
    assert sync(results, "--study", "two")[0] == 0
    assert told(results, "one") == {}
    assert sync(results)[0] == 0
    assert faults_of(told(results, "one")) == faults_of(told(results, "two")) == []


def test_a_study_with_a_living_driver_is_passed_over(results: Path) -> None:
    go(small_study(), results)
    with driving(ResultsPaths(results), "scripted"):
        code, said = sync(results)
    assert code == 0
    assert said[0].startswith("scripted: passed over: another driver works on ")
    assert f"pid {os.getpid()}" in said[0]


def test_a_study_that_is_told_to_nobody_says_so(results: Path) -> None:
    go(small_study(tracking="none"), results)
    assert sync(results) == (
        0,
        ["scripted: passed over: it is told to no tracker (tracking: none)"],
    )


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A tracker whose server does not answer."""

    def before(call: str, record: str) -> None:
        if call == "connect":
            raise Unavailable("https://me:hunter2@host.example does not answer")

    made = Scripted(before=before)
    monkeypatch.setattr("phasetune.tracking.trackers.open_tracker", lambda *args, **more: made)
    monkeypatch.setattr("phasetune.api.syncing.backoff_seconds", lambda tries: 0.0)
    return made


def test_what_still_waits_is_said_with_the_reason(results: Path, down: Scripted) -> None:
    go(small_study(tracking="none"), results)
    code, said = sync(results, "--tracking", "jsonl")
    reason = "https://me:***@host.example does not answer"
    assert (code, said) == (1, [f"scripted: jsonl (memory): 4 still to tell: {reason}"])
    assert [call for call, _ in down.calls] == ["connect"] * 3 + ["close"]
    down.before = lambda call, record: None
    assert sync(results, "--tracking", "jsonl")[0] == 0
    assert faults_of(down.known) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tracking", "mlflw"], "error: --tracking: must be none or name trackers, but names "),
        (["--study", "other"], "holds no study 'other'; it holds: scripted"),
    ],
)
def test_wrong_input_is_a_sentence(results: Path, arguments: list[str], message: str) -> None:
    go(small_study(tracking="none"), results)
    code, said = sync(results, *arguments)
    assert code == 2
    assert message in said[0]


def test_a_folder_without_a_study_is_told(tmp_path: Path) -> None:
    code, said = sync(tmp_path)
    assert code == 2
    assert "holds no study; name a results root" in said[0]


def test_whoever_waits_to_know_whether_a_driver_lives_is_told(
    mounted_results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(small_study(), Path(mounted_results))
    elsewhere = replace(Owner.of_this_process(), boot="another", host="node7")
    place = driver_place(ResultsPaths(Path(mounted_results)), "scripted")
    place.look()
    assert place.claim(elsewhere.content + b"token 1\n")
    monkeypatch.setattr(lease, "WATCH_SECONDS", 0.1)
    code, said = sync(mounted_results)
    assert code == 0
    assert said[0].startswith("from here it can't be seen whether pid ")
    assert len(said) > 1
