"""All figures of studies that were really run."""

import shutil
from pathlib import Path

import pytest

from phasetune import StoreError, StudyOutcome
from phasetune.report.figures import StudyFigure, study_figures, svg_text
from phasetune.store.paths import StudyPaths
from report.conftest import Runner

TRUNKED = {
    "workload": "trunked",
    "constraints": [],
    "phases": [{"name": "steps", "grid": {"grow.steps": [3, 5]}}],
    "final": {"refit": False, "test": False},
}


def figures(study: StudyPaths) -> list[StudyFigure]:
    return study_figures(study.root.parent, study)


def named(found: list[StudyFigure]) -> list[str]:
    return [figure.name for figure in found]


@pytest.fixture(scope="session")
def drawn(whole: StudyOutcome) -> list[StudyFigure]:
    return figures(whole.paths)


def test_they_are_in_reading_order(drawn: list[StudyFigure]) -> None:
    assert named(drawn) == [
        "phase-value",
        "phase-preparation",
        "phase-steps",
        "curves",
        "sharing",
        "timeline",
    ]
    assert [figure.phase for figure in drawn[:4]] == ["value", "preparation", "steps", None]


def test_each_has_words_and_numbers(drawn: list[StudyFigure]) -> None:
    for figure in drawn:
        assert figure.title
        assert figure.caption.endswith(".")
        assert figure.alt == f"{figure.title}. {figure.caption}"
        assert len(figure.data) > 0
        assert figure.kind == figure.name.partition("-")[0]


def test_they_can_all_stand_in_one_page(drawn: list[StudyFigure]) -> None:
    texts = [svg_text(figure.figure) for figure in drawn]
    ids = [id_ for text in texts for id_ in set(_ids(text))]
    assert len(ids) == len(set(ids))
    for figure, text in zip(drawn, texts, strict=True):
        assert f"<title>{figure.title}</title>" in text


def _ids(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split(' id="')[1:]]


def test_the_winner_in_the_words_is_that_of_the_decision(drawn: list[StudyFigure]) -> None:
    assert drawn[0].caption.startswith("value-value=0.6 wins among 4 trials with score 0.6000.")


def test_the_curves_emphasise_the_winner_of_each_phase(drawn: list[StudyFigure]) -> None:
    curves = next(figure for figure in drawn if figure.kind == "curves").data
    winners = curves[curves["is_winner"]].drop_duplicates("trial")
    assert list(winners["trial"]) == ["value-value=0.6", "preparation-value=0.5", "steps-steps=3"]


def test_the_tree_counts_what_the_study_shared(drawn: list[StudyFigure]) -> None:
    sharing = next(figure for figure in drawn if figure.kind == "sharing")
    assert sharing.caption.startswith("For 10 trials: prepare: 2 runs, not ")
    assert "test: 1 run." in sharing.caption


def test_milestones_have_a_figure(ran: Runner) -> None:
    outcome = ran(**TRUNKED)
    found = figures(outcome.paths)
    assert "pretraining" in named(found)
    made = next(figure for figure in found if figure.kind == "pretraining")
    assert "2 runs along 1 shared training" in made.caption


def test_of_an_unfinished_study_there_is_what_there_is(whole: StudyOutcome, tmp_path: Path) -> None:
    shutil.copytree(whole.paths.root.parent, tmp_path / "results")
    study = StudyPaths(tmp_path / "results" / whole.paths.root.name)
    for phase in ("preparation", "steps"):
        shutil.rmtree(study.root / "phases" / phase)
    assert named(figures(study)) == ["phase-value", "curves", "sharing", "timeline"]


def test_without_artifacts_the_decisions_are_drawn(whole: StudyOutcome, tmp_path: Path) -> None:
    shutil.copytree(whole.paths.root.parent, tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "store")
    study = StudyPaths(tmp_path / "results" / whole.paths.root.name)
    assert named(figures(study)) == [
        "phase-value",
        "phase-preparation",
        "phase-steps",
        "sharing",
    ]


def test_failed_trials_are_told_with_their_reason(ran: Runner) -> None:
    phases = [{"name": "one", "points": [{"train.fault": "raise"}, {"train.fault": "none"}]}]
    outcome = ran(phases=phases)
    assert "1 could not be judged" in figures(outcome.paths)[0].caption


def test_no_study_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no study"):
        figures(StudyPaths(tmp_path / "none"))
