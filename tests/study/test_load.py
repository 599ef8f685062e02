import os
import sys
import textwrap
from pathlib import Path

import pytest

from phasetune.errors import StudyError
from phasetune.study.load import import_folders, load
from phasetune.study.schema import Objective, Phase, Point, Study


def write(home: Path, text: str, name: str = "study.yaml") -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def everything(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def problems(source: str | Path | Study, *overrides: str) -> tuple[str, ...]:
    """The problems of a failing load, which leaves the disk as it was."""
    before = everything(Path.cwd())
    with pytest.raises(StudyError) as caught:
        load(source, overrides)
    assert everything(Path.cwd()) == before
    return caught.value.problems


def test_a_file_is_loaded(home: Path) -> None:
    loaded = load("study.yaml")
    study = loaded.study
    assert study.name == "small"
    assert study.params == {"fit": {"heads": 4}}
    assert study.phases[0].grid == {"fit.rate": (0.1, 1e-3)}
    assert study.phases[1].points is not None
    assert study.phases[1].points[0].note == "small"
    assert [stage.name for stage in loaded.workload.stages] == ["pretrain", "fit", "test"]
    assert loaded.data.rows == 10


def test_overrides_come_last(home: Path) -> None:
    loaded = load(home / "study.yaml", ["data.rows=3", "phases.rates.grid.fit.rate=[1]"])
    assert loaded.data.rows == 3
    assert loaded.study.phases[0].grid == {"fit.rate": (1,)}


def test_a_loaded_study_loads_as_itself_or_overridden(home: Path) -> None:
    loaded = load("study.yaml")
    assert load(loaded) is loaded
    again = load(loaded, ["seed=3"])
    assert again.study == loaded.study.model_copy(update={"seed": 3})


def test_folders_beside_the_file_are_importable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    study = load(home / "study.yaml").study
    assert import_folders(study) == (str(home), str(elsewhere))


def test_named_import_folders_are_relative_to_the_file(home: Path) -> None:
    (home / "lib").mkdir()
    (home / "toy.py").rename(home / "lib" / "toy_in_lib.py")
    write(home, "extends: ../study.yaml\nimport_from: [../lib]\nworkload: toy_in_lib", "in/s.yaml")
    study = load("in/s.yaml").study
    assert study.import_from == (str(home / "in"), str(home), str(home / "lib"))


SMALLER = """\
extends: study.yaml
name: smaller
params: {fit: {clip: 0.5}}
phases:
  - name: rates
    points: [{fit.rate: 0.2}]
  - name: extra
    grid: {fit.flag: [true, false]}
"""


def test_extends_merges_mappings_and_phases_by_name(home: Path) -> None:
    write(home, SMALLER, "smaller.yaml")
    study = load("smaller.yaml").study
    assert study.name == "smaller"
    assert study.params == {"fit": {"heads": 4, "clip": 0.5}}
    assert [phase.name for phase in study.phases] == ["rates", "shapes", "extra"]
    assert study.phases[0] == Phase(name="rates", points=(Point(params={"fit.rate": 0.2}),))
    assert study.phases[1] == load("study.yaml").study.phases[1]


def test_extends_goes_over_several_files_and_folders(home: Path) -> None:
    write(home, SMALLER, "smaller.yaml")
    write(home, "extends: ../smaller.yaml\nname: least\nseed: 7\n", "deep/least.yaml")
    study = load("deep/least.yaml").study
    assert (study.name, study.seed, study.params["fit"]["clip"]) == ("least", 7, 0.5)


def test_import_folders_of_a_base_stay_where_they_are(home: Path) -> None:
    (home / "lib").mkdir()
    (home / "toy.py").rename(home / "lib" / "toy_of_base.py")
    text = (home / "study.yaml").read_text().replace("toy", "toy_of_base")
    write(home, text + "import_from: [lib]\n")
    write(home, "extends: ../study.yaml\n", "deep/s.yaml")
    folders = (str(home / "deep"), str(home), str(home / "lib"))
    assert load("deep/s.yaml").study.import_from == folders


def test_problems_name_the_file_they_stand_in(home: Path) -> None:
    write(
        home, "extends: study.yaml\nties: x\nphases: [{name: shapes, trial_name: '{x'}]", "s.yaml"
    )
    base = (home / "study.yaml").read_text().replace("heads: 4}\nobj", "heads: 4, rte: 1}\nobj")
    write(home, base)
    assert problems("s.yaml") == (
        "ties (s.yaml:2): must be 'report' or 'prefer_first', but is 'x'",
        "params.fit.rte (study.yaml:4): is no parameter of 'fit'; did you mean 'rate'?",
        "phases.1.trial_name (s.yaml:3): '{x' is no template: expected '}' before end of string",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("extends: a.yaml", "extends: the files extend each other in a circle: a.yaml -> a.yaml"),
        (
            "extends: b.yaml",
            "extends: the files extend each other in a circle: a.yaml -> b.yaml -> a.yaml",
        ),
        ("x: 1\nextends: absent.yaml", "extends (a.yaml:2): there is no study file absent.yaml"),
        ("extends: 5", "extends (a.yaml:1): must be a file, but is 5"),
        ('extends: "a\\0b"', "extends (a.yaml:1): must be a file, but is 'a\\x00b'"),
        ("extends: .", "extends (a.yaml:1): there is no study file ."),
        ("extends: bad.yaml", "bad.yaml:2: a is given twice; keep one"),
    ],
)
def test_extends_that_lead_nowhere(home: Path, text: str, problem: str) -> None:
    write(home, text, "a.yaml")
    write(home, "extends: a.yaml", "b.yaml")
    write(home, "a: 1\na: 2\n", "bad.yaml")
    assert problems("a.yaml") == (problem,)


