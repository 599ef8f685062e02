"""A plan in words and as JSON, and that a run is refused that would not fit on the disk."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import StudyWriter, phasetune
from conftest import TESTS
from phasetune.api import ask
from phasetune.cli.plan import duration_text
from phasetune.run import driver, upkeep
from phasetune.run.upkeep import Upkeep
from phasetune.store.space import DiskSpace

ONE: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def test_a_new_study_in_words(written: StudyWriter) -> None:
    said = phasetune("plan", written(replicates={"folds": 2}))
    assert said.code == 0
    for text in (
        "Study scripted: 3 phases, 7 trials, 5 distinct settings",
        "1. value: 3 trials x 2 replicates",
        "9 runs asked for, 7 new here, 7 to execute",
        "- value-value=0.2 - value-value=0.6 - value-value=0.4",
        "train 15 11 0 11",
        "test 1 1 0 1",
        "prepare 8 2 0 2",
        "Shared by the trials: prepare 2 instead of 7, train 10 instead of 14.",
        "In all 14 runs instead of 24, with baselines, the final refit and test.",
        "Each run takes one GPU where there are any, else 1 CPU.",
        "Cost: no estimate, since no run of prepare, train, test is stored yet.",
    ):
        assert text in said.words


def test_planning_writes_nothing(written: StudyWriter, folder: Path) -> None:
    study = written()
    assert phasetune("plan", study, "--check-data").code == 0
    assert list(folder.iterdir()) == [study]


def test_what_is_decided_and_stored_is_said(written: StudyWriter) -> None:
    study = written(params={"train": {"seconds": 0.01}})
    phasetune("run", study, "--in-process", "--phase", "1")
    said = phasetune("plan", study)
    assert "1. value: 3 trials; decided: value-value=0.6" in said.words
    assert "6 runs asked for, 4 new here, 0 to execute" in said.words
    assert "prepare 8 2 1 1" in said.words
    assert "Cost: no estimate, since no run of test is stored yet." in said.words
    phasetune("run", study, "--in-process")
    assert "Cost: none, everything is stored." in phasetune("plan", study).words
    more = phasetune("plan", study, "seed=12")
    assert "of computing, one run after the other (from stored runs)." in more.words
    assert "Cost: about" in more.words


def test_json_has_the_counts(written: StudyWriter) -> None:
    document = json.loads(phasetune("plan", written(), "--json", columns=40).out)
    assert (document["trials"], document["settings"]) == (7, {"low": 5, "high": 5})
    assert [phase["name"] for phase in document["phases"]] == ["value", "preparation", "steps"]
    stages = {stage["stage"]: stage for stage in document["stages"]}
    assert stages["prepare"]["distinct"] == {"low": 2, "high": 2}
    assert stages["train"]["missing"] == {"low": 6, "high": 6}
    assert document["is_exhaustive"]
    assert document["keys_known"]
    assert document["cost"]["low_seconds"] is None
    assert document["takes"] == "Each run takes one GPU where there are any, else 1 CPU."


@pytest.fixture
def half_a_gib_free(monkeypatch: pytest.MonkeyPatch) -> None:
    space = DiskSpace(total=1024**3, free=1024**3 // 2)
    monkeypatch.setattr(ask, "disk_free", lambda _: space)


def test_what_the_disk_will_hold_is_one_line(written: StudyWriter, half_a_gib_free: None) -> None:
    study = written()
    unknown = "no run of prepare, train, test is stored yet"
    new = phasetune("plan", study).words
    assert new.endswith(f"Disk: no estimate, since {unknown}; 512 MiB free.")
    phasetune("run", study, "--in-process", "--phase", "1")
    part = phasetune("plan", study).words
    assert re.search(
        r"Disk: about \d\.\d KiB more, and what is unknown, since no run of test is stored yet; "
        r"512 MiB free\.$",
        part,
    )
    phasetune("run", study, "--in-process")
    assert phasetune("plan", study).words.endswith("Disk: nothing more, 512 MiB free.")
    again = phasetune("plan", study, "seed=12").words
    assert re.search(r"Disk: about \d+\.\d KiB more; 512 MiB free\.$", again)
    document = json.loads(phasetune("plan", study, "seed=12", "--json").out)
    assert document["disk"]["low_bytes"] == document["disk"]["high_bytes"] > 1000
    assert document["disk"]["free_bytes"] == 512 * 1024**2


MUCH = [{"name": "one", "grid": {"train.value": [number / 100 for number in range(20)]}}]


@pytest.mark.parametrize(("free", "is_refused"), [(9, True), (100, False)])
def test_a_run_that_would_not_fit_is_refused_before_it_starts(
    written: StudyWriter,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    is_refused: bool,
) -> None:
    phasetune("run", written(phases=ONE), "--in-process")
    space = DiskSpace(total=100 * 1024, free=free * 1024)
    monkeypatch.setattr(driver, "Upkeep", partial(Upkeep, space=lambda _: space))
    monkeypatch.setattr(upkeep, "needed_bytes", lambda *_, **__: 0)
    said = phasetune("run", written("more.yaml", name="more", phases=MUCH), "--in-process")
    if not is_refused:
        assert said.code == 0
        return
    assert said.code == 2
    usage, largest, way_out = said.err.splitlines()[-3:]
    assert re.search(
        r"has 9\.0 KiB of 100 KiB free, but the 20 runs to execute in phase one leave about "
        r"\d+\.\d KiB, by the mean of what is stored; none of them was started$",
        usage,
    )
    assert "the largest artifacts: " in largest
    assert f"`phasetune gc {folder / 'results'}`" in way_out
    assert not (folder / "results" / "more" / "study.yaml").exists()
    assert len(list((folder / "results" / "store" / "train").iterdir())) == 3


def test_checkpoints_that_can_go_are_room(
    written: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"workload": "keeps", "constraints": [], "final": {"refit": False, "test": False}}
    phases = [{"name": "one", "grid": {"fit.value": [0.1, 0.9, 0.3]}}]
    phasetune("run", written(phases=phases, **kept), "--in-process")
    space = DiskSpace(total=100 * 1024, free=1024)
    monkeypatch.setattr(driver, "Upkeep", partial(Upkeep, space=lambda _: space))
    monkeypatch.setattr(upkeep, "needed_bytes", lambda *_, **__: 0)
    phases[0]["grid"] = {"fit.value": [0.1, 0.9, 0.3, 0.4, 0.5]}
    said = phasetune("run", written(phases=phases, **kept), "--in-process")
    assert said.code == 0, said.err


def test_what_changed_since_the_last_run_is_shown(written: StudyWriter) -> None:
    study = written(phases=ONE)
    assert json.loads(phasetune("plan", study, "--json").out)["changes"] == []
    phasetune("run", study, "--in-process")
    seed = "changed since the last run: seed: 11 -> 12"
    decision = "the decision of phase one is made again; the old one is kept"
    said = phasetune("plan", study, "seed=12")
    assert f"{seed} {decision} Cost:" in said.words
    document = json.loads(phasetune("plan", study, "seed=12", "--json").out)
    assert document["changes"] == [seed, decision]


def test_missing_data_is_a_warning(written: StudyWriter) -> None:
    study = written(data={"missing": "test"})
    said = phasetune("plan", study)
    assert said.code == 0
    assert "warning: data: the part 'test' can't be read" in said.words
    assert "keys are unknown until it is there" in said.words
    assert not json.loads(phasetune("plan", study, "--json").out)["keys_known"]
    assert phasetune("plan", study, "--check-data").code == 2


def test_ranges_and_an_extra_baseline(written: StudyWriter) -> None:
    phases = [
        {"name": "first", "grid": {"prepare.value": [0.1, 0.2]}},
        {
            "name": "second",
            "points": [{"prepare.value": 0.2, "train.value": 0.9}, {"train.steps": 4}],
        },
    ]
    said = phasetune("plan", written(phases=phases, baseline={"prepare.value": 0.1}))
    assert "2. second: 2 trials, and the baseline" in said.words
    assert "6 runs asked for, 2 new here, 2 to execute" in said.words
    points = [
        {"prepare.value": 0.2},
        {"prepare.steps": 4},
        {"prepare.value": 0.2, "prepare.steps": 4, "train.steps": 9},
    ]
    ranged = phasetune("plan", written(phases=[phases[0], {"name": "second", "points": points}]))
    assert "6 runs asked for, 3-4 new here, 3-4 to execute" in ranged.words
    assert "prepare 6 3-4 0 3-4" in ranged.words


def test_what_only_the_final_trial_takes_is_not_said_to_be_shared(written: StudyWriter) -> None:
    one = written(phases=ONE, baseline={"train.value": 0.9})
    # each of two trials and of the baseline takes 1 + 1 runs, the final one 1 + 1 + 1
    shared = "Shared by the trials: prepare 1 instead of 2, train 2 instead of 2. In all 6 runs"
    assert f"{shared} instead of 9, with baselines" in phasetune("plan", one).words


def test_what_is_shared_is_a_range_where_it_depends_on_winners(written: StudyWriter) -> None:
    phases = [
        {"name": "first", "grid": {"prepare.value": [0.1, 0.2]}},
        {"name": "second", "points": [{"prepare.value": 0.2}, {"prepare.steps": 4}]},
        {"name": "third", "points": [{"prepare.value": 0.2, "train.steps": 4}]},
    ]
    said = phasetune("plan", written(phases=phases, final={"refit": False, "test": False}))
    # 0.1, 0.2 and one of 0.1/4, 0.2/4; after 0.1/4 the third phase's 0.2/4 is new as well
    shared = "Shared by the trials: prepare 3-4 instead of 5, train 4 instead of 5."
    assert f"{shared} In all 7-8 runs instead of 10" in said.words


def test_too_many_winners_are_said(written: StudyWriter) -> None:
    many = {"name": "many", "grid": {"train.value": [number / 2000 for number in range(1001)]}}
    said = phasetune("plan", written(phases=[many, {"name": "last", "points": [{}]}]))
    assert "Too many possible winners to go through" in said.words
    assert "... and 989 more" in said.words


LONG_STAGES = """
from pydantic import BaseModel
from phasetune import Stage

