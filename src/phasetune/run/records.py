"""What the driver writes about a study, besides artifacts: decisions, plans, the final model."""

import shutil
import socket
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError
from phasetune.plan.trial import PhasePlan, Run, Trial
from phasetune.run.ledger import Ledger
from phasetune.run.request import RunState
from phasetune.run.scoring import environments, why_ineligible
from phasetune.select.record import carries, rule_record
from phasetune.select.scores import chain_metrics
from phasetune.select.shape import is_decision
from phasetune.select.verdict import Rule
from phasetune.stage.canonical import DIGEST_LENGTH
from phasetune.store.artifacts import Artifact
from phasetune.store.digests import file_digest
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import commit, replacing, withdraw
from phasetune.store.manifest import FILES
from phasetune.store.masking import masked_content
from phasetune.store.paths import PhasePaths, StudyPaths
from phasetune.store.provenance import command_line, git_state, software

SCHEMA = 1


def plan_record(plan: PhasePlan) -> dict[str, Any]:
    """A phase's trials and the runs of each replicate, so that reports need the store alone."""
    return {
        "schema": SCHEMA,
        "phase": plan.name,
        "index": plan.index,
        "trials": [trial_record(trial) for trial in plan.all_trials],
    }


def trial_record(trial: Trial) -> dict[str, Any]:
    """One trial: point, settings, and per replicate its seed, fold and runs."""
    return {
        "name": trial.name,
        "phase": trial.phase,
        "key": trial.key,
        "point": dict(trial.point),
        "settings": dict(trial.settings),
        "note": trial.note,
        "replicates": [
            {
                "seed_index": replicate.seed_index,
                "fold": None if replicate.fold is None else replicate.fold.index,
                "runs": [
                    {
                        "stage": run.stage,
                        "key": run.key,
                        "function": run.function,
                        "seed": run.seed,
                        "trunk": trunk_record(run),
                    }
                    for run in replicate.runs
                ],
            }
            for replicate in trial.replicates
        ],
    }


def trunk_record(run: Run) -> dict[str, Any] | None:
    """Where a run branches off, so that its trunk is known to be referred to."""
    return None if run.trunk is None else {"id": run.trunk.id, "step": run.trunk.step}


def discard_trial_plans(paths: PhasePaths) -> None:
    """Forget trials that were run alone: what counts now is the plan that was decided."""
    for path in paths.root.glob("plan-*.json"):
        withdraw(path)


def standing_decision(paths: PhasePaths, inputs: str | None) -> dict[str, Any] | None:
    """The phase's decision if it was made from these very inputs."""
    record = _readable_decision(paths)
    return record if record is not None and record.get("inputs") == inputs else None


def fitting_decision(paths: PhasePaths, plan: PhasePlan, rule: Rule) -> dict[str, Any] | None:
    """The phase's decision if it was made for this plan and rule; its scores are not looked at."""
    record = _readable_decision(paths)
    if record is None:
        return None
    baseline, candidates = plan.baseline and plan.baseline.name, len(plan.trials)
    planned = [
        (trial.name, trial.key, index < candidates, trial.name == baseline)
        for index, trial in enumerate(plan.all_trials)
    ]
    decided = [
        tuple(trial.get(name) for name in ("name", "key", "candidate", "baseline"))
        for trial in record.get("trials", ())
    ]
    fits = (
        record.get("carried") == dict(plan.carried)
        and record.get("rule") == rule_record(rule)
        and decided == planned
    )
    return record if fits else None


def follows(paths: PhasePaths, before: Mapping[str, Any]) -> bool:
    """Whether a phase has no decision, or one that was made around what the phase before decided.

    A decision that can't be read does not follow from anything.
    """
    if not paths.decision.exists():
        return True
    record = _readable_decision(paths)
    return carries(before) and record is not None and record.get("carried") == before["settings"]