def test_extends_has_a_depth(home: Path) -> None:
    for i in range(12):
        write(home, f"extends: s{i + 1}.yaml\n", f"s{i}.yaml")
    assert problems("s0.yaml") == (
        f"extends: must be at most 10 files deep, in {home / 's0.yaml'}",
    )


FUNCTIONS = """
from phasetune import Objective, Phase, Point, Study

def small(**changes):
    points = (Point(params={"fit.heads": 4}), Point(params={"fit.heads": 8}, note="wide"))
    given = {"phases": (Phase(name="p", points=points),), **changes}
    return Study(name="made", workload="toy", objective=Objective(metric="a"), **given)

def misspelt():
    return small(replicate={})

def wrong_phase():
    return Phase(name="p", grids={})

def unfit():
    return small(params={"fit": {"rate": "high"}})

def nothing():
    return None
"""


def test_a_function_and_a_study_are_loaded_as_a_file_is(home: Path) -> None:
    write(home, FUNCTIONS, "functions.py")
    write(
        home,
        """\
        name: made
        workload: toy
        objective: {metric: a}
        phases:
          - {name: p, points: [{fit.heads: 4}, {fit.heads: 8, note: wide}]}
        """,
        "made.yaml",
    )
    points = (Point(params={"fit.heads": 4}), Point(params={"fit.heads": 8}, note="wide"))
    phases = (Phase(name="p", points=points),)
    study = Study(name="made", workload="toy", objective=Objective(metric="a"), phases=phases)
    from_file = load("made.yaml").study
    assert load("functions:small").study == from_file
    assert load(study).study == from_file.model_copy(update={"import_from": ()})
    assert load("functions:small", ["seed=4"]).study.seed == 4


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("functions:nothing", "study 'functions:nothing' must return a phasetune.Study, but retur"),
        ("functions:absent", "study 'functions:absent': the module has no function 'absent'"),
        ("no_functions:small", "there is no module 'no_functions'"),
        (
            "functions:misspelt",
            "study 'functions:misspelt': replicate: is not known; did you mean 'replicates'?",
        ),
        (
            "functions:wrong_phase",
            "study 'functions:wrong_phase': grids: is not known; did you mean 'grid'?",
        ),
        (
            "functions:unfit",
            "params.fit.rate: must be a valid number, but is 'high'",
        ),
        ("absent.yaml", "there is no study file absent.yaml"),
        ("study", "a study must be a .yaml file or module:function, but is 'study', and there is"),
        ("toy.py", "a study must be a .yaml file or module:function, but is 'toy.py'"),
    ],
)
def test_sources_that_are_no_study(home: Path, source: str, problem: str) -> None:
    write(home, FUNCTIONS, "functions.py")
    assert problems(source)[0].startswith(problem)


BROKEN = """\
name: ../out
workload: toy
seed: "5"
data: {rows: many, fodler: x}
params:
  pretain: {width: 3}
  fit: {heads: four, rat: 0.1, optimizer: {rate: "0.1", nme: adam}}
objectiv: {metric: a}
constraints: [accuracy > 0.3]
baseline: {fit.head: 3}
phases:
  - name: final
    grid: {fit.rate: [0.1, "0.2"], fit.sizs: [1]}
    trial_name: "{fit.rate.real} {fit.rate:{fit.heads}}"
  - name: q
    points: [{fit.flag: 1}]
    grid: {}
"""


