"""Commands from outside: what they say, how they end, what they import."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import StudyWriter, command, phasetune
from conftest import TESTS

HEAVY = {"ray", "torch", "mlflow", "pandas", "sklearn"}
OWN_WORKLOAD = TESTS.parent / "experiments" / "own_workload" / "study.yaml"

IMPORTS = """
import sys
from phasetune.cli.main import app
try:
    app(sys.argv[1:], prog_name="phasetune")
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""

FUNCTIONS = """
from pathlib import Path
from phasetune import Study

def small() -> Study:
    return Study.model_validate({
        "name": "small", "workload": "scripted", "import_from": [TESTS],
        "objective": {"metric": "score"}, "phases": [{"name": "one", "points": [{}]}],
    })

def wrong() -> Study:
    return Study.model_validate({"name": "wrong", "workload": "scripted"})
"""

OPTIONS = {
    "plan": ["STUDY", "KEY.PATH=VALUE", "--results", "--json", "--check-data", "--debug"],
    "run": [
        "STUDY",
        "KEY.PATH=VALUE",
        "--phase",
        "--results",
        "--max-concurrent",
        "--address",
        "--in-process",
        "--retry-failed",
        "--strict-environment",
        "--debug",
    ],
    "trial": ["STUDY", "NAME", "KEY.PATH=VALUE", "--results", "--in-process", "--debug"],
    "best": ["RESULTS", "--study", "--yaml", "--debug"],
}


