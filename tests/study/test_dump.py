import math
from pathlib import Path
from typing import Any

import pytest

from phasetune.study.dump import best_study, study_yaml, yaml_text
from phasetune.study.load import load
from phasetune.study.parameters import flatten, typed_settings
from phasetune.study.reading import read_value
from phasetune.study.schema import Point

RICH = """\
name: rich
description: "text: with # signs,\\nlines and 'quotes' ä"
workload: toy
sources: [toy]
seed: 9
data: {rows: 3, folder: "2024-01-01"}
params: {fit: {heads: 4, rate: 1e-5, clip: .inf, label: "yes", sizes: [1, 2]}}
numerics: {threads: 2}
resources_per_trial: {cpu: 0.5}
max_concurrent_trials: null
replicates: {seeds: 2, folds: 3}
objective: {metric: accuracy}
constraints: ["accuracy >= 0.3", "accuracy >= 0.95 * baseline"]
ties: prefer_first
baseline: {fit.rate: 0.2}
phases:
  - name: rates
    grid: {fit.rate: [0.1, 1e-3], fit.label: ["1", "null", "~", "1e3", "*x", "="]}
    trial_name: "r{fit.rate:.4f}-{fit.label}"
  - name: shapes
    points:
      - {fit.sizes: [1, 2], note: "no", expect: {accuracy: [0.5, 0.7]}}
      - {}
final: {test: false}
"""


@pytest.fixture
def rich(home: Path) -> Path:
    path = home / "rich.yaml"
    path.write_text(RICH)
    return path


def test_a_study_beside_its_file_loads_as_an_equal_one(rich: Path) -> None:
    study = load(rich).study
    (rich.parent / "again.yaml").write_text(study_yaml(study, beside=rich.parent))
    assert load(rich.parent / "again.yaml").study == study


@pytest.mark.parametrize("relative", [True, False])
def test_a_study_elsewhere_keeps_its_import_folders(rich: Path, relative: bool) -> None:
    study = load(rich).study
    there = rich.parent / "results" / "rich"
    there.mkdir(parents=True)
    (there / "study.yaml").write_text(study_yaml(study, beside=there if relative else None))
    loaded = load(there / "study.yaml").study
    assert loaded.import_from == (str(there), str(rich.parent))
    assert loaded.model_copy(update={"import_from": study.import_from}) == study


def test_import_folders_are_relative_to_the_folder_beside(rich: Path) -> None:
    text = study_yaml(load(rich).study, beside=rich.parent / "results")
    assert read_value(text, source="x")["import_from"] == [".."]


def test_what_was_not_given_is_not_written(home: Path) -> None:
    text = study_yaml(load("study.yaml").study, beside=home)
    assert list(read_value(text, source="x")) == [
        "name",
        "workload",
        "import_from",
        "params",
        "objective",
        "phases",
    ]


SHARED = [1, 2]


@pytest.mark.parametrize(
    "content",
    [
        {"a": SHARED, "b": {"c": SHARED}},
        {"b": 1, "a": 2},
        {"texts": ["yes", "1", "1e3", "null", "", " x ", "a: b", "# c", "2024-01-01", "<<", "é\n"]},
        {"numbers": [1, 1.0, 1e-7, 1e300, -0.5, math.inf], "long": "word " * 60},
    ],
)
def test_yaml_reads_back_as_it_was(content: dict[str, Any]) -> None:
    found = read_value(yaml_text(content), source="x")
    assert found == content
    assert list(found) == list(content)


def test_the_best_study_has_one_trial_with_the_final_settings(rich: Path) -> None:
    loaded = load(rich)
    given = {"fit.heads": 8, "fit.clip": math.inf, "fit.optimizer.rate": 1}
    settings = flatten(typed_settings(loaded.workload.stages, given))
    best = best_study(loaded.study, settings)
    (rich.parent / "best.yaml").write_text(study_yaml(best, beside=rich.parent))
    again = load(rich.parent / "best.yaml")
    assert again.study == best
    assert best.name == "rich-best"
    assert [phase.points for phase in best.phases] == [(Point(),)]
    typed = {
        stage.name: stage.params.model_validate(again.study.params.get(stage.name, {}))
        for stage in again.workload.stages
    }
    assert flatten(typed) == settings


def test_the_best_study_computes_what_the_study_did(rich: Path) -> None:
    study = load(rich).study
    best = best_study(study, {"fit.heads": 4})
    same = ("workload", "sources", "seed", "data", "numerics", "replicates", "objective", "final")
    assert {name: getattr(best, name) for name in same} == {
        name: getattr(study, name) for name in same
    }
    assert best.constraints == ("accuracy >= 0.3",)
    assert not best.needs_baseline


def test_the_longest_name_has_a_best_study(home: Path) -> None:
    study = load("study.yaml", [f"name={'a' * 100}"]).study
    assert best_study(study, {"fit.heads": 4}).name == "a" * 95 + "-best"
