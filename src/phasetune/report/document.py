"""The canonical report: what was asked, decided and found, and nothing of how it came about.

No times, hosts, paths, reuse or retries are in it, so a study that was interrupted, shared work
with another one or ran on another backend has the same report, byte for byte.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phasetune.errors import StoreError, StudyError
from phasetune.report.kept import kept_decision
from phasetune.select.record import carried_settings, carries
from phasetune.store.documents import read_document
from phasetune.store.masking import masked_content
from phasetune.store.paths import ResultsPaths, StudyPaths, shown_path
from phasetune.store.remote.mirror import away
from phasetune.study.reading import read_yaml
from phasetune.study.schema import Study

SCHEMA = 1
_ASKED = (
    "name",
    "description",
    "workload",
    "seed",
    "data",
    "params",
    "numerics",
    "replicates",
    "objective",
    "constraints",
    "ties",
    "if_infeasible",
    "baseline",
)
_FREE = ("description", "data", "params", "baseline")


def chosen_studies(results: Path, study: str | None) -> list[StudyPaths]:
    """The study of this name below a results root, or all of them.

    Raises:
        StoreError: there is none; the message says which there are.
    """
    paths = ResultsPaths(results)
    found = {entry.root.name: entry for entry in paths.studies()}
    if study is not None and study not in found:
        known = ", ".join(found) or "none"
        raise StoreError(f"{paths.shown} holds no study {study!r}; it holds: {known}")
    if not found:
        raise StoreError(
            f"{paths.shown} holds no study; name a results root, as `phasetune run` made"
        )
    return list(found.values()) if study is None else [found[study]]


def kept_study(paths: StudyPaths) -> Study:
    """The study as it was last run.

    Raises:
        StoreError: there is none below this folder, or it is not what was written.
    """
    if not paths.study.exists():
        raise StoreError(
            f"{shown_path(paths.root)} holds no study; results are made by `phasetune run`"
        )
    try:
        content = read_yaml(paths.study).content
        folders = [str((paths.root / entry).resolve()) for entry in content.get("import_from", ())]
        return Study.model_validate({**content, "import_from": folders})
    except (StudyError, ValueError, TypeError) as error:
        raise StoreError(
            f"{paths.study} is not what `phasetune run` wrote; run the study again"
        ) from error


def standing_decisions(study: Study, paths: StudyPaths) -> list[dict[str, Any]]:
    """The decisions there are, in order; those that no longer hold were put away by the driver.

    Raises:
        StoreError: a decision can't be read.
    """
    found = [kept_decision(paths.phase(phase.name)) for phase in study.phases]
    return [record for record in found if record is not None]


def report_document(paths: StudyPaths) -> dict[str, Any]:
    """Build the report from what the study left.

    Raises:
        StoreError: there is no study, or a document of it can't be read.
    """
    study = kept_study(paths)
    decisions = standing_decisions(study, paths)
    final = _standing_final(study, decisions, paths.final)
    asked = study.model_dump(mode="json")
    return {
        "schema": SCHEMA,
        "study": {name: _asked(name, asked[name]) for name in _ASKED},
        "phases": decisions,
        "final": final,
        "final_recommendation": _recommendation(decisions, final),
        "is_complete": len(decisions) == len(study.phases)
        and (final is not None or not (study.final.refit or study.final.test)),
        "warnings": _warnings(study, decisions),
    }


def _asked(name: str, value: Any) -> Any:
    """What the study says, without its secrets; they can only stand where people write freely."""
    return masked_content(value) if name in _FREE else value


def _standing_final(
    study: Study, decisions: Sequence[dict[str, Any]], path: Path
) -> dict[str, Any] | None:
    is_asked = study.final.refit or study.final.test
    if not is_asked or len(decisions) < len(study.phases) or not carries(decisions[-1]):
        return None
    final = read_document(path)
    is_of_these = final is not None and final.get("settings") == carried_settings(decisions[-1])
    if is_of_these and final is not None and not {"state", "reason", "test"} <= set(final):
        raise StoreError(f"{shown_path(path)} is not what was written; {away(path)} and run again")
    return final if is_of_these else None


def _recommendation(
    decisions: Sequence[dict[str, Any]], final: dict[str, Any] | None
) -> dict[str, Any] | None:
    """The last decision's settings, with what they scored in validation and on the test data."""
    if not decisions or not carries(decisions[-1]):
        return None
    last = decisions[-1]
    trials = {trial["name"]: trial for trial in last["trials"]}
    return {
        "trial": last["winner"],
        "phase": last["phase"],
        "settings": last["settings"],
        "validation": None if last["winner"] is None else trials[last["winner"]]["metrics"],
        "test": None if final is None else final["test"],
    }


def _warnings(study: Study, decisions: Sequence[dict[str, Any]]) -> list[str]:
    found = list(study.warnings)
    if any(len(decision["environments"]) > 1 for decision in decisions):
        found.append("Trials of one phase were computed in different environment classes.")
    inexact = [sentence for decision in decisions for sentence in decision.get("inexact", ())]
    found += [
        f"Computed again, this would not be the same bit for bit: {sentence}."
        for sentence in dict.fromkeys(inexact)
    ]
    return found
