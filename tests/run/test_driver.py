"""A study in this process: what runs, what is decided, what goes on, what fails."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Heard, StudyMaker
from phasetune import StoreError, Study, StudyError, StudyOutcome
from phasetune.api import run_study, run_trial
from phasetune.run.events import Noticed, PhaseDecided, RunDone, RunFailed, RunReported, WaveStarted
from phasetune.run.interrupt import Interrupted
from phasetune.store.manifest import with_digest
from stored import StopsAt

Runner = Callable[..., StudyOutcome]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    def go(study: Study, **options: Any) -> StudyOutcome:
        return run_study(study, results=tmp_path / "results", in_process=True, **options)

    return go


def winners(outcome: StudyOutcome) -> list[str | None]:
    return [record["winner"] for record in outcome.decisions.values()]


def executed(outcome: StudyOutcome) -> int:
    return len(outcome.result.account.executed)


def notices(heard: Heard) -> list[str]:
    return [event.message for event in heard.of(Noticed)]


def test_a_study_runs_phase_by_phase_and_carries_its_winners(
    run: Runner, scripted_study: StudyMaker
) -> None:
    outcome = run(scripted_study())
    assert winners(outcome) == ["value-value=0.6", "preparation-value=0.5", "steps-steps=3"]
    assert outcome.winner is not None
    assert outcome.winner["settings"]["train.value"] == 0.6
    assert outcome.exit_code == 0
    # 1 preparation for three values, 1 more for the second one, 1 more training each,
    # the same trials again in later phases, and the final refit and test
    assert executed(outcome) == (1 + 3) + (1 + 1) + 1 + 2
    assert outcome.result.account.asked == 2 * (3 + 2 + 2) + 3


def test_the_same_study_again_executes_and_writes_nothing(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    run(scripted_study())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    outcome = run(scripted_study(), listener=heard)
    assert executed(outcome) == 0
    assert not heard.of(WaveStarted)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == before


def test_one_more_value_executes_only_what_is_new(run: Runner, scripted_study: StudyMaker) -> None:
    run(scripted_study())
    wider = [{"name": "value", "grid": {"train.value": [0.2, 0.6, 0.4, 0.5]}}]
    phases = wider + [phase.model_dump() for phase in scripted_study().phases[1:]]
    outcome = run(scripted_study(phases=phases))
    assert [run["stage"] for run in outcome.result.account.executed] == ["train"]


def test_a_changed_winner_is_decided_again_and_the_old_decision_is_kept(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    old = run(scripted_study()).decisions["value"]
    phases = [phase.model_dump(exclude_none=True) for phase in scripted_study().phases]
    phases[0]["grid"] = {"train.value": [0.2, 0.6, 0.9]}
    outcome = run(scripted_study(phases=phases), listener=heard)
    assert winners(outcome)[0] == "value-value=0.9"
    assert [event.again for event in heard.of(PhaseDecided)] == [True, True, True]
    folder = outcome.paths.phase("value").root
    kept = json.loads((folder / f"decision-{old['inputs'][:12]}.json").read_text())
    assert kept == json.loads(json.dumps(old))
    changed = "changed since the last run: phases.0.grid.train.value: "
    assert f"{changed}[0.2, 0.6, 0.4] -> [0.2, 0.6, 0.9]" in notices(heard)


def test_another_objective_decides_again_without_executing(
    run: Runner, scripted_study: StudyMaker
) -> None:
    run(scripted_study(), phase="value")
    outcome = run(scripted_study(objective={"metric": "score", "mode": "min"}), phase="value")
    assert executed(outcome) == 0
    assert winners(outcome) == ["value-value=0.2"]


def test_a_failing_run_does_not_take_the_study_down(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    points = [
        {"train.value": 0.4},
        {"train.value": 0.9, "train.fault": "raise"},
        {"prepare.fault": "exit", "train.value": 0.8},
    ]
    outcome = run(scripted_study(phases=[{"name": "one", "points": points}]), listener=heard)
    assert winners(outcome) == [
        next(t["name"] for t in outcome.decisions["one"]["trials"] if t["point"] == points[0])
    ]
    assert outcome.exit_code == 0
    reasons = [trial["reason"] for trial in outcome.decisions["one"]["trials"]]
    assert reasons[0] is None
    assert "train failed: ValueError: scripted failure at step 1" in reasons[1]
    assert "prepare failed: SystemExit: 3" in reasons[2]
    failed = {found.failure.message: found.traceback for found in outcome.failures}
    assert set(failed) == {"ValueError: scripted failure at step 1", "SystemExit: 3"}
    traceback = failed["ValueError: scripted failure at step 1"].read_text()
    assert 'raise ValueError(f"scripted failure at step {step}")' in traceback
    assert len(heard.of(RunFailed)) == 2
    states = {row["status"] for row in _runs(outcome)}
    assert states == {"done", "failed", "not_run"}


def _runs(outcome: StudyOutcome) -> list[dict[str, Any]]:
    from phasetune import runs

    rows: list[dict[str, Any]] = runs(outcome.paths.root.parent).to_dict("records")  # type: ignore[assignment]
    return rows


def test_failed_runs_are_tried_again_only_when_asked(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    point = {"train.fault": "raise", "train.marker": str(tmp_path / "happened")}
    study = scripted_study(phases=[{"name": "one", "points": [point, {"train.value": 0.1}]}])
    assert len(run(study).failures) == 1
    again = run(study)
    assert (executed(again), len(again.failures)) == (0, 1)
    healed = run(study, retry_failed=True)
    assert (len(healed.failures), winners(healed)) == (0, [healed.decisions["one"]["leader"]])
    assert healed.decisions["one"]["trials"][0]["standing"] == "feasible"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nan", "score is nan"),
        ("missing", "no metric 'score' in every replicate"),
        ("text", "metric 'score' must be a number, but is a str"),
    ],
)
def test_what_is_no_score_cannot_win(
    run: Runner, scripted_study: StudyMaker, fault: str, reason: str
) -> None:
    points = [{"train.fault": fault, "train.value": 0.9}, {"train.value": 0.1}]
    outcome = run(scripted_study(phases=[{"name": "one", "points": points}]))
    bad, good = outcome.decisions["one"]["trials"]
    assert (bad["standing"], good["standing"]) == ("ineligible", "feasible")
    assert reason in bad["reason"]
    assert winners(outcome) == [good["name"]]


def test_a_phase_without_a_judgeable_trial_ends_the_study(
    run: Runner, scripted_study: StudyMaker
) -> None:
    outcome = run(scripted_study(params={"train": {"fault": "raise"}}))
    assert outcome.exit_code == 1
    assert list(outcome.decisions) == ["value"]
    assert outcome.winner is None
    assert "could be judged" in outcome.paths.analysis.read_text()


@pytest.mark.parametrize(
    ("then", "exit_code", "winner", "phases"),
    [
        ("stop", 3, None, 1),
        ("least_violation", 0, "value-value=0.6", 3),
        ("keep_carried", 0, None, 3),
    ],
)
def test_without_a_feasible_trial_the_study_does_what_it_says(
    run: Runner,
    scripted_study: StudyMaker,
    then: str,
    exit_code: int,
    winner: str | None,
    phases: int,
) -> None:
    outcome = run(scripted_study(constraints=["score >= 0.95"], if_infeasible=then))
    assert outcome.exit_code == exit_code
    assert winners(outcome)[0] == winner
    assert len(outcome.decisions) == phases
    assert outcome.decisions["value"]["closest"] == "value-value=0.6"
    assert "score >= 0.95 by 0.35" in outcome.paths.analysis.read_text()


def test_one_phase_alone_goes_on_from_earlier_winners(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    run(scripted_study(), phase=1)
    outcome = run(scripted_study(), phase="preparation", listener=heard)
    assert outcome.decisions["preparation"]["carried"]["train.value"] == 0.6
    assert "phase value: decided before; goes on from value-value=0.6" in notices(heard)
    assert outcome.report["final"] is None
    assert not outcome.report["is_complete"]


def test_one_phase_alone_starts_from_the_base_where_nothing_was_decided(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    outcome = run(scripted_study(), phase=2, listener=heard)
    assert list(outcome.decisions) == ["preparation"]
    assert outcome.decisions["preparation"]["carried"]["train.value"] == 0.5
    assert "phase value: has no decision, so its parameters stay as they came in" in notices(heard)


@pytest.mark.parametrize("phase", ["valeu", "4", "0"])
def test_an_unknown_phase_is_named(run: Runner, scripted_study: StudyMaker, phase: str) -> None:
    with pytest.raises(StudyError, match=f"there is no phase '{phase}'.*1 to 3"):
        run(scripted_study(), phase=phase)


def test_one_trial_runs_alone_by_its_name(scripted_study: StudyMaker, tmp_path: Path) -> None:
    results = tmp_path / "results"
    document, account = run_trial(
        scripted_study(), "value-value=0.4", results=results, in_process=True
    )
    assert document["metrics"]["score"]["mean"] == 0.4
    assert [run["stage"] for run in account.executed] == ["prepare", "train"]
    kept = results / "scripted" / "trials" / "value-value=0.4" / "results.json"
    assert json.loads(kept.read_text())["parameters"]["train.value"] == 0.4
    assert not (results / "scripted" / "phases" / "value" / "decision.json").exists()


def test_a_trial_that_took_part_in_a_decision_keeps_its_standing(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    run(scripted_study())
    document, _ = run_trial(
        scripted_study(), "value-value=0.6", results=tmp_path / "results", in_process=True
    )
    assert (document["standing"], document["is_winner"]) == ("feasible", True)


def test_an_unknown_trial_lists_those_there_are(scripted_study: StudyMaker, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no trial 'x'.*value-value=0\.2"):
        run_trial(scripted_study(), "x", results=tmp_path, in_process=True)


def test_missing_data_is_an_error_before_any_folder_is_made(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="data: the part 'train' can't be read: no such file"):
        run(scripted_study(data={"missing": "train"}))
    assert not (tmp_path / "results").exists()


def test_wrong_data_is_an_error_before_any_folder_is_made(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="data: rows overlap"):
        run(scripted_study(data={"problem": "rows overlap"}))
    assert not (tmp_path / "results").exists()


def test_new_test_data_retrains_nothing(run: Runner, scripted_study: StudyMaker) -> None:
    first = run(scripted_study(phases=[{"name": "one", "points": [{}]}]))
    assert executed(first) == 4
    again = run(scripted_study(phases=[{"name": "one", "points": [{}]}], data={"content": "v2"}))
    assert executed(again) == 4
    name_only = run(scripted_study(name="other", phases=[{"name": "two", "points": [{}]}]))
    assert executed(name_only) == 0


def test_a_damaged_artifact_is_set_aside_and_computed_again(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    first = run(scripted_study())
    victim = next((first.paths.root.parent / "store" / "train").glob("*/files/chain.txt"))
    victim.write_text("torn")
    outcome = run(scripted_study(), listener=heard)
    assert executed(outcome) == 1
    assert winners(outcome) == winners(first)
    (message,) = (text for text in notices(heard) if "is not what was published" in text)
    assert str(victim) in message
    kept = next((first.paths.root.parent / "store" / "set-aside" / "train").glob("*-damaged-1"))
    assert (kept / "files" / "chain.txt").read_text() == "torn"


def test_a_decision_over_mixed_environments_says_so_and_strictness_runs_the_others_again(
    run: Runner, scripted_study: StudyMaker
) -> None:
    study = scripted_study(phases=[scripted_study().phases[0].model_dump(exclude_none=True)])
    first = run(study)
    for path in (first.paths.root.parent / "store" / "train").glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        if manifest["metrics"]["score"] == 0.2:
            manifest["environment"]["libraries"]["numpy"] = "1.0"
            path.write_text(json.dumps(with_digest(manifest)))
    mixed = run(study)
    assert executed(mixed) == 0
    assert (
        "Trials of one phase were computed in different environment classes."
        in (mixed.report["warnings"])
    )
    strict = run(study, strict_environment=True)
    assert executed(strict) == 1
    assert strict.report["warnings"] == []


def test_choosing_on_the_test_data_is_warned_about(run: Runner, scripted_study: StudyMaker) -> None:
    outcome = run(scripted_study(objective={"metric": "score", "on": "test"}))
    assert "Winners are chosen on the test data" in outcome.report["warnings"][0]
    assert "Winners are chosen on the test data" in outcome.paths.analysis.read_text()


def test_the_final_model_is_there_and_its_test_counts_once(
    run: Runner, scripted_study: StudyMaker
) -> None:
    outcome = run(scripted_study())
    assert (outcome.paths.model / "chain.txt").exists()
    assert outcome.winner is not None
    assert outcome.winner["test"]["score"] == 0.5
    tests = [run for run in outcome.result.account.executed if run["stage"] == "test"]
    assert len(tests) == 1


def test_a_failed_final_is_an_exit_code(run: Runner, scripted_study: StudyMaker) -> None:
    outcome = run(scripted_study(params={"test": {"fault": "raise"}}))
    assert outcome.exit_code == 1
    assert "The final model failed" in outcome.paths.analysis.read_text()


def test_best_settings_are_a_study_that_computes_nothing_anew(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    outcome = run(scripted_study(replicates={"folds": 3, "seeds": 2}))
    best = run_study(outcome.paths.best, results=tmp_path / "results", in_process=True)
    assert executed(best) == 0
    assert best.winner is not None
    assert outcome.winner is not None
    assert best.winner["settings"] == outcome.winner["settings"]
    assert best.winner["test"] == outcome.winner["test"]


@pytest.mark.parametrize("count", [1, 2, 5, 8, 11, 20])
def test_an_interrupted_study_goes_on_to_the_same_report(
    scripted_study: StudyMaker, tmp_path: Path, count: int
) -> None:
    study = scripted_study(replicates={"folds": 2})
    whole = run_study(study, results=tmp_path / "whole", in_process=True)
    with pytest.raises(Interrupted) as stopped:
        run_study(study, results=tmp_path / "cut", in_process=True, listener=StopsAt(count))
    assert stopped.value.exit_code == 143
    heard = Heard()
    cut = run_study(study, results=tmp_path / "cut", in_process=True, listener=heard)
    report = whole.paths.root / "report.json"
    assert (cut.paths.root / "report.json").read_bytes() == report.read_bytes()
    assert executed(cut) + _done_before(cut) == executed(whole)
    steps = [event.step for event in heard.of(RunReported)]
    assert len(steps) + count == _all_steps(whole)


def _done_before(outcome: StudyOutcome) -> int:
    provenance = json.loads(outcome.paths.provenance.read_text())
    return sum(len(entry["executed"]) for entry in provenance["invocations"][:-1])


def _all_steps(outcome: StudyOutcome) -> int:
    from phasetune.store.artifacts import ArtifactStore

    store = ArtifactStore(outcome.paths.root.parent / "store")
    found = [store.get(run["stage"], run["key"]) for run in outcome.result.account.executed]
    return sum(len(artifact.history()) for artifact in found if artifact is not None)


def test_an_interrupted_phase_decides_nothing(scripted_study: StudyMaker, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run_study(scripted_study(), results=tmp_path, in_process=True, listener=StopsAt(4))
    assert not list(tmp_path.rglob("decision.json"))
    assert not list(tmp_path.rglob("report.json"))


def test_history_of_an_interrupted_run_has_each_step_once(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    from phasetune import history

    with pytest.raises(Interrupted):
        run_study(scripted_study(), results=tmp_path, in_process=True, listener=StopsAt(2))
    run_study(scripted_study(), results=tmp_path, in_process=True)
    steps = history(tmp_path).groupby("key")["step"].apply(list)
    assert all(found == list(range(1, len(found) + 1)) for found in steps)


def test_changed_sources_are_refused_by_the_process_that_runs(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    from conftest import TESTS

    source = tmp_path / "scripted_copy.py"
    source.write_text((TESTS / "scripted.py").read_text().replace("scripted:", "scripted_copy:"))
    study = scripted_study(workload="scripted_copy", import_from=[str(tmp_path)])
    first = run_study(study, results=tmp_path / "results", in_process=True)
    source.write_text(source.read_text() + "\nCHANGED = True\n")
    again = run_study(study, results=tmp_path / "results", in_process=True)
    assert executed(again) == executed(first)

    class Meddler:
        def notify(self, event: object) -> None:
            if isinstance(event, RunDone):
                source.write_text(source.read_text() + "\n# meddled with\n")

    source.write_text(source.read_text() + "\nCHANGED = 2\n")
    before = source.read_text()
    with pytest.raises(StoreError, match="are others here than where the study was planned"):
        run_study(study, results=tmp_path / "results", in_process=True, listener=Meddler())
    source.write_text(before)
    restored = run_study(study, results=tmp_path / "results", in_process=True)
    assert restored.exit_code == 0
    assert executed(restored) == executed(first) - 1


def test_a_study_without_results_is_a_sentence(tmp_path: Path) -> None:
    from phasetune import trials

    with pytest.raises(StoreError, match="holds no study"):
        trials(tmp_path)


def workload(folder: Path, name: str, body: str) -> dict[str, Any]:
    """A workload of one stage `fit`, whose function has this body."""
    (folder / f"{name}.py").write_text(
        "from pydantic import BaseModel\n"
        "from phasetune import Stage\n"
        "class P(BaseModel):\n"
        "    value: float = 0.5\n"
        "class Data(BaseModel):\n"
        "    def fingerprint(self, part): return part\n"
        f"STAGES = (Stage(name='fit', params=P, function='{name}:fit', reads=('train',)),)\n"
        f"def fit(ctx, params):\n{body}"
    )
    return {
        "workload": name,
        "import_from": [str(folder)],
        "constraints": [],
        "phases": [{"name": "one", "grid": {"fit.value": [0.1, 0.2, 0.3]}}],
        "final": {"refit": False, "test": False},
    }


@pytest.mark.parametrize(
    ("name", "draw"),
    [
        ("draws_torch", "    import torch\n    score = float(torch.rand(1))\n"),
        ("draws_numpy", "    import numpy as np\n    score = float(np.random.rand())\n"),
        ("draws_python", "    import random\n    score = random.random()\n"),
    ],
)
def test_global_generators_are_seeded_in_a_fresh_process_too(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path, name: str, draw: str
) -> None:
    import subprocess
    import sys

    changes = workload(tmp_path, name, f"{draw}    return {{'score': score}}\n")
    study = scripted_study(**changes)
    here = run(study)
    script = (
        "import json, sys\n"
        "from phasetune import Study, run_study\n"
        "study = Study.model_validate(json.loads(sys.argv[1]))\n"
        "outcome = run_study(study, results=sys.argv[2], in_process=True)\n"
        "print(json.dumps(outcome.decisions['one']['trials']))\n"
    )
    content = json.dumps(study.model_dump(mode="json", exclude_unset=True))
    fresh = subprocess.run(
        [sys.executable, "-c", script, content, str(tmp_path / "fresh")],
        capture_output=True,
        text=True,
        check=True,
    )
    scores = {
        trial["metrics"]["score"]["mean"]
        for trial in [*json.loads(fresh.stdout), *here.decisions["one"]["trials"]]
    }
    assert len(scores) == 1


def test_strictness_does_not_go_on_from_a_checkpoint_of_another_environment(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path, heard: Heard
) -> None:
    from phasetune.stage.canonical import digest

    study = scripted_study(phases=[{"name": "one", "points": [{}]}], final={"refit": False})
    with pytest.raises(Interrupted):
        run(study, listener=StopsAt(5))
    (seal,) = tmp_path.rglob("phasetune-checkpoint.json")
    content = json.loads(seal.read_text())
    assert content["step"] == 2
    del content["digest"]
    content["environment"]["libraries"]["numpy"] = "1.0"
    seal.write_text(json.dumps({**content, "digest": digest(content)}))
    run(study, strict_environment=True, listener=heard)
    assert [event.step for event in heard.of(RunReported)][:3] == [1, 2, 3]


def test_a_damaged_parent_is_computed_again_before_its_children(
    run: Runner, scripted_study: StudyMaker, heard: Heard
) -> None:
    first = run(scripted_study(), phase=1)
    (parent,) = (first.paths.root.parent / "store" / "prepare").glob("*/files/chain.txt")
    flipped = bytearray(parent.read_bytes())
    flipped[0] ^= 1
    parent.write_bytes(flipped)
    whole = run_study(scripted_study(), results=parent.parents[5] / "whole", in_process=True)
    outcome = run(scripted_study(), listener=heard)
    assert not outcome.failures
    assert any("is not what was published" in text for text in notices(heard))
    report = "report.json"
    assert (outcome.paths.root / report).read_bytes() == (whole.paths.root / report).read_bytes()


def test_decisions_of_another_study_are_put_away_before_anything_runs(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    run_study(scripted_study(), results=tmp_path, in_process=True)
    with pytest.raises(Interrupted):
        run_study(scripted_study(seed=12), results=tmp_path, in_process=True, listener=StopsAt(2))
    study = tmp_path / "scripted"
    assert not list(study.rglob("decision.json"))
    assert len(list(study.rglob("decision-*.json"))) == 3
    gone = ("report.json", "analysis.txt", "best.yaml", "final.json", "model")
    assert not any((study / name).exists() for name in gone)


def test_one_phase_alone_has_its_trials_and_its_settings(
    run: Runner, scripted_study: StudyMaker
) -> None:
    outcome = run(scripted_study(), phase=2)
    assert list(outcome.phases["preparation"].trials["trial"]) == [
        "preparation-value=0.5",
        "preparation-value=0.7",
    ]
    assert outcome.winner is not None
    assert outcome.winner["phase"] == "preparation"


def test_a_mistake_in_a_later_phase_shows_before_the_first_one_runs(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    from phasetune import PlanError

    phases = [phase.model_dump(exclude_none=True) for phase in scripted_study().phases]
    phases[2]["trial_name"] = "same"
    with pytest.raises(PlanError, match="two trials are named 'same'"):
        run(scripted_study(phases=phases))
    assert not (tmp_path / "results").exists()


def test_a_failure_reads_the_same_wherever_it_happened(
    scripted_study: StudyMaker, tmp_path: Path
) -> None:
    body = "    raise ValueError(f'no room in {ctx.output} \\udcff')\n"
    study = scripted_study(**workload(tmp_path, "fails_with_paths", body))
    reports = set()
    for folder in ("one", "two"):
        outcome = run_study(study, results=tmp_path / folder, in_process=True)
        reports.add((outcome.paths.root / "report.json").read_bytes())
        assert outcome.failures[0].failure.message == "ValueError: no room in <output> \\udcff"
    assert len(reports) == 1


def test_a_link_in_the_output_is_the_runs_own_failure(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    body = "    (ctx.output / 'link').symlink_to('/etc/hosts')\n    return {'score': 1.0}\n"
    outcome = run(scripted_study(**workload(tmp_path, "leaves_a_link", body)))
    assert outcome.exit_code == 1
    assert "link must be a plain file or folder" in outcome.failures[0].failure.message


def test_functions_in_other_modules_are_part_of_the_identity(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    body = "    return {'score': params.value}\n"
    changes = workload(tmp_path, "names_a_function", body)
    source = tmp_path / "names_a_function.py"
    source.write_text(source.read_text().replace("names_a_function:fit", "the_function:fit"))
    other = tmp_path / "the_function.py"
    other.write_text(f"def fit(ctx, params):\n{body}")
    first = run(scripted_study(**changes))
    other.write_text("def fit(ctx, params):\n    return {'score': -params.value}\n")
    assert winners(first) != winners(run(scripted_study(**changes)))


def test_one_phase_of_a_changed_study_leaves_no_decision_of_the_old_one(
    run: Runner, scripted_study: StudyMaker
) -> None:
    run(scripted_study())
    outcome = run(scripted_study(seed=12), phase="preparation")
    assert [record["phase"] for record in outcome.report["phases"]] == ["preparation"]
    assert outcome.report["study"]["seed"] == 12


def test_a_trial_of_a_changed_study_leaves_the_decided_one_alone(
    run: Runner, scripted_study: StudyMaker, tmp_path: Path
) -> None:
    outcome = run(scripted_study())
    kept = (outcome.paths.study, outcome.paths.report, outcome.paths.phase("value").decision)
    before = [path.read_bytes() for path in kept]
    run_trial(
        scripted_study(seed=12),
        "preparation-value=0.7",
        results=tmp_path / "results",
        in_process=True,
    )
    assert [path.read_bytes() for path in kept] == before
