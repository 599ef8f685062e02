"""Runs that failed, by key: the cause in one line, and the full traceback beside it.

A failure belongs to a key, so it is forgotten as soon as code, data or parameters change.
"""

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from phasetune.errors import StoreError
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import withdraw, write_text
from phasetune.store.masking import masked
from phasetune.store.remote.mirror import away, bring_news, shown_path

FAILED_RUNS = "failed-runs"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a run failed: `cause` is `error`, or that of a worker's death: `worker_died`, `stalled`,
    `out_of_memory` or `node_lost`.
    """

    stage: str
    key: str
    cause: str
    message: str


class FailureStore:
    """Failures below `results/store/failed-runs`, which no stage can be named."""

    def __init__(self, store: Path) -> None:
        self._root = store / FAILED_RUNS

    def get(self, stage: str, key: str) -> Failure | None:
        """The failure of a run, or None.

        Raises:
            StoreError: there is a record, but it is torn or not what was written.
        """
        path = self._record(stage, key)
        bring_news(path)
        content = read_document(path)
        if content is None:
            return None
        names = {field.name for field in fields(Failure)}
        is_record = set(content) == names and all(isinstance(content[n], str) for n in names)
        if not is_record or (content["stage"], content["key"]) != (stage, key):
            raise StoreError(
                f"{shown_path(path)} is no record of this failure; {away(path)} and run again"
            )
        return Failure(**content)

    def of_trunk(self, stage: str, trunk: str, *, most_step: int) -> Failure | None:
        """The failure of a trunk on its way to a step up to `most_step`, the earliest, or None.

        Raises:
            StoreError: as for `get`.
        """
        bring_news(self._root / stage)
        for path in sorted((self._root / stage).glob(f"{trunk}-*.json")):
            step = path.stem.rpartition("-")[2]
            if step.isdecimal() and int(step) <= most_step:
                return self.get(stage, path.stem)
        return None

    def forget_trunk(self, stage: str, trunk: str) -> None:
        """Let a trunk be tried again."""
        for path in (self._root / stage).glob(f"{trunk}-*.json"):
            withdraw(path)

    def traceback(self, stage: str, key: str) -> Path:
        """Where the full traceback is."""
        return self._root / stage / f"{key}.traceback.txt"

    def put(self, failure: Failure, traceback: str) -> None:
        """Record a failure without its secrets; the traceback first, so that each has one."""
        shown = replace(failure, message=masked(failure.message))
        write_text(self.traceback(failure.stage, failure.key), masked(traceback))
        write_document(self._record(failure.stage, failure.key), asdict(shown))

    def forget(self, stage: str, key: str) -> None:
        """Let the run be tried again."""
        record = self._record(stage, key)
        if record.exists():
            withdraw(record)

    def _record(self, stage: str, key: str) -> Path:
        return self._root / stage / f"{key}.json"
