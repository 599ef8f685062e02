import sys
from pathlib import Path

import pytest

from phasetune.errors import StudyError
from phasetune.stage import unchanged
from phasetune.stage.resolve import (
    ResolvedWorkload,
    make_importable,
    resolve_callable,
    resolve_function,
    resolve_workload,
)

HEAD = """
from pydantic import BaseModel
from phasetune.stage import Stage

class P(BaseModel):
    width: int = 8

class Data(BaseModel):
    def fingerprint(self, part: str) -> str:
        return part

def stage(name, reads=(), **given):
    function = f"{__name__}:run"
    return Stage(**{"name": name, "params": P, "function": function, "reads": reads, **given})

def run(ctx, params):
    return {"score": params.width}

"""
STAGES = """
STAGES = (stage("pretrain", ("unlabeled",)), stage("fit", ("train",)), stage("tune"),
          stage("test", ("test",)))
"""


def write(folder: Path, name: str, source: str) -> None:
    path = folder / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def resolve(folder: Path, path: str = "toy", *sources: str) -> ResolvedWorkload:
    return resolve_workload(path, sources=sources, folders=[str(folder)])


def test_a_workload_is_resolved(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    workload = resolve(tmp_path)
    assert workload.path == "toy"
    assert [stage.name for stage in workload.training_stages] == ["pretrain", "fit", "tune"]
    assert [stage.name for stage in workload.test_stages] == ["test"]
    assert workload.replicated == {"fit", "tune", "test"}
    assert workload.stage("fit").reads == ("train",)
    assert workload.data_type().model_dump() == {}
    assert workload.check is None


def test_rules_across_stages_are_found(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES + "def check(params, data):\n    return ['no']\n")
    check = resolve(tmp_path).check
    assert check is not None
    assert list(check({}, None)) == ["no"]


def test_nothing_is_replicated_where_no_labels_are_read(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + "STAGES = (stage('a'), stage('b', ('other',)))\n")
    assert resolve(tmp_path).replicated == frozenset()


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "workload 'toy' must have STAGES, a tuple of phasetune.Stage, but has None"),
        ("STAGES = ()", "must have STAGES, a tuple of phasetune.Stage, but has ()"),
        ("STAGES = 'fit'", "must have STAGES, a tuple of phasetune.Stage, but has 'fit'"),
        ("STAGES = (3,)", "workload 'toy': STAGES[0] must be a Stage, but is 3"),
        ("STAGES = (stage('a b'),)", "workload 'toy': stage name 'a b' must be an identifier"),
        ("STAGES = (stage(7),)", "workload 'toy': stage name 7 must be an identifier"),
        ("STAGES = (stage('a'), stage('a'))", "workload 'toy': two stages are named 'a'"),
        (
            "STAGES = (stage('a', params=dict),)",
            "workload 'toy': stage 'a' needs a pydantic BaseModel as params",
        ),
        (
            "STAGES = (stage('a', function='run'),)",
            "stage 'a': function must be of the form 'module:function', but is 'run'",
        ),
        ("STAGES = (stage('a', function=run),)", "but is <function run at"),
        (
            "STAGES = (stage('a', 'train'),)",
            "workload 'toy': stage 'a': reads must be a tuple of names, but is 'train'",
        ),
        (
            "STAGES = (stage('a', ('test',)), stage('b'))",
            "workload 'toy': stages that read 'test' must be the last ones",
        ),
        (
            "STAGES = (stage('a', ('test',)),)",
            "workload 'toy': at least one stage must not read 'test'",
        ),
        (
            "STAGES = (stage('a'),)\nData = dict",
            "workload 'toy' must have Data, a pydantic BaseModel, but has <class 'dict'>",
        ),
        (
            "STAGES = (stage('a'),)\ndel Data",
            "workload 'toy' must have Data, a pydantic BaseModel, but has None",
        ),
        (
            "STAGES = (stage('a'),)\nclass Data(BaseModel): pass",
            "workload 'toy': Data must have a method fingerprint(part) -> str",
        ),
    ],
)
def test_breaches_of_the_contract(tmp_path: Path, source: str, problem: str) -> None:
    write(tmp_path, "toy", HEAD + source + "\n")
    with pytest.raises(StudyError) as caught:
        resolve(tmp_path)
    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]


def test_breaches_are_reported_together(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + "STAGES = (stage('a b'), 3, stage('a b'))\nData = None\n")
    with pytest.raises(StudyError) as caught:
        resolve(tmp_path)
    assert len(caught.value.problems) == 5


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import toy_lacks_this\n", "module 'toy' needs 'toy_lacks_this', which is not installed"),
        ("1 / 0\n", "module 'toy' can't be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit('bye')\n", "module 'toy' can't be imported: SystemExit: bye"),
        ("def (\n", "module 'toy' can't be imported: SyntaxError: "),
        ("import json.nothing\n", "module 'toy' needs 'json.nothing', which is not installed"),
    ],
)
def test_a_module_that_fails_on_import(tmp_path: Path, source: str, message: str) -> None:
    write(tmp_path, "toy", source)
    with pytest.raises(StudyError) as caught:
        resolve(tmp_path)
    assert str(caught.value).startswith(message)


def test_a_missing_module(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"there is no module 'toy'; looked in {tmp_path}"):
        resolve(tmp_path)


def test_a_workload_appears_after_it_was_missing(tmp_path: Path) -> None:
    with pytest.raises(StudyError):
        resolve(tmp_path)
    write(tmp_path, "toy", HEAD + STAGES)
    assert resolve(tmp_path).path == "toy"


