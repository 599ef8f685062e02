"""Wrong study files get sentences: no other error, nothing on the disk, no memory, no waiting."""

import gc
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phasetune.api import plan_study
from phasetune.errors import PhasetuneError
from torture.mutations import Mutant, mutants, scenery

SEED = 20_260_504
MOST_SECONDS = 2.0
MOST_GROWTH = 300 << 20
LONGEST_SENTENCE = 600
NAMES_SOMETHING = re.compile(
    r"'[^']*'|\w+\.\w+|/\w+|^\w+( \(.*\))?: |replicates|allow_large|^and \d+ more"
)

MUTANTS = mutants(SEED)
FIRST_OF_KIND = {mutant.kind: mutant.name for mutant in reversed(MUTANTS)}
BY_COMMAND = [
    next(mutant for mutant in MUTANTS if mutant.name == name)
    for name in (
        *("unknown-lstm:study", "misspelt-quickstart:phases.0.points.0.note", "study_name-5"),
        *("phase_name-6", "template-11", "constraint-24", "extends-6", "extends-12", "extends-22"),
        *("workload-4", "workload-6", "grid-9", "grid-16", "bomb-0", "deep-0", "tag-0", "merge-0"),
        *("bytes-5", "encoding-utf-16", "huge-100-MB"),
    )
]


