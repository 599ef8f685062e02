"""What a machine of a cluster lacks for a study, found out on that machine before anything trains.

A visit happens in a Ray worker there. It compares what it finds with what the driver has: the same
versions, the results storage in both directions, the workload's sources, the data's content.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import PhasetuneError, StoreError
from phasetune.run.request import WorkloadRequest
from phasetune.stage.resolve import resolve_workload
from phasetune.store.digests import remembered_digests
from phasetune.store.durable import make_folder, write_text
from phasetune.store.machine_folder import machine_folder
from phasetune.store.provenance import environment_class, software
from phasetune.store.remote.mirror import bring, open_mirror

_SEEN_SECONDS = 5.0
"""What another machine wrote may be seen on a network file system only after some seconds."""
_POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A file of the driver in the results, and the word in it; `uri` where they lie at one."""

    path: Path
    word: str
    results: Path
    uri: str | None

    @property
    def shown(self) -> str:
        """Where the results are, in words for people."""
        return self.uri or str(self.results)

    def answer(self, node: str) -> Path:
        """The file that a node writes."""
        return self.path.with_name(f"answer-{node}")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the driver has; `workload` and `fingerprints` are those of a study, if it is about one,
    and `mark` is None where there are no results yet.
    """

    versions: Mapping[str, str]
    mark: Mark | None
    workload: WorkloadRequest | None = None
    fingerprints: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a node has: its software, and a sentence for each thing that it lacks."""

    software: Mapping[str, Any]
    lacks: tuple[str, ...]


def versions_here() -> dict[str, str]:
    """What has to be the same on all machines: of Python, of this program, of what computes."""
    kind = environment_class(device="cpu", precision="fp32", threads=1)
    own = {"Python": kind["python"], "phasetune": software().get("phasetune", "?")}
    return {**own, **kind["libraries"]}


def visit(asked: Asked, node: str) -> Found:
    """What this machine, the one of the Ray node, has and lacks."""
    lacks = [*_versions(asked.versions), *_results(asked.mark, node)]
    if asked.workload is not None:
        lacks += _study(asked.workload, asked.fingerprints or {})
    return Found(software=software(), lacks=tuple(lacks))


def fingerprints_here(workload: WorkloadRequest, remembered: Path | None) -> dict[str, str]:
    """The fingerprint of each part of the data that any stage reads, as this machine sees it.

    Raises:
        StudyError: the workload can't be imported here.
        OSError: a part can't be read.
    """
    found = resolve_workload(workload.path, sources=workload.sources, folders=workload.folders)
    data: Any = found.data_type.model_validate(workload.data)
    parts = dict.fromkeys(part for stage in found.stages for part in stage.reads)
    memory = nullcontext() if remembered is None else remembered_digests(remembered, fresh=False)
    with memory:
        return {part: str(data.fingerprint(part)) for part in parts}


def _versions(wanted: Mapping[str, str]) -> Iterator[str]:
    here = versions_here()
    for name in sorted(wanted.keys() | here.keys()):
        if wanted.get(name) != here.get(name):
            yield (
                f"it has {name} {here.get(name, 'not at all')}, and the driver's machine "
                f"{wanted.get(name, 'not at all')}; install the same there"
            )


def _results(mark: Mark | None, node: str) -> Iterator[str]:
    if mark is None:
        return
    try:
        root = mark.results if mark.uri is None else open_mirror(mark.uri).root
        here = Mark(
            path=root / mark.path.relative_to(mark.results),
            word=mark.word,
            results=root,
            uri=mark.uri,
        )
        if not _is_seen(here):
            yield (
                f"it doesn't see the results at {mark.shown}: mount the same storage there under "
                "the same path, readable for the same user, or name a URI that all machines reach"
            )
            return
        write_text(here.answer(node), here.word)
    except (PhasetuneError, OSError) as error:
        yield f"it can't use the results at {mark.shown}: {error}"


def _is_seen(mark: Mark) -> bool:
    until = time.monotonic() + _SEEN_SECONDS
    while True:
        bring(mark.path)
        with suppress(FileNotFoundError, NotADirectoryError):
            return mark.path.read_text() == mark.word
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)


def _study(workload: WorkloadRequest, fingerprints: Mapping[str, str]) -> Iterator[str]:
    with _in_folder(workload.working_directory):
        try:
            found = resolve_workload(
                workload.path, sources=workload.sources, folders=workload.folders
            )
        except PhasetuneError as error:
            yield f"the workload can't be used there: {error}"
            return
        if found.code != workload.code:
            yield (
                f"the sources of {workload.path!r} are others there ({found.code} instead of "
                f"{workload.code}); bring them in line"
            )
            return
        yield from _data(workload, fingerprints)


def _data(workload: WorkloadRequest, wanted: Mapping[str, str]) -> Iterator[str]:
    try:
        here = fingerprints_here(workload, _remembered())
    except Exception as error:  # whatever the workload's own code raises
        why = str(error).strip() or type(error).__name__
        yield f"the data can't be read there: {why}; put it under the same path on all machines"
        return
    others = [part for part, fingerprint in wanted.items() if here.get(part) != fingerprint]
    if others:
        yield f"the data is another there (parts {', '.join(others)}); copy it from the driver's"


def _remembered() -> Path | None:
    """On this machine's own disk, so that large data is read once; where there is no place for it,
    it is read each time.
    """
    try:
        make_folder(machine_folder())
    except (RuntimeError, StoreError):
        return None
    return machine_folder() / "digests.json"


@contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    """Within the block relative paths are the driver's, where its folder is there."""
    before = Path.cwd()
    if Path(folder).is_dir():
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
