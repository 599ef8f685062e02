"""Files that a stage exports: demanded of it, and found by a trial's name."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import TESTS, StudyMaker
from phasetune import StudyError, StudyOutcome, run_study, run_trial
from phasetune.stage.resolve import resolve_workload
from phasetune.workloads.windows import Data, load_encoder
from window_stages import TWO_TRIALS

QUICKSTART = TESTS.parent / "configs" / "quickstart.yaml"

WORKLOAD = """
from pydantic import BaseModel
from phasetune import Stage

class P(BaseModel):
    value: float = 0.5

class Data(BaseModel):
    content: str = "v1"
    def fingerprint(self, part):
        return f"{part} {self.content}"

STAGES = (
    Stage(name="fit", params=P, function="NAME:fit", reads=("train",), exports=EXPORTS),
)

def fit(ctx, params):
    text = f"{params.value} in fold {ctx.fold.index}"
    BODY
    return {"score": params.value}
"""
LEAVES_IT = "(ctx.output / 'model.txt').write_text(text)"

Run = Callable[..., StudyOutcome]


@pytest.fixture
def run(scripted_study: StudyMaker, tmp_path: Path) -> Run:
    """Run a study of one stage that exports `model.txt`, or what is given."""

    def go(
        name: str, body: str = LEAVES_IT, *, exports: Any = ("model.txt",), **changes: Any
    ) -> StudyOutcome:
        source = WORKLOAD.replace("NAME", name).replace("EXPORTS", repr(exports))
        (tmp_path / f"{name}.py").write_text(source.replace("BODY", body))
        content = {
            "workload": name,
            "import_from": [str(tmp_path)],
            "constraints": [],
            "phases": [{"name": "one", "grid": {"fit.value": [0.1, 0.2]}}],
            "final": {"refit": False, "test": False},
        }
        study = scripted_study(**{**content, **changes})
        return run_study(study, results=tmp_path / "results", in_process=True)

    return go


def exported(outcome: StudyOutcome, name: str = "one-value=0.1") -> Path:
    return outcome.paths.trial(name) / f"{name}_model.txt"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> StudyOutcome:
    results = tmp_path_factory.mktemp("windows") / "results"
    return run_study(QUICKSTART, overrides=TWO_TRIALS, results=results, in_process=True)


@pytest.mark.parametrize("hidden_size", [4, 8])
def test_a_trial_s_encoder_is_found_by_its_name(windows: StudyOutcome, hidden_size: int) -> None:
    name = f"size_{hidden_size}"
    folder = windows.paths.trial(name)
    names = [f"{name}_encoder.{end}" for end in ("json", "safetensors")]
    assert sorted(path.name for path in folder.iterdir()) == ["results.json", *names]
    results = json.loads((folder / "results.json").read_text())
    pretrained = results["replicates"][0]["runs"][0]
    artifact = windows.paths.root.parent / pretrained["artifact"] / "files"
    for found, stored in zip(names, ("encoder.json", "encoder.safetensors"), strict=True):
        assert (folder / found).read_bytes() == (artifact / stored).read_bytes()
    data = Data(source="synthetic", windows=50, unlabeled=20)
    encoded = load_encoder(folder / names[1]).encode(data.windows_of("test"))
    assert encoded.shape == (10, 105, 2 * hidden_size)
    expected = load_encoder(artifact).encode(data.windows_of("test"))
    np.testing.assert_array_equal(encoded, expected)


def test_one_trial_alone_has_its_encoder_too(tmp_path: Path) -> None:
    run_trial(QUICKSTART, "size_4", overrides=TWO_TRIALS, results=tmp_path, in_process=True)
    found = {path.name for path in (tmp_path / "quickstart" / "trials").glob("*/*")}
    assert found == {"results.json", "size_4_encoder.json", "size_4_encoder.safetensors"}
    assert load_encoder(tmp_path / "quickstart/trials/size_4/size_4_encoder.safetensors")


def test_of_several_replicates_the_first_one_s_is_there(run: Run) -> None:
    outcome = run("folded", replicates={"folds": 3})
    assert exported(outcome).read_text() == "0.1 in fold 0"
    assert exported(outcome, "one-value=0.2").read_text() == "0.2 in fold 0"


def test_a_file_in_a_folder_is_there_below_the_name(run: Run) -> None:
    body = "(ctx.output / 'kept').mkdir(); (ctx.output / 'kept/model.txt').write_text(text)"
    outcome = run("nested", body, exports=("kept/model.txt",))
    folder = outcome.paths.trial("one-value=0.1")
    assert (folder / "one-value=0.1_kept" / "model.txt").read_text() == "0.1 in fold 0"


def test_what_is_not_exported_stays_in_the_store(run: Run) -> None:
    body = f"{LEAVES_IT}; (ctx.output / 'other.txt').write_text('other')"
    outcome = run("quiet", body)
    folder = outcome.paths.trial("one-value=0.1")
    assert sorted(path.name for path in folder.iterdir()) == [
        "one-value=0.1_model.txt",
        "results.json",
    ]


def test_what_a_trial_computes_anew_replaces_what_it_exported(run: Run) -> None:
    body = f"text = ctx.data.content; {LEAVES_IT}"
    before = exported(run("renewed", body))
    assert before.read_text() == "v1"
    after = exported(run("renewed", body, data={"content": "v2"}))
    assert (after, after.read_text()) == (before, "v2")


def test_what_a_trial_exported_before_it_failed_is_gone(run: Run) -> None:
    body = f"assert ctx.data.content == 'v1'; {LEAVES_IT}"
    found = exported(run("failing", body))
    assert found.exists()
    assert len(run("failing", body, data={"content": "v2"}).failures) == 2
    assert not found.exists()


def test_the_same_call_again_leaves_it_alone(run: Run) -> None:
    found = exported(run("calm"))
    before = found.stat().st_mtime_ns
    assert not run("calm").result.account.has_news
    assert found.stat().st_mtime_ns == before


def test_an_export_that_is_gone_is_back_after_the_same_call(run: Run) -> None:
    found = exported(run("restored"))
    found.unlink()
    run("restored")
    assert found.read_text() == "0.1 in fold 0"


@pytest.mark.parametrize(
    "body",
    ["pass", "(ctx.output / 'model.txt').mkdir()", "(ctx.output / 'other.txt').write_text(text)"],
    ids=["nothing", "a-folder", "another-name"],
)
def test_a_stage_must_leave_what_it_exports(run: Run, tmp_path: Path, body: str) -> None:
    outcome = run("careless", body)
    assert outcome.exit_code == 1
    sentence = "StageError: stage 'fit' must leave the file model.txt, which it exports"
    assert [failed.failure.message for failed in outcome.failures] == [sentence] * 2
    assert [failed.failure.cause for failed in outcome.failures] == ["error"] * 2
    assert not list((tmp_path / "results" / "store" / "fit").glob("[0-9a-f]*"))
    trials = outcome.decisions["one"]["trials"]
    assert [trial["reason"] for trial in trials] == [f"replicate 0: fit failed: {sentence}"] * 2


def test_the_first_export_that_is_missing_is_named(run: Run) -> None:
    outcome = run("both", exports=("model.txt", "second.txt", "third.txt"))
    message = outcome.failures[0].failure.message
    assert message.endswith("must leave the file second.txt, which it exports")


def test_a_failed_trial_exports_nothing_and_others_do(run: Run) -> None:
    outcome = run("half", f"if params.value > 0.1: {LEAVES_IT}")
    assert outcome.exit_code == 0
    assert not exported(outcome).exists()
    assert exported(outcome, "one-value=0.2").read_text() == "0.2 in fold 0"


@pytest.mark.parametrize("exports", ["model.txt", ("model.txt", 7), {"model.txt"}, None])
def test_exports_that_are_no_names_break_the_contract(run: Run, exports: Any) -> None:
    message = "workload: workload 'odd': stage 'fit': exports must be a tuple of names, but is "
    with pytest.raises(StudyError) as caught:
        run("odd", exports=exports)
    assert caught.value.problems == (message + repr(exports),)


@pytest.mark.parametrize("name", ["", "../other.txt", "/etc/hostname"])
def test_exports_that_lead_elsewhere_break_the_contract(run: Run, name: str) -> None:
    message = f"stage 'fit': exports must be files in the stage's folder, but are ({name!r},)"
    with pytest.raises(StudyError, match=re.escape(message)):
        run("elsewhere", exports=(name,))


def test_two_stages_that_export_the_same_name_break_the_contract(tmp_path: Path) -> None:
    stages = """
STAGES = tuple(
    Stage(name=name, params=P, function="same:fit", reads=(part,), exports=("model.txt",))
    for name, part in (("prepare", "unlabeled"), ("fit", "train"))
)
"""
    source = WORKLOAD.replace("NAME", "same").replace("EXPORTS", "()").replace("BODY", LEAVES_IT)
    (tmp_path / "same.py").write_text(source + stages)
    with pytest.raises(StudyError, match=r"two stages export 'model\.txt'; names must differ"):
        resolve_workload("same", folders=[str(tmp_path)])