def retire_decisions(paths: StudyPaths, phases: Iterable[str]) -> list[str]:
    """Move decisions aside, and remove the report made of them, which follows from what is kept.

    Returns:
        The phases that had one.
    """
    retired = []
    for name in phases:
        phase = paths.phase(name)
        if phase.decision.exists():
            inputs = str((_readable_decision(phase) or {}).get("inputs", "unreadable"))
            commit(phase.decision, phase.old_decision(inputs))
            retired.append(name)
    for view in (paths.report, paths.page, paths.analysis, paths.best, paths.final, paths.model):
        withdraw(view)
    return retired


def keep_decision(paths: PhasePaths, record: Mapping[str, Any]) -> bool:
    """Write a decision; one that no longer holds is kept beside it.

    Returns:
        Whether it replaces another one.
    """
    before = _readable_decision(paths)
    replaces = before is not None and before.get("inputs") != record["inputs"]
    if before is not None and replaces:
        write_document(paths.old_decision(str(before.get("inputs"))), before)
    if before is None and paths.decision.exists():
        commit(paths.decision, paths.old_decision("unreadable"))
    write_document(paths.decision, record)
    return replaces


def _readable_decision(paths: PhasePaths) -> dict[str, Any] | None:
    record = _readable(paths.decision)
    return record if is_decision(record) else None


def _readable(path: Path) -> dict[str, Any] | None:
    try:
        return read_document(path)
    except StoreError:
        return None


def final_record(trial: Trial, ledger: Ledger, *, training: Sequence[str]) -> dict[str, Any]:
    """What came of the last winner: its settings, what it scored on the test data."""
    reason = why_ineligible(trial, ledger)
    tested = [run for run in trial.runs if run.stage not in training]
    found = [(run.stage, ledger.artifact(run)) for run in tested]
    metrics = chain_metrics([(stage, made.metrics) for stage, made in found if made is not None])
    return {
        "schema": SCHEMA,
        "state": str(RunState.DONE if reason is None else RunState.FAILED),
        "reason": reason,
        "settings": dict(trial.settings),
        "refitted": trial.replicates[0].fold is None,
        "test": metrics if tested and reason is None else None,
        "runs": [{"stage": run.stage, "key": run.key} for run in trial.runs],
        "environments": environments([trial], ledger),
    }


def publish_model(
    trial: Trial, ledger: Ledger, paths: StudyPaths, *, training: Sequence[str]
) -> None:
    """Copy the final model's files to where people look for them."""
    artifact = ledger.artifact(_model_run(trial, training))
    if artifact is None or _is_copy(paths.model, artifact):
        return
    artifact.verify()
    withdraw(paths.model)
    with replacing(paths.model) as draft:
        shutil.copytree(artifact.files, draft)


def is_model_published(
    trial: Trial, ledger: Ledger, paths: StudyPaths, *, training: Sequence[str]
) -> bool:
    """Whether the final model's files are where people look for them, as the run left them."""
    artifact = ledger.artifact(_model_run(trial, training))
    return artifact is not None and _is_copy(paths.model, artifact)


def _model_run(trial: Trial, training: Sequence[str]) -> Run:
    return next(run for run in reversed(trial.runs) if run.stage in training)


def _is_copy(model: Path, artifact: Artifact) -> bool:
    found = {
        f"{FILES}/{path.relative_to(model).as_posix()}": file_digest(path)
        for path in model.rglob("*")
        if path.is_file()
    }
    return found == {
        name: described["sha256"][:DIGEST_LENGTH]
        for name, described in artifact.manifest["files"].items()
        if name.startswith(f"{FILES}/")
    }


def record_invocation(
    path: Path,
    *,
    started: datetime,
    backend: str,
    executed: Sequence[Mapping[str, Any]],
    code: str,
    data: Mapping[str, str],
) -> None:
    """Append to the provenance what one command executed, where, and with which software."""
    try:
        known = read_document(path) or {}
    except StoreError:
        known = {}
    earlier = known.get("invocations")
    invocation = {
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command_line(),
        "backend": backend,
        "host": socket.gethostname(),
        "software": software(),
        "git": git_state(Path.cwd()),
        "code": code,
        "data": masked_content(dict(data)),
        "executed": list(executed),
    }
    before = earlier if isinstance(earlier, list) else []
    write_document(path, {"invocations": [*before, invocation]})
