"""The commands that worked on a study, as its provenance tells, and the time that they took."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from phasetune.errors import StoreError
from phasetune.report.tracked.runs import Chain, seconds_of
from phasetune.store.documents import read_document
from phasetune.store.paths import StudyPaths


@dataclass(frozen=True, kw_only=True)
class Commands:
    """When each command began and ended, in seconds since 1970; of which commit it was, by the key
    of each run that it executed, and of which the last one was.
    """

    spans: Sequence[tuple[float, float]] = ()
    commits: Mapping[str, str] = field(default_factory=dict)
    last_commit: str = ""

    @property
    def wall_minutes(self) -> float:
        """What all of them took together."""
        return sum(max(0.0, end - start) for start, end in self.spans) / 60.0


def kept_commands(study: StudyPaths) -> Commands:
    """What the provenance tells; nothing where it is not there or damaged."""
    content: Mapping[str, Any] = {}
    with suppress(StoreError):
        content = read_document(study.provenance) or {}
    found = content.get("invocations")
    invocations = [entry for entry in found if isinstance(entry, dict)] if found else []
    spans, commits, last = list[tuple[float, float]](), dict[str, str](), ""
    for invocation in invocations:
        started, ended = (seconds_of(invocation.get(name)) for name in ("started", "ended"))
        if started is not None and ended is not None:
            spans.append((started, ended))
        last = _commit(invocation)
        if last:
            commits |= {run.get("key", ""): last for run in invocation.get("executed", ())}
    return Commands(spans=spans, commits=commits, last_commit=last)


def _commit(invocation: Mapping[str, Any]) -> str:
    state = invocation.get("git")
    if not isinstance(state, dict):
        return ""
    return f"{state.get('commit', '')}{'+changes' if state.get('dirty') else ''}"


def spent_minutes(study: str, chains: Iterable[Chain]) -> float:
    """What the runs took that this study computed, each counted once."""
    spent = {
        run.key: run.artifact.spent_seconds
        for chain in chains
        for run in chain.runs
        if run.artifact is not None and run.artifact.manifest["provenance"].get("study") == study
    }
    return sum(spent.values()) / 60.0
