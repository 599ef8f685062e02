"""Tables on screen and as files: what they show, how they fit, what is refused."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cli.conftest import phasetune
from conftest import StudyMaker
from phasetune.api import run_study

PHASES = [
    {"name": "value", "grid": {"train.value": [0.2, 0.6]}},
    {"name": "steps", "grid": {"train.steps": [3, 4]}},
]


@pytest.fixture(scope="module")
def results(scripted_study: StudyMaker, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results root of a finished study of two phases, with two folds; to read."""
    root = tmp_path_factory.mktemp("tables") / "results"
    changes: dict[str, Any] = {"replicates": {"folds": 2}, "params": {"train": {"noise": 0.1}}}
    run_study(scripted_study(phases=PHASES, **changes), results=root, in_process=True)
    return root


def test_a_table_shows_what_differs_the_best_first(results: Path) -> None:
    said = phasetune("compare", results, columns=120)
    assert said.code == 0
    lines = [line.split() for line in said.out.splitlines()]
    assert lines[0] == ["train.", "train."]
    assert lines[1] == ["phase", "trial", "steps", "value", "score", "other", "standing"]
    assert [line[-9:-8] for line in lines[3:7]] == [["0.6"]] * 3 + [["0.2"]]
    assert lines[3][-8:-4][1] == "±"
    assert "(n=2)" in lines[3]
    assert [line[0] == "*" for line in lines[3:7]].count(True) == 2
    assert lines[-1] == ["4", "trials;", "*", "won", "its", "phase"]


@pytest.mark.parametrize("columns", [30, 50, 70])
def test_where_a_table_does_not_fit_a_trial_has_a_few_lines(results: Path, columns: int) -> None:
    lines = phasetune("compare", results, columns=columns).out.splitlines()
    first = lines[: next(i for i, line in enumerate(lines[1:], 1) if not line.startswith(" "))]
    assert first[0].startswith("* ")
    assert first[0].endswith(": feasible")
    items = ", ".join(line.strip() for line in first[1:])
    assert items.startswith("score 0.6")
    assert ", train.steps " in items
    assert len(max(first[1:], key=len)) <= max(columns, 4 + len("score 0.6000 ± 0.0000 (n=2)"))


def test_filters_are_counted(results: Path, tmp_path: Path) -> None:
    one = phasetune("compare", results, "--filter", "phase == value", "--filter", "score >= 0.5")
    assert one.out.splitlines()[-1] == "1 of 4 trials; * won its phase"
    none = phasetune("compare", results, "--filter", "score >= 3")
    assert (none.code, none.out) == (0, "None of 4 trials meets the filters.\n")
    copied = shutil.copytree(results, tmp_path / "results")
    for decision in copied.glob("scripted/phases/*/decision.json"):
        decision.unlink()
    undecided = phasetune("compare", copied)
    assert undecided.out == "No phase is decided yet, so there is no trial to compare.\n"


def test_markdown_is_a_table_that_values_cant_break(
    scripted_study: StudyMaker, folder: Path
) -> None:
    points = [{"train.marker": "a|b\n<i>"}, {"train.marker": "*_`~~x~~ &lt; @me #1"}]
    metric = {"objective": {"metric": "prepare_score"}, "constraints": []}
    study = scripted_study(phases=[{"name": "one", "points": points}], **metric)
    run_study(study, results=folder / "results", in_process=True)
    lines = phasetune("compare", folder / "results", "--md").out.splitlines()
    assert len(lines) == 4
    assert {line.replace("\\|", "").count("|") for line in lines} == {7}
    assert any("| a\\|b &lt;i&gt; |" in line for line in lines)
    assert any("| \\*\\_\\`\\~\\~x\\~\\~ &amp;lt; &#64;me \\#1 |" in line for line in lines)
    assert "| prepare\\_score |" in lines[0]


@pytest.mark.parametrize("columns", [40, 160])
def test_text_has_no_say_over_the_terminal(
    scripted_study: StudyMaker, folder: Path, columns: int
) -> None:
    points = [{"train.marker": "\x1b[31m[bold]x"}, {"train.marker": "two\nlines"}]
    study = scripted_study(phases=[{"name": "one", "points": points}])
    run_study(study, results=folder / "results", in_process=True)
    said = phasetune("compare", folder / "results", columns=columns)
    assert "\x1b" not in said.out
    assert "\\x1b[31m[bold]x" in said.out
    assert "two lines" in said.out


def test_csv_and_json_have_all_digits(results: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(phasetune("compare", results, "--csv").out)))
    found = json.loads(phasetune("compare", results, "--json").out)
    assert found["schema"] == 1
    assert [float(row["score"]) for row in rows] == [row["score"] for row in found["trials"]]
    assert len(str(found["trials"][0]["score_sem"])) > 8
    assert {row["replicates_done"] for row in found["trials"]} == {2}


def test_the_greatest_is_first_with_a_minus(results: Path) -> None:
    said = phasetune("compare", results, "--sort-by", "-train.value", "--csv")
    values = [row["train.value"] for row in csv.DictReader(io.StringIO(said.out))]
    assert values == ["0.6", "0.6", "0.6", "0.2"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--md", "--csv"], "--md, --csv and --json exclude each other; give one of them"),
        (["--sort-by", "scor"], "sort: there is no column 'scor'; did you mean 'score'?"),
        (["--filter", "score > 1"], "filter 'score > 1' can't be read; write it as"),
        (["--study", "x"], "holds no study 'x'; it holds: scripted"),
        (["nowhere"], "nowhere holds no study; name a results root"),
    ],
)
def test_what_cant_be_compared_is_one_sentence(
    results: Path, arguments: list[str], sentence: str
) -> None:
    said = phasetune("compare", results, *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("error: ")
    assert sentence in said.err


@pytest.mark.parametrize(
    ("what", "count"), [("trials", 4), ("runs", 16), ("history", 23), ("checkpoints", 3)]
)
def test_each_frame_is_exported(results: Path, folder: Path, what: str, count: int) -> None:
    said = phasetune("export", what, results)
    assert said.code == 0
    assert phasetune("export", what, results, "-o", "-").out == said.out
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert len(rows) == count
    written = phasetune("export", what, results, "--study", "scripted", "-o", folder / "x.csv")
    assert (written.out, written.err) == ("", f"{folder / 'x.csv'}: {count} rows\n")
    assert (folder / "x.csv").read_text() == said.out
    assert phasetune("export", what, results, "-o", folder / "x.parquet").code == 0
    assert list(pd.read_parquet(folder / "x.parquet").columns) == list(rows[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trials", "-o", "x.xlsx"], "x.xlsx: the suffix says how to write it and must"),
        (["trials", "-o", "file/x.csv"], "file/x.csv can't be written"),
        (["runs", "--study", "x"], "holds no study 'x'; it holds: scripted"),
    ],
)
def test_what_cant_be_exported_is_one_sentence(
    results: Path, folder: Path, arguments: list[str], sentence: str
) -> None:
    (folder / "file").write_text("")
    said = phasetune("export", arguments[0], results, *arguments[1:])
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert sentence in said.err
    assert not list(folder.glob("x.*"))
