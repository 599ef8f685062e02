"""What is said at the end of a command, and by `best`."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import StudyWriter, phasetune

ONE: list[dict[str, Any]] = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]
TWO: dict[str, Any] = {"name": "two", "grid": {"train.steps": [3, 4]}}
FAILING: list[dict[str, Any]] = [
    {"name": "one", "points": [{"train.fault": "raise"}, {"train.value": 0.6}]}
]


def test_the_end_of_a_run(written: StudyWriter, folder: Path) -> None:
    said = phasetune("run", written(phases=ONE, params={"test": {"value": 0.1}}), "--in-process")
    assert said.code == 0
    for text in (
        "Phase one trial score other standing",
        "* one-value=0.6 0.6000 1.0000 feasible",
        "one-value=0.6 wins: best score 0.6000 among the 2 of 2 trials with other >= 0.3.",
        "one-value=0.6 is 0.4000 ahead of one-value=0.2.",
        "The winner, trained on all training data, on the test data, once: score 0.1000",
        "Executed 5 of 5 distinct runs, for the 7 that trials take alone.",
        "Next: phasetune best results --study scripted",
    ):
        assert text in said.words
    paths = re.findall(r"^(?:Analysis|Report|Final \w+|Trials by name) +(\S+)$", said.out, re.M)
    assert len(paths) == 5
    assert all((folder / path).exists() for path in paths)


def test_what_a_trial_takes_alone_counts_what_its_own_replicates_share_once(
    written: StudyWriter,
) -> None:
    said = phasetune("run", written(phases=ONE, replicates={"folds": 2}), "--in-process")
    # a trial prepares once and trains twice, the final one prepares, trains and tests
    assert "Executed 7 of 7 distinct runs, for the 9 that trials take alone." in said.words


def test_what_failed_is_listed_with_its_traceback(
    written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = written(phases=FAILING)
    monkeypatch.setattr(sys, "argv", ["phasetune", "run", "study.yaml", "seed=3", "--in-process"])
    said = phasetune("run", study, "seed=3", "--in-process")
    assert said.code == 0
    assert (
        "1 failed: - train fault=raise fold 1/5: ValueError: scripted failure at step 1"
        in said.words
    )
    (path,) = re.findall(r"^  (/\S+traceback\.txt)$", said.out, re.MULTILINE)
    assert "scripted failure" in Path(path).read_text()
    assert "Executed 5 of 5 distinct runs" in said.words
    again = "Try failed runs again: phasetune run study.yaml seed=3 --in-process --retry-failed"
    assert again in said.words


def test_where_all_that_ran_failed_it_is_not_called_nothing(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE), "--in-process")
    broken = written(name="broken", phases=ONE, params={"train": {"fault": "raise"}})
    said = phasetune("run", broken, "--in-process")
    assert said.code == 1
    assert "Nothing" not in said.out
    assert "Executed 2 of 3 distinct runs" in said.words
    again = phasetune("run", broken, "--in-process")
    assert again.code == 1
    assert "Nothing to do: what is not stored failed before, or needs what failed" in again.words
    retried = phasetune("run", broken, "--in-process", "--retry-failed")
    assert "Executed 2 of 3 distinct runs" in retried.words


def test_decisions_made_without_executing_are_not_called_standing(written: StudyWriter) -> None:
    no_final = {"refit": False, "test": False}
    phasetune("run", written(phases=ONE, final=no_final), "--in-process")
    for changes in ({"objective": {"metric": "score", "mode": "min"}}, {"name": "other"}):
        study = written(**{"phases": ONE, "final": no_final, **changes})
        said = phasetune("run", study, "--in-process")
        assert "Nothing to execute: all 3 runs are stored; decisions were made" in said.words
        assert "Nothing to do: all 3 runs" in phasetune("run", study, "--in-process").words


def test_nothing_feasible_says_who_came_closest(written: StudyWriter) -> None:
    said = phasetune("run", written(phases=ONE, constraints=["score >= 0.9"]), "--in-process")
    assert said.code == 3
    closest = "one-value=0.6 came closest, missing score >= 0.9 by 0.3; nothing was decided"
    assert closest in said.words
    assert "Final settings" not in said.out


def test_a_warning_is_said(written: StudyWriter) -> None:
    study = written(phases=ONE, objective={"metric": "score", "on": "test"})
    assert (
        "warning: Winners are chosen on the test data"
        in phasetune("run", study, "--in-process").words
    )


def test_no_width_cuts_a_word_off(written: StudyWriter) -> None:
    constraints = ["other >= 0.3", "prepare_score >= 0", "prepare_other >= 0"]
    study = written(phases=ONE, constraints=constraints)
    for columns in (30, 60, 80):
        run = phasetune("run", study, "--in-process", columns=columns)
        best = phasetune("best", "results", columns=columns)
        assert (run.code, best.code) == (0, 0)
        assert "one-value=0.6" in run.out
        assert "…" not in run.out + best.out
        assert max(len(line) for line in best.out.splitlines()) <= columns


def test_one_trial(written: StudyWriter, folder: Path) -> None:
    said = phasetune("trial", written(), "value-value=0.4", "--in-process")
    assert said.code == 0
    assert "Trial value-value=0.4 of phase value" in said.words
    assert "score = 0.4000" in said.words
    kept = "results/scripted/trials/value-value=0.4/results.json"
    assert said.words.endswith(f"Results: {kept}")
    assert (folder / kept).exists()
    assert not list(folder.rglob("decision.json"))


def test_a_trial_that_fails(written: StudyWriter) -> None:
    said = phasetune(
        "trial", written(params={"train": {"fault": "raise"}}), "value-value=0.4", "--in-process"
    )
    assert said.code == 1
    assert (
        "1 failed: - train value=0.4 fold 1/5: ValueError: scripted failure at step 1" in said.words
    )


def test_best_in_words(written: StudyWriter) -> None:
    phasetune("run", written(), "--in-process", "--phase", "value")
    partial = phasetune("best", "results")
    assert partial.code == 0
    assert "value value-value=0.6 wins: best score 0.6000" in partial.words
    assert "The study is not complete; `phasetune run` goes on with it." in partial.words
    phasetune("run", written(), "--in-process")
    said = phasetune("best", "results", "--study", "scripted")
    assert said.words.startswith("Study scripted value value-value=0.6 wins:")
    assert "steps steps-steps=3 wins:" in said.words
    assert "Final settings" in said.out
    assert "\n  train.value = 0.6\n" in said.out
    assert (
        "The winner, trained on all training data, on the test data, once: score 0.5000"
        in said.words
    )
    assert "not complete" not in said.out


def test_best_as_yaml_runs_from_elsewhere_and_computes_nothing(
    written: StudyWriter, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phasetune("run", written(), "--in-process")
    text = phasetune("best", "results", "--yaml", columns=40).out
    elsewhere = folder / "else where"
    elsewhere.mkdir()
    (elsewhere / "best.yaml").write_text(text)
    monkeypatch.chdir(elsewhere)
    said = phasetune("run", "best.yaml", "--in-process", "--results", folder / "results")
    assert said.code == 0
    assert "Nothing to execute: all 4 runs are stored" in said.words
    assert f"phasetune best {folder / 'results'} --study scripted-best" in said.out
    assert not (elsewhere / "results").exists()


def test_several_studies_are_shown_but_only_one_is_yaml(written: StudyWriter) -> None:
    for name in ("one", "two"):
        phasetune("run", written(name=name, phases=ONE), "--in-process")
    both = phasetune("best", "results")
    assert [line for line in both.out.splitlines() if line.startswith("Study")] == [
        "Study one",
        "Study two",
    ]
    refused = phasetune("best", "results", "--yaml")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: results holds several studies (one, two); choose one with --study\n"
    )
    assert "name: two-best" in phasetune("best", "results", "--yaml", "--study", "two").out


def test_without_a_decision_there_is_no_yaml(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE, constraints=["score >= 2"]), "--in-process")
    said = phasetune("best", "results", "--yaml")
    assert (said.code, said.out) == (2, "")
    assert "error: scripted: nothing was decided yet" in said.err


def test_a_results_root_with_spaces_can_be_pasted(written: StudyWriter) -> None:
    said = phasetune("run", written(phases=ONE), "--in-process", "--results", "my results")
    assert "Next: phasetune best 'my results' --study scripted" in said.out


def test_what_to_type_next_is_what_shows_more(written: StudyWriter, folder: Path) -> None:
    def following(*arguments: str) -> list[str]:
        said = phasetune("run", written(phases=[*ONE, TWO]), "--in-process", *arguments)
        return said.out.partition("Next: ")[2].replace("      ", "").splitlines()

    best = "phasetune best results --study scripted"
    compare = "phasetune compare results --study scripted"
    status = "phasetune status results --study scripted"
    assert following("--phase", "one") == [best, compare, status]
    assert following() == [best, compare]
    (folder / "results/mlflow.db").touch()
    assert following() == [best, compare, "phasetune ui results"]


def test_a_page_to_look_at_is_named_where_it_is(written: StudyWriter, folder: Path) -> None:
    study = written(phases=ONE)
    phasetune("run", study, "--in-process")
    page = folder / "results/scripted/report.html"
    for is_there in (True, False):
        page.touch() if is_there else page.unlink()
        said = phasetune("run", study, "--in-process")
        assert ("Look at it      results/scripted/report.html" in said.out) is is_there


def test_what_a_failure_says_drives_no_terminal(
    written: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(*_: object) -> None:
        raise ValueError("boom \x1b[31m red")

    monkeypatch.setattr("scripted.follow", follow)
    said = phasetune("run", written(phases=ONE), "--in-process")
    assert said.out.count("ValueError: boom ?[31m red") >= 2
    assert "\x1b" not in said.out


def test_nothing_to_decide_from_suggests_no_best(written: StudyWriter) -> None:
    study = written(phases=ONE, constraints=["score >= 2"])
    assert "phasetune best" not in phasetune("run", study, "--in-process").out
