"""What a workload says should be known: once in a plan, and once when something runs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import TESTS, Heard, StudyMaker
from phasetune import Study, plan_study, run_study, run_trial
from phasetune.plan.warnings import workload_warnings
from phasetune.run.events import Noticed, WaveStarted
from phasetune.study.load import LoadedStudy
from phasetune.study.parameters import Settings

WIDTHS: list[Settings] = [{"pretrain.hidden_size": size} for size in (512, 8, 256, 512)]


def of_size(params: Mapping[str, Any], data: Any, *, device: str) -> Iterable[str]:
    """Two sentences about wide encoders, from typed parameters, data and device."""
    size = params["pretrain"].hidden_size
    if size > 100:
        yield f"{params['finetune'].num_heads} heads over {data.unlabeled} on {device}"
        yield f"{size} is wide"


def warned(
    study: Callable[..., LoadedStudy], advise: Any, *, device: str = "cpu"
) -> tuple[str, ...]:
    loaded = study()
    advised = replace(loaded, workload=replace(loaded.workload, advise=advise))
    return workload_warnings(advised, lambda: WIDTHS, device=device)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_each_sentence_is_said_once_in_the_order_of_settings(
    study: Callable[..., LoadedStudy], device: str
) -> None:
    assert warned(study, of_size, device=device) == (
        f"8 heads over u1 on {device}",
        "512 is wide",
        "256 is wide",
    )


def test_a_workload_without_advice_says_nothing_and_needs_no_settings(
    study: Callable[..., LoadedStudy],
) -> None:
    def not_asked() -> list[Settings]:
        raise AssertionError("the settings are not needed")

    assert workload_warnings(study(), not_asked, device="cpu") == ()


WORKLOAD = """
from pydantic import BaseModel
from phasetune import Stage

class P(BaseModel):
    value: float = 0.5

class Data(BaseModel):
    def fingerprint(self, part):
        return part

STAGES = (
    Stage(name="fit", params=P, function="warns:fit", reads=("train",)),
    Stage(name="grow", params=P, function="warns:fit"),
)

def advise(params, data, *, device):
    if params["fit"].value > 0.5:
        yield f"fit.value {params['fit'].value} is much on a {device}"
    if params["grow"].value > 0.5:
        yield "growing takes long"

def fit(ctx, params):
    return {"score": -params.value}
"""
MUCH = "fit.value 0.9 is much on a cpu"
LONG = "growing takes long"


@pytest.fixture
def warns(scripted_study: StudyMaker, tmp_path: Path) -> Callable[..., Study]:
    """A study of a workload that gives advice, or of another source of it."""

    def make(source: str = WORKLOAD, **changes: Any) -> Study:
        (tmp_path / "warns.py").write_text(source)
        content = {
            "workload": "warns",
            "import_from": [str(tmp_path)],
            "constraints": [],
            "phases": [
                {"name": "fit", "grid": {"fit.value": [0.2, 0.9]}},
                {"name": "grow", "grid": {"grow.value": [0.2, 0.9, 0.95]}},
            ],
        }
        return scripted_study(**{**content, **changes})

    return make


def said(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed) if event.message.startswith("warning")]


def test_a_plan_has_each_sentence_once(warns: Callable[..., Study], tmp_path: Path) -> None:
    assert plan_study(warns(), results=tmp_path).warnings == (MUCH, LONG)
    calm = warns(phases=[{"name": "fit", "grid": {"fit.value": [0.2, 0.3]}}])
    assert plan_study(calm, results=tmp_path).warnings == ()


def test_a_study_s_own_warnings_come_first(scripted_study: StudyMaker, tmp_path: Path) -> None:
    source = (TESTS / "scripted.py").read_text().replace("scripted:", "warns_too:")
    advise = "\n\ndef advise(params, data, *, device):\n    return ['of its own']\n"
    (tmp_path / "warns_too.py").write_text(source + advise)
    changes = {"workload": "warns_too", "import_from": [str(tmp_path)]}
    objective = {"metric": "score", "on": "test"}
    found = plan_study(scripted_study(**changes, objective=objective), results=tmp_path).warnings
    assert "chosen on the test data" in found[0]
    assert found[1:] == ("of its own",)


def test_a_run_is_warned_once_and_where_nothing_runs_not_at_all(
    warns: Callable[..., Study], tmp_path: Path, heard: Heard
) -> None:
    run_study(warns(), results=tmp_path, in_process=True, listener=heard)
    assert said(heard) == [f"warning: {MUCH}", f"warning: {LONG}"]
    again = Heard()
    run_study(warns(), results=tmp_path, in_process=True, listener=again)
    assert said(again) == []
    assert not again.of(WaveStarted)


def test_it_is_warned_before_what_it_warns_of_runs(
    warns: Callable[..., Study], tmp_path: Path, heard: Heard
) -> None:
    run_study(warns(), results=tmp_path, in_process=True, listener=heard)
    events = [event for event in heard.events if isinstance(event, Noticed | WaveStarted)]
    told = [event.message if isinstance(event, Noticed) else event.phase for event in events]
    expected = [f"warning: {MUCH}", "fit", f"warning: {LONG}", "grow", "final"]
    assert list(dict.fromkeys(told)) == expected


def test_what_is_new_in_a_study_that_goes_on_is_warned_of(
    warns: Callable[..., Study], tmp_path: Path, heard: Heard
) -> None:
    run_study(warns(), results=tmp_path, phase="fit", in_process=True)
    run_study(warns(), results=tmp_path, in_process=True, listener=heard)
    assert said(heard) == [f"warning: {LONG}"]


@pytest.mark.parametrize(
    ("name", "sentences"), [("fit-value=0.2", []), ("fit-value=0.9", [f"warning: {MUCH}"])]
)
def test_one_trial_alone_is_warned_of_what_it_is(
    warns: Callable[..., Study],
    tmp_path: Path,
    heard: Heard,
    name: str,
    sentences: list[str],
) -> None:
    run_trial(warns(), name, results=tmp_path, in_process=True, listener=heard)
    assert said(heard) == sentences


def test_a_workload_may_import_python_s_own_warnings(
    warns: Callable[..., Study], tmp_path: Path, heard: Heard
) -> None:
    source = "import warnings\n" + WORKLOAD.partition("def advise")[0]
    source += "def fit(ctx, params):\n    return {'score': -params.value}\n"
    study = warns(source)
    assert plan_study(study, results=tmp_path).warnings == ()
    run_study(study, results=tmp_path, in_process=True, listener=heard)
    assert said(heard) == []


@pytest.mark.parametrize(
    ("unlabeled", "epochs", "is_large"),
    [(250_000, 4, True), (249_999, 4, False), (1000, 8, False), (125_000, 8, True)],
)
def test_windows_of_full_size_without_a_gpu_are_warned_of(
    tmp_path: Path, unlabeled: int, epochs: int, is_large: bool
) -> None:
    overrides = [
        f"data.unlabeled={unlabeled}",
        f"params.pretrain.epochs={epochs}",
        f"phases.depth.points=[{{pretrain.epochs: {epochs}}}]",
    ]
    quickstart = TESTS.parent / "configs" / "quickstart.yaml"
    found = plan_study(quickstart, overrides=overrides, results=tmp_path).warnings
    sentence = f"pre-training on {unlabeled:,} windows is of full size, and without CUDA it"
    assert [text.startswith(sentence) for text in found] == [True] * is_large