def cases() -> list[object]:
    """All mutants; outside of `make torture` the first one of each kind."""
    return [
        pytest.param(
            mutant,
            id=mutant.name.encode("unicode_escape").decode(),
            marks=() if FIRST_OF_KIND[mutant.kind] == mutant.name else pytest.mark.torture,
        )
        for mutant in MUTANTS
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with what mutants refer to; imports are done already."""
    place = tmp_path_factory.mktemp("studies")
    scenery(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setattr(sys, "path", list(sys.path))
        modules = set(sys.modules)
        for study in ("digits.yaml", "quickstart.yaml"):
            plan_study(study)
        yield place
        for name in set(sys.modules) - modules:
            if str(place) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]


@pytest.fixture(scope="module")
def resident_bytes(folder: Path) -> int:
    """The memory of this process before the first mutant."""
    return _resident_bytes()


def _resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def on_disk(folder: Path) -> set[tuple[str, int]]:
    """Every name, and how many bytes lie there."""
    return {(str(path), path.lstat().st_size) for path in folder.rglob("*")}


def placed(mutant: Mutant, folder: Path) -> None:
    path = folder / "study.yaml"
    path.unlink(missing_ok=True)
    mutant.write(path)


@pytest.mark.parametrize("mutant", cases())
def test_a_mutated_study_is_a_plan_or_sentences(
    folder: Path, resident_bytes: int, mutant: Mutant
) -> None:
    placed(mutant, folder)
    before, began = on_disk(folder), time.process_time()
    problems: tuple[str, ...] | None = None
    try:
        plan_study("study.yaml")
    except PhasetuneError as error:
        problems = error.problems
    seconds = time.process_time() - began
    assert on_disk(folder) == before
    assert problems is None or problems
    for problem in problems or ():
        assert problem.isprintable(), problem
        assert NAMES_SOMETHING.search(problem), problem
        assert 10 < len(problem) < LONGEST_SENTENCE, problem
        assert "Traceback" not in problem
    assert seconds < MOST_SECONDS
    assert _resident_bytes() - resident_bytes < MOST_GROWTH


def test_there_are_enough_of_them_and_they_are_the_same_ones() -> None:
    assert len(MUTANTS) > 500
    assert len({mutant.content for mutant in MUTANTS}) > 500
    assert mutants(SEED) == MUTANTS
    assert mutants(SEED + 1) != MUTANTS


def said(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-B", "-m", "phasetune", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        check=False,
    )


def assert_refused(folder: Path, *arguments: str) -> list[str]:
    """The command says what is wrong, with code 2, and leaves the folder as it is."""
    before = on_disk(folder)
    done = said(folder, *arguments)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2, lines
    assert lines
    assert all(line.startswith("error: ") for line in lines)
    assert on_disk(folder) == before
    return lines


@pytest.mark.torture
@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in BY_COMMAND])
@pytest.mark.parametrize("command", [["plan"], ["run", "--in-process"]], ids=["plan", "run"])
def test_a_command_refuses_a_mutated_study(
    folder: Path, mutant: Mutant, command: list[str]
) -> None:
    placed(mutant, folder)
    assert_refused(folder, command[0], "study.yaml", *command[1:])


@pytest.mark.torture
@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("absent.yaml", "there is no study file absent.yaml"),
        ("folder.yaml", "folder.yaml: can't be read: Is a directory"),
        ("pipe.yaml", "pipe.yaml: must be a regular file, not a pipe or a device"),
        ("zero.yaml", "zero.yaml: must be a regular file, not a pipe or a device"),
        ("loop.yaml", "loop.yaml: can't be read: Too many levels of symbolic links"),
        ("gone.yaml", "there is no study file gone.yaml"),
        ("a" * 300 + ".yaml", "can't be read: File name too long"),
        ("a" * 300, "a study must be a .yaml file or module:function, but is 'aaaa"),
        ("", "a study must be a .yaml file or module:function, but is ''"),
        ("a\nb.yaml", "there is no study file a b.yaml"),
        ("raises:study", "module 'raises' can't be imported: RuntimeError: first line"),
        ("exits:study", "module 'exits' can't be imported: SystemExit: good bye"),
        (":", "study must be of the form module:function, but is ':'"),
    ],
)
def test_what_is_no_study_file_is_named(folder: Path, source: str, problem: str) -> None:
    (line,) = assert_refused(folder, "plan", source)
    assert problem in line


OVERRIDES = {
    "": "override '' must be of the form key.path=value",
    "seed": "override 'seed' must be of the form key.path=value",
    "=": "override '=' must be of the form key.path=value",
    "=3": "override '=3' must be of the form key.path=value",
    ".=3": "",
    "..a=3": "",
    "seed==3": "",
    "seed=": "",
    "sed=3": "sed (override 'sed=3'): is not known; did you mean 'seed'?",
    "seed.x=3": "there is no 'x' below 1337",
    "phases=3": "phases (override 'phases=3'): must be a valid list, but is 3",
    "phases.0=3": "",
    "phases.9.name=x": "there is no '9'",
    "phases.-1.name=x": "there is no '-1'",
    "phases.timewrap.name=x": "did you mean 'timewarp'?",
    "phases.timewarp.points.0=3": "",
    "phases.timewarp.points.x.y=3": "there is no 'x'",
    "phases.timewarp.points.99.pretrain.epochs=3": "there is no '99'",
    "phases.timewarp.grid.finetune.epochs=3": "must be a list of values, but is 3",
    "constraints.0.x=3": "there is no 'x' below 'class_1_accuracy >= 0.30'",
    "constraints.x=3": "there is no 'x'",
    "params.finetune.epochs=[1": "not valid YAML",
    "params.finetune.epochs='x": "not valid YAML",
    "params.finetune.epochs=!!int 3": "the tag 'tag:yaml.org,2002:int' is refused",
    "params.finetune.epochs=*a": "aliases (*a) are refused",
    "params.finetune.epochs=" + "9" * 100_000: "",
    "seed=" + "[" * 50_000: "nested deeper than 20 levels",
    "x" * 100_000 + "=3": "is not known",
    "x." * 50_000 + "x=3": "",
    "name=a\nb": "",
    "name=\x1b[2J": "",
}


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda text: repr(text[:30]))
def test_a_wrong_override_is_a_sentence(folder: Path, override: str) -> None:
    began = time.process_time()
    with pytest.raises(PhasetuneError) as caught:
        plan_study("quickstart.yaml", overrides=[override])
    assert time.process_time() - began < MOST_SECONDS
    for problem in caught.value.problems:
        assert problem.isprintable(), problem
        assert 10 < len(problem) < LONGEST_SENTENCE, problem
    assert OVERRIDES[override] in caught.value.problems[0]


@pytest.mark.torture
@pytest.mark.parametrize("override", ["seed", "sed=3", "phases.9.name=x", "seed=!!int 3"])
def test_a_command_refuses_a_wrong_override(folder: Path, override: str) -> None:
    (line,) = assert_refused(folder, "run", "quickstart.yaml", override, "--in-process")
    assert "override" in line