def imported(*arguments: str | Path, folder: Path) -> tuple[str, set[str]]:
    """What a command says, and the packages that it imports."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *(str(argument) for argument in arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, set(done.stderr.splitlines()[-1].split())


def files_in(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize("name", OPTIONS)
def test_help_names_each_option(name: str) -> None:
    said = phasetune(name, "--help")
    assert said.code == 0
    assert not [option for option in [*OPTIONS[name], "--help"] if option not in said.out]
    overview = phasetune("--help")
    assert re.search(rf"^  {name} +[A-Z]", overview.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], {*HEAVY, "numpy", "pydantic", "ruamel", "rich"}),
        (["run", "--help"], {*HEAVY, "numpy", "ruamel", "rich"}),
    ],
)
def test_help_is_light(tmp_path: Path, arguments: list[str], absent: set[str]) -> None:
    out, modules = imported(*arguments, folder=tmp_path)
    assert "Usage: phasetune" in out
    assert "typer" in modules
    assert not modules & absent


def test_planning_and_a_finished_scripted_study_are_light(written: StudyWriter) -> None:
    study = written()
    assert phasetune("run", study, "--in-process").code == 0
    for name, said in (("plan", "Cost: none"), ("run", "Nothing to do: all 9 runs are stored")):
        out, modules = imported(name, study, folder=study.parent)
        assert said in out
        assert not modules & {*HEAVY, "numpy", "pyarrow"}


def test_planning_and_a_finished_study_of_digits_are_light(tmp_path: Path) -> None:
    one = 'phases=[{"name": "one", "points": [{}]}]'
    small: list[str | Path] = [OWN_WORKLOAD, one, "replicates.folds=2"]
    out, modules = imported("plan", *small, folder=tmp_path)
    assert "1 phase, 1 trial, 1 distinct settings" in out
    assert not modules & HEAVY
    done = command("run", *small, "--in-process", folder=tmp_path)
    assert done.code == 0, done.err
    out, modules = imported("run", *small, folder=tmp_path)
    assert "Nothing to do: all 5 runs are stored; decisions stand." in out
    assert not modules & HEAVY


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_a_large_grid_plans_in_little_memory(written: StudyWriter) -> None:
    grid = {"train.value": [n / 100 for n in range(100)], "prepare.value": list(range(50))}
    study = written(phases=[{"name": "large", "grid": grid}])
    code = IMPORTS + (
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    peak = next(line for line in lines if line.startswith('VmHWM:'))\n"
        "    print(peak.split()[1], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "plan", str(study), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["trials"] == 5000
    assert int(done.stderr.splitlines()[-1]) * 1024 < 300e6


def test_more_than_ten_thousand_trials_want_to_be_allowed(written: StudyWriter) -> None:
    grid = {"train.value": [n / 100 for n in range(101)], "prepare.value": list(range(100))}
    said = phasetune("plan", written(phases=[{"name": "large", "grid": grid}]))
    assert said.code == 2
    assert said.err == (
        "error: the study has 10100 trials; for more than 10000 set allow_large: true\n"
    )


WRONG: list[tuple[list[str], str]] = [
    (["plan", "none.yaml"], "there is no study file none.yaml"),
    (["run", "none.yaml"], "there is no study file none.yaml"),
    (["plan", "none.txt"], "a study must be a .yaml file or module:function, but is 'none.txt'"),
    (["plan", "broken.yaml"], "not valid YAML"),
    (["run", "list.yaml", "--in-process"], "must be a mapping of settings"),
    (["plan", "study.yaml", "seed"], "override 'seed' must be of the form key.path=value"),
    (["plan", "study.yaml", "sead=1"], "sead"),
    (["run", "study.yaml", "--in-process", "seed=x"], "seed"),
    (["run", "study.yaml", "--in-process", "--phase", "four"], "there is no phase 'four'"),
    (["run", "study.yaml", "--in-process", "--address", "auto"], "exclude each other"),
    (["trial", "study.yaml", "nobody", "--in-process"], "there is no trial 'nobody'"),
    (["run", "study.yaml", "--in-process", "data.missing=train"], "the part 'train' can't be"),
    (["run", "study.yaml", "--in-process", "data.problem=odd"], "data: odd"),
    (["plan", "study.yaml", "--check-data", "data.problem=odd"], "data: odd"),
    (["plan", "nowhere:study"], "nowhere"),
    (["plan", "functions:absent"], "absent"),
    (["plan", "functions:wrong"], "phases"),
    (["best", "results"], "holds no study"),
    (["best", "results", "--yaml", "--study", "x"], "holds no study 'x'"),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG)
def test_wrong_input_is_a_sentence(
    written: StudyWriter, folder: Path, arguments: list[str], sentence: str
) -> None:
    written()
    (folder / "broken.yaml").write_text("name: [1\n")
    (folder / "list.yaml").write_text("- 1\n")
    (folder / "functions.py").write_text(FUNCTIONS.replace("TESTS", repr(str(TESTS))))
    before = files_in(folder)
    said = phasetune(*arguments)
    assert said.code == 2
    errors = said.err.splitlines()
    assert errors
    assert all(line.startswith("error: ") for line in errors)
    assert sentence in said.err
    made = {path for path in files_in(folder) - before if "__pycache__" not in path.parts}
    assert not made


def test_all_problems_are_told_at_once(written: StudyWriter) -> None:
    said = phasetune("plan", written(), "seed=-1", "objective.mode=most", "ties=maybe")
    assert [line.split()[1].rstrip(":") for line in said.err.splitlines()] == [
        "seed",
        "objective.mode",
        "ties",
    ]


def test_wrong_input_in_a_process_of_its_own(folder: Path) -> None:
    said = command("run", "none.yaml", folder=folder)
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: there is no study file none.yaml\n"
    assert not files_in(folder)


def test_debug_shows_the_traceback(folder: Path) -> None:
    said = command("plan", "none.yaml", "--debug", folder=folder)
    assert said.code == 2
    assert "Traceback (most recent call last)" in said.err
    assert "StudyError: there is no study file none.yaml" in said.err


ONE = [{"name": "one", "points": [{"train.value": 0.5}]}]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"params": {"train": {"fault": "raise"}}}, 1),
        ({"params": {"test": {"fault": "raise"}}}, 1),
        ({"constraints": ["score >= 2"]}, 3),
        ({"constraints": ["score >= 2"], "if_infeasible": "least_violation"}, 0),
    ],
)
def test_how_a_run_ends(written: StudyWriter, changes: dict[str, Any], code: int) -> None:
    study = written(**{"phases": ONE, **changes})
    assert phasetune("run", study, "--in-process").code == code
    assert phasetune("run", study, "--in-process").code == code


def test_exit_codes_reach_the_shell(written: StudyWriter) -> None:
    study = written(phases=ONE, constraints=["score >= 2"])
    assert command("run", study, "--in-process", folder=study.parent).code == 3


def test_an_interrupted_run_says_how_to_go_on(written: StudyWriter) -> None:
    study = written(phases=ONE, params={"train": {"seconds": 0.2, "steps": 100}})
    process = subprocess.Popen(
        [sys.executable, "-m", "phasetune", "run", study.name, "--in-process"],
        cwd=study.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(study.parent.glob("results/scripted/phases/one/attempts/*/train-*/checkpoint*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    interrupted, line = err.splitlines()
    assert interrupted.startswith("interrupted (SIGTERM); nothing was decided since.")
    assert line.strip() == f"{sys.executable} -m phasetune run study.yaml --in-process"


def test_a_function_is_a_study(folder: Path) -> None:
    (folder / "own_studies.py").write_text(FUNCTIONS.replace("TESTS", repr(str(TESTS))))
    said = phasetune("plan", "own_studies:small", "replicates.folds=3")
    assert said.code == 0
    assert "Study small: 1 phase, 1 trial, 1 distinct settings" in said.words
    assert "1. one: 1 trial x 3 replicates" in said.words
    assert command("run", "own_studies:small", "--in-process", folder=folder).code == 0
