"""Studies run in a forked child, so that a crash at a chosen durable write costs no start-up."""

import errno
import itertools
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from phasetune import Study
from phasetune.api import run_study
from phasetune.errors import PhasetuneError
from phasetune.run.interrupt import Interrupted
from phasetune.store import durable
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import read_document
from scripted import LOG

CRASHED = 77
BROKEN = 70

SAYS = (
    *("study.yaml", "inputs.json", "report.json", "final.json", "best.yaml", "analysis.txt"),
    *("phases/*/decision.json", "phases/*/plan.json", "model/**/*"),
)

Kind = Literal["before", "after", "full"]


PLACES: dict[str, Any] = {
    "_rename": durable,
    "_flush": durable,
    "write_bytes": Path,
    "write_text": Path,
}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens at the n-th call, from 0, of a function of `durable`, or of one of `Path` that
    writes a file, the workload's own among them.
    """

    kind: Kind
    number: int
    function: str = "_rename"


def in_child(work: Callable[[], int]) -> int:
    """The exit code of work that is done in a forked child; what it raises ends it with 70."""
    child = os.fork()
    if child == 0:
        code = BROKEN
        try:
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def ran(
    study: Study, results: Path, fault: Fault | None = None, *, beside: Path | None = None
) -> int:
    """The exit code of a study that was run in a child, as the command would have it.

    Steps and errors are told in files `beside` that have suffixes of their own.
    """
    return in_child(lambda: _run(study, results, fault, beside or results))


def _run(study: Study, results: Path, fault: Fault | None, beside: Path) -> int:
    os.environ[LOG] = str(beside.with_suffix(".steps"))
    if fault is not None:
        inject(fault)
    try:
        return run_study(study, results=results, in_process=True).exit_code
    except PhasetuneError as error:
        beside.with_suffix(".error").write_text(str(error))
        return 2
    except Interrupted as stopped:
        return stopped.exit_code


def inject(fault: Fault) -> None:
    """Let a fault happen in this process; a full disk has room for half of a file."""
    real: Callable[..., Any] = getattr(PLACES[fault.function], fault.function)
    numbers = itertools.count()

    def faulty(*arguments: Any) -> Any:
        is_due = next(numbers) == fault.number
        if is_due and fault.kind == "full":
            if fault.function.startswith("write"):
                real(arguments[0], arguments[1][: len(arguments[1]) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(arguments[0]))
        if is_due and fault.kind == "before":
            os._exit(CRASHED)
        try:
            return real(*arguments)  # may raise, where there is nothing to remove
        finally:
            if is_due:
                os._exit(CRASHED)

    setattr(PLACES[fault.function], fault.function, faulty)


def count_calls(study: Study, results: Path, function: str) -> int:
    """How often an undisturbed study calls one of these functions."""
    log = results.with_suffix(".calls")

    def run() -> int:
        real: Callable[..., Any] = getattr(PLACES[function], function)

        def counted(*arguments: Any) -> Any:
            with log.open("a") as file:
                file.write(".")
            return real(*arguments)

        setattr(PLACES[function], function, counted)
        return _run(study, results, None, results)

    assert in_child(run) == 0
    return len(log.read_text())


def left_by(study: Study, results: Path) -> dict[str, bytes]:
    """What the study says in the end: every file for people but those that tell how it came about,
    and Parquet, whose bytes say when it was written.
    """
    folder = results / study.name
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in SAYS
        for path in folder.glob(pattern)
        if path.is_file()
    }


def steps(results: Path) -> list[str]:
    """The key of each step that was taken, in order."""
    path = results.with_suffix(".steps")
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.partition(" ")[0] for line in lines]


def is_told(code: int, beside: Path) -> bool:
    """Whether a full disk was an error that names it; the study may do without what it remembers
    to be faster, and without removing what it no longer needs.
    """
    return code == 0 or (code == 2 and _names_the_disk(beside.with_suffix(".error").read_text()))


def _names_the_disk(error: str) -> bool:
    return "No space left" in error or "the next wave of runs needs" in error


def refuse_torn(results: Path) -> set[str]:
    """The keys of what is published; every visible artifact and document is whole."""
    store, found = ArtifactStore(results / "store"), set()
    for manifest in store.root.glob("*/[!.]*/manifest.json"):
        artifact = store.get(manifest.parent.parent.name, manifest.parent.name)
        assert artifact is not None, manifest
        artifact.verify()
        found.add(artifact.key)
    for path in results.rglob("*.json"):
        if not any(part.startswith(".") for part in path.relative_to(results).parts):
            read_document(path)
    return found