def test_an_unchanged_workload_is_not_imported_again(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    assert resolve(tmp_path).stages is resolve(tmp_path).stages


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled at once, as they do a while after they were written."""
    monkeypatch.setattr(unchanged, "_SETTLED_SECONDS", -1.0)


@pytest.mark.usefixtures("settled")
def test_an_unchanged_workload_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    resolve(tmp_path)  # its import leaves a folder of compiled code beside it
    assert resolve(tmp_path) is resolve(tmp_path)


def test_a_workload_just_written_is_read_again(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    assert resolve(tmp_path) is not resolve(tmp_path)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(("later/toy", "STAGES = (stage('b'),)"), "b", id="its-file"),
        pytest.param(("later/names", "FIRST = 'b'"), "b", id="what-it-imports"),
        pytest.param(("first/names", "FIRST = 'b'"), "b", id="what-hides-that"),
        pytest.param(("first/toy", "STAGES = (stage('b'),)"), "b", id="what-hides-it"),
        pytest.param(("later/unrelated", ""), "a", id="nothing"),
    ],
)
def test_a_remembered_workload_is_what_is_there_now(
    tmp_path: Path, change: tuple[str, str], name: str
) -> None:
    folders = [str(tmp_path / "first"), str(tmp_path / "later")]
    (tmp_path / "first").mkdir()
    write(tmp_path, "later/names", "FIRST = 'a'\n")
    write(tmp_path, "later/toy", f"{HEAD}import names\nSTAGES = (stage(names.FIRST),)\n")
    before = [resolve_workload("toy", folders=folders).stages[0].name for _ in range(3)]
    assert before == ["a"] * 3
    write(tmp_path, change[0], f"{HEAD}{change[1]}  # longer than it was\n")
    assert resolve_workload("toy", folders=folders).stages[0].name == name


@pytest.mark.usefixtures("settled")
def test_a_workload_that_somebody_forgot_is_imported_anew(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    before = [resolve(tmp_path) for _ in range(2)][-1]
    del sys.modules["toy"]
    after = resolve(tmp_path)
    assert after.data_type is sys.modules["toy"].Data
    assert after.data_type is not before.data_type


def test_a_changed_workload_is_imported_anew(tmp_path: Path) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    before = resolve(tmp_path)
    write(tmp_path, "toy", HEAD + "STAGES = (stage('changed'),)\n")
    after = resolve(tmp_path)
    assert [stage.name for stage in after.stages] == ["changed"]
    assert before.code != after.code


@pytest.mark.parametrize(
    ("workload", "helper", "sources"),
    [("shop.toy", "shop.names", ()), ("toy", "names", ("names",))],
)
def test_what_a_workload_imports_is_imported_anew_with_it(
    tmp_path: Path, workload: str, helper: str, sources: tuple[str, ...]
) -> None:
    write(tmp_path, "shop/__init__", "")
    source = f"{HEAD}import {helper} as names\nSTAGES = (stage(names.FIRST),)\n"
    write(tmp_path, workload.replace(".", "/"), source)
    write(tmp_path, helper.replace(".", "/"), "FIRST = 'before'\n")
    assert resolve(tmp_path, workload, *sources).stages[0].name == "before"
    write(tmp_path, helper.replace(".", "/"), "FIRST = 'afterwards'\n")
    assert resolve(tmp_path, workload, *sources).stages[0].name == "afterwards"


@pytest.mark.parametrize("workload", ["toy", "shop.toy", "space.toy"])
def test_equal_names_in_two_folders_are_two_workloads(tmp_path: Path, workload: str) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, "shop/__init__", "")
        source = f"{HEAD}STAGES = (stage('{folder}'),)\n"
        write(tmp_path / folder, workload.replace(".", "/"), source)
    found = [
        resolve(tmp_path / folder, workload).stages[0].name for folder in ("one", "two", "one")
    ]
    assert found == ["one", "two", "one"]


def test_equally_named_packages_need_not_have_equal_modules(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder, "shop/__init__", "")
        write(tmp_path / folder, f"shop/{folder}", HEAD + STAGES)
        assert resolve(tmp_path / folder, f"shop.{folder}").path == f"shop.{folder}"


def test_a_stage_function_is_the_one_of_the_resolved_workload(tmp_path: Path) -> None:
    for folder, value in (("one", 1), ("two", 22)):
        write(tmp_path / folder, "toy", f"{HEAD}{STAGES}def run(ctx, params):\n return {value}\n")
    values = []
    for folder in ("one", "two"):
        resolve(tmp_path / folder)
        values.append(resolve_callable("toy:run", what="stage function")(None, None))
    assert values == [1, 22]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("toy", "stage function must be of the form module:function, but is 'toy'"),
        (":run", "stage function must be of the form module:function, but is ':run'"),
        ("toy:", "stage function must be of the form module:function, but is 'toy:'"),
        ("toy:absent", "stage function 'toy:absent': the module has no function 'absent'"),
        ("toy:STAGES", "stage function 'toy:STAGES': the module has no function 'STAGES'"),
        ("toy.below:run", "there is no module 'toy.below'"),
        ("absent_toy:run", "there is no module 'absent_toy'"),
    ],
)
def test_a_function_that_is_not_there(tmp_path: Path, path: str, message: str) -> None:
    write(tmp_path, "toy", HEAD + STAGES)
    make_importable([str(tmp_path)])
    with pytest.raises(StudyError) as caught:
        resolve_function(path)
    assert str(caught.value) == message


def test_make_importable_puts_folders_first_and_once() -> None:
    before = list(sys.path)
    make_importable(["one", "two", "one"])
    make_importable(["two"])
    assert sys.path == ["two", "one", *before]
