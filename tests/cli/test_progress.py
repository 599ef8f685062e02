"""What is said while a study runs."""

from cli.conftest import StudyWriter, phasetune

ONE = [{"name": "one", "grid": {"train.value": [0.2, 0.6]}}]


def test_a_new_study_goes_on_and_then_has_nothing_to_do(written: StudyWriter) -> None:
    study = written()
    first = phasetune("run", study, "--in-process", "--phase", "value")
    assert first.out.splitlines()[0] == "study scripted is new; results in results/scripted"
    again = phasetune("run", study, "--in-process")
    goes_on = "study scripted goes on: what is stored is not run again; results in results/scripted"
    assert goes_on in again.out.splitlines()
    assert "phase 1/3 value: 3 trials; prepare 1 for 3, train 3; all stored" in again.out
    done = phasetune("run", study, "--in-process")
    assert "goes on" not in done.out
    assert "is new" not in done.out
    assert "Nothing to do: all 9 runs are stored; decisions stand." in done.words


def test_going_on_with_the_final_alone_is_said(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE, final={"refit": False, "test": False}), "--in-process")
    said = phasetune("run", written(phases=ONE), "--in-process")
    assert "study scripted goes on" in said.words
    assert "Executed 2 of 5 distinct runs" in said.words


def test_each_run_is_a_line(written: StudyWriter) -> None:
    lines = phasetune("run", written(phases=ONE), "--in-process").out.splitlines()
    assert lines[1] == "phase 1/1 one: 2 trials; prepare 1 for 2, train 2; 3 to execute"
    starts = [line.rpartition("  score ")[0].rpartition("  ")[0] for line in lines[2:5]]
    assert starts == [
        "done    1/3 prepare",
        "done    2/3 train value=0.2 fold 1/5",
        "done    3/3 train value=0.6 fold 1/5",
    ]
    assert lines[4].endswith("score 0.6000")
    assert lines[5].startswith("phase one: one-value=0.6 wins: best score 0.6000")
    assert lines[6].startswith("done    1/1 train  ")
    assert lines[7].startswith("done    2/2 test  ")


def test_lines_are_not_wrapped(written: StudyWriter) -> None:
    said = phasetune("run", written(phases=ONE), "--in-process", columns=30)
    assert "phase 1/1 one: 2 trials; prepare 1 for 2, train 2; 3 to execute\n" in said.out


def test_a_failed_run_is_a_line(written: StudyWriter) -> None:
    points = [{"train.fault": "raise"}, {"train.value": 0.6}]
    said = phasetune("run", written(phases=[{"name": "one", "points": points}]), "--in-process")
    assert (
        "FAILED  2/3 train fault=raise fold 1/5: ValueError: scripted failure at step 1" in said.out
    )


def test_a_decision_made_again_is_said(written: StudyWriter) -> None:
    phasetune("run", written(phases=ONE), "--in-process")
    study = written(phases=ONE, objective={"metric": "score", "mode": "min"})
    said = phasetune("run", study, "--in-process")
    assert "(decided again: what it was decided from has changed)" in said.out
    assert "changed since the last run: objective.mode: unset -> min" in said.out