class Nothing(BaseModel):
    value: float = 0.0

class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part

STAGES = tuple(
    Stage(name=f"{verb}_the_digits_without_their_labels", params=Nothing,
          function="long_stages:none", reads=("train",))
    for verb in ("represent", "classify")
)
"""


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_width_cuts_a_word_off(written: StudyWriter, folder: Path, columns: int) -> None:
    (folder / "long_stages.py").write_text(LONG_STAGES)
    stage = "represent_the_digits_without_their_labels"
    name = "a-trial-of-quite-a-long-name-{" + f"{stage}.value" + "}"
    phases = [{"name": "one", "grid": {f"{stage}.value": [1.0]}, "trial_name": name}]
    study = written(workload="long_stages", import_from=[], phases=phases, constraints=[])
    said = phasetune("plan", study, columns=columns)
    assert said.code == 0
    assert "…" not in said.out
    assert all(len(line) <= columns for line in said.out.splitlines())
    joined = "".join(line.strip() for line in said.out.splitlines())
    assert stage in joined
    assert "a-trial-of-quite-a-long-name-1.0" in joined


def test_a_narrow_terminal_has_lines_instead_of_a_table(written: StudyWriter) -> None:
    study = written(phases=ONE)
    wide, narrow = (phasetune("plan", study, columns=columns) for columns in (60, 40))
    assert "prepare 3 1 0 1" in wide.words
    assert "prepare: 3 asked for, 1 distinct, 0 stored, 1 to execute" in narrow.words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_study_s_folder_is_importable_from_anywhere(
    written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (TESTS / "scripted.py").read_text().replace("scripted:", "moved_script:")
    study = written("below/study.yaml", workload="moved_script", import_from=[], phases=ONE)
    (study.parent / "moved_script.py").write_text(source)
    assert phasetune("plan", "below/study.yaml").code == 0