def test_all_problems_are_reported_together(home: Path) -> None:
    write(home, BROKEN)
    found = problems("study.yaml", "replicates.folds=1")
    heads = [problem.partition(": ")[0] for problem in found]
    assert sorted(heads) == sorted(
        [
            "name (study.yaml:1)",
            "data.rows (study.yaml:4)",
            "data.fodler (study.yaml:4)",
            "params.pretain (study.yaml:6)",
            "params.fit.heads (study.yaml:7)",
            "params.fit.rat (study.yaml:7)",
            "params.fit.optimizer.rate (study.yaml:7)",
            "params.fit.optimizer.nme (study.yaml:7)",
            "objective",
            "objectiv (study.yaml:8)",
            "constraints.0 (study.yaml:9)",
            "baseline.fit.head (study.yaml:10)",
            "phases.0.grid.fit.rate.1 (study.yaml:13)",
            "phases.0.grid.fit.sizs (study.yaml:13)",
            "phases.0.trial_name (study.yaml:14)",
            "phases.0.trial_name (study.yaml:14)",
            "phases.1.points.0.fit.flag (study.yaml:16)",
            "phases.1.grid (study.yaml:17)",
            "replicates.folds (override 'replicates.folds=1')",
        ]
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("workload: 5", "workload (s.yaml:2): must be a valid string, but is 5"),
        (
            "workload: ../toy",
            "workload (s.yaml:2): must name a module as an import does, ",
        ),
        ("workload: toy_absent", "workload (s.yaml:2): there is no module 'toy_absent'; looked in"),
        ("sources: [5]", "sources.0 (s.yaml:2): must be a valid string, but is 5"),
        ("sources: toy", "sources (s.yaml:2): must be a valid list, but is 'toy'"),
        ("sources: [toy_absent]", "workload (study.yaml:2): there is no module 'toy_absent'; look"),
        ("import_from: [5]", "import_from.0 (s.yaml:2): must be a valid string, but is 5"),
        ("import_from: lib", "import_from (s.yaml:2): must be a valid list, but is 'lib'"),
        ('import_from: ["\\0"]', "import_from.0 (s.yaml:2): must be a folder, but is '\\x00'"),
        ("seed: '5'", "seed (s.yaml:2): must be a number, but is '5'"),
        ("seed: true", "seed (s.yaml:2): must be a number, but is True"),
        ("allow_large: yes", "allow_large (s.yaml:2): must be a switch (true or false), but is 'y"),
        ("data: {rows: '3'}", "data.rows (s.yaml:2): must be a number, but is '3'"),
        ("data: {row: 3}", "data.row (s.yaml:2): is not known; did you mean 'rows'?"),
    ],
)
def test_one_problem_is_one_sentence(home: Path, text: str, problem: str) -> None:
    write(home, f"extends: study.yaml\n{text}\n", "s.yaml")
    found = problems("s.yaml")
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_what_is_no_folder_does_not_come_onto_the_import_path(home: Path) -> None:
    write(home, "extends: study.yaml\nimport_from: [study.yaml, /dev/zero]\n", "s.yaml")
    assert problems("s.yaml") == (
        f"import_from.1 (s.yaml:2): must be a folder, but '{home / 'study.yaml'}' is none",
        "import_from.2 (s.yaml:2): must be a folder, but '/dev/zero' is none",
    )
    assert "/dev/zero" not in sys.path


def test_a_workload_that_breaks_the_contract(home: Path) -> None:
    write(home, "STAGES = ()\n", "hollow.py")
    (problem,) = problems("study.yaml", "workload=hollow")
    assert problem.startswith(
        "workload (override 'workload=hollow'): workload 'hollow' must have STAGES, "
    )


def test_two_studies_with_equally_named_workloads(home: Path) -> None:
    changed = (home / "toy.py").read_text().replace("width: int = 8", "breadth: int = 16")
    write(home, changed, "other/toy.py")
    text = (home / "study.yaml").read_text().replace("pretrain.width", "pretrain.breadth")
    write(home, text, "other/study.yaml")
    for source, field in (("study.yaml", "width"), ("other/study.yaml", "breadth")) * 2:
        stage = load(source).workload.stage("pretrain")
        assert list(stage.params.model_fields) == [field]


def test_a_relative_path_is_loaded_from_anywhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "far").mkdir()
    monkeypatch.chdir(home / "far")
    assert load(os.path.join("..", "study.yaml")).study.name == "small"  # noqa: PTH118


def test_a_derived_study_finds_what_lies_beside_its_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, derived = tmp_path / "base", tmp_path / "derived"
    base.mkdir()
    derived.mkdir()
    (base / "beside_its_base.py").write_text(
        "from pydantic import BaseModel\n"
        "from phasetune import Stage\n"
        "class Data(BaseModel):\n"
        "    def fingerprint(self, part): return part\n"
        "STAGES = (Stage(name='fit', params=Data, function='beside_its_base:fit'),)\n"
    )
    (base / "base.yaml").write_text(
        "{name: base, workload: beside_its_base, objective: {metric: m}, "
        "phases: [{name: one, points: [{}]}]}"
    )
    (derived / "derived.yaml").write_text("{extends: ../base/base.yaml, name: derived}")
    monkeypatch.chdir(tmp_path)
    loaded = load(derived / "derived.yaml")
    assert loaded.study.import_from == (str(derived), str(base))


def test_a_parameter_set_as_points_name_it_is_told_its_place(home: Path) -> None:
    (problem,) = problems("study.yaml", "fit.heads=2")
    assert problem == "fit: is not known here; set its parameters as params.fit.NAME"
