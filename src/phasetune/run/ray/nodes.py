"""Whether each machine of a joined cluster can execute a study's runs, before anything trains.

A machine that can't see the results or the data, or has other versions, would fail runs one by one,
or publish where nobody looks. So a small task is pinned to each node that runs could go to, once
per node; all that they lack is told together.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.errors import StudyError
from phasetune.run.events import Listener, Noticed
from phasetune.run.interrupt import StopSwitch
from phasetune.run.ray.placement import Ask, Node
from phasetune.run.ray.visit import (
    Asked,
    Found,
    Mark,
    fingerprints_here,
    versions_here,
    visit,
)
from phasetune.run.request import RunRequest
from phasetune.store.durable import withdraw, write_text
from phasetune.store.paths import ResultsPaths
from phasetune.store.remote.mirror import bring

VISIT_SECONDS = 600.0
"""Large data is read as a whole where it was never read before."""
_QUIET_SECONDS = 10.0
_POLL_SECONDS = 0.5

Fits = Callable[[Node], bool]
"""Whether a run could go to a node."""


@dataclass(frozen=True, kw_only=True)
class LivingNode:
    """A node that is there: Ray's id of it, what people call it, and what it has."""

    id: str
    name: str
    has: Node


def living_nodes() -> list[LivingNode]:
    """The nodes that are there now, by name."""
    import ray

    found = [_living(node) for node in ray.nodes() if node["Alive"]]
    return sorted(found, key=lambda node: (node.name, node.id))


def _living(told: Mapping[str, Any]) -> LivingNode:
    has = told["Resources"]
    return LivingNode(
        id=told["NodeID"],
        name=f"{told['NodeManagerHostname']} ({told['NodeManagerAddress']})",
        has=Node(cpus=has.get("CPU", 0.0), gpus=has.get("GPU", 0.0), labels=told["Labels"]),
    )


def fits_any(asks: Sequence[Ask]) -> Fits:
    """Whether a node has what any of the runs takes."""
    different = set(asks)
    return lambda node: any(ask.fits(node) for ask in different)


class Nodes:
    """Those of a joined cluster that were found fit for the study."""

    def __init__(self) -> None:
        self._fit: set[str] = set()

    def refuse_unfit(
        self, request: RunRequest, *, fits: Fits, listener: Listener, stop: StopSwitch
    ) -> None:
        """Visit the nodes that are new; `request` is any run of the next wave.

        Raises:
            StudyError: nodes that runs could go to lack something; one sentence for each.
        """
        new = [node for node in living_nodes() if node.id not in self._fit and fits(node.has)]
        if not new or stop.asked:
            return
        fingerprints = _fingerprints(request)
        with marked(request.attempt, request.paths) as mark:
            asked = Asked(
                versions=versions_here(),
                mark=mark,
                workload=request.workload,
                fingerprints=fingerprints,
            )
            found = visited(new, asked, listener=listener, stop=stop)
        if stop.asked:
            return
        problems = list(_problems(new, found))
        if problems:
            raise StudyError(problems)
        self._fit |= found.keys()  # who left meanwhile is visited when it is there again


@contextmanager
def marked(folder: Path, paths: ResultsPaths) -> Iterator[Mark]:
    """Within the block there is a file in the results that no other machine can know of."""
    name = secrets.token_hex(8)
    path = folder / f"seen-{name}" / "driver"
    write_text(path, name)
    try:
        yield Mark(path=path, word=name, results=paths.root, uri=paths.uri)
    finally:
        withdraw(path.parent)


def visited(
    nodes: Sequence[LivingNode],
    asked: Asked,
    *,
    listener: Listener,
    stop: StopSwitch,
    seconds: float = VISIT_SECONDS,
) -> dict[str, Found]:
    """What was found on each node, by its id; a node that goes meanwhile is left out."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(visit)
    pending = {
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(asked, node.id): node
        for node in nodes
    }
    found: dict[str, Found] = {}
    began, is_told = time.monotonic(), False
    while pending and not stop.asked:
        ready, _ = ray.wait(list(pending), timeout=_POLL_SECONDS)
        for reference in ready:
            node = pending.pop(reference)
            answer = _found(reference, node, asked.mark)
            found |= {} if answer is None else {node.id: answer}
        waited = time.monotonic() - began
        if waited > _QUIET_SECONDS and pending and not is_told:
            is_told = True
            names = ", ".join(node.name for node in pending.values())
            message = f"waiting for {names}: the data is read there, and compared"
            listener.notify(Noticed(message=message))
        if waited > seconds:
            late = f"it did not answer within {seconds:g} s; look whether its storage hangs"
            found |= {node.id: Found(software={}, lacks=(late,)) for node in pending.values()}
            break
    alive = {node.id for node in living_nodes()}
    return {node: answer for node, answer in found.items() if node in alive}


def _found(reference: Any, node: LivingNode, mark: Mark | None) -> Found | None:
    """What the node answered; None where it left meanwhile."""
    import ray
    from ray.exceptions import NodeDiedError, TaskUnschedulableError, WorkerCrashedError

    try:
        found: Found = ray.get(reference)
    except (NodeDiedError, TaskUnschedulableError):  # what takes nothing fits a living one
        return None
    except WorkerCrashedError as error:
        lack = f"the process that looked there died ({_last_line(error)}); look at Ray's logs there"
        return Found(software={}, lacks=(lack,))
    except Exception as error:  # whatever keeps a machine from executing a function of ours
        lack = f"it can't execute phasetune ({_last_line(error)}); install the same there"
        return Found(software={}, lacks=(lack,))
    if mark is None or found.lacks or _is_answered(mark, node):
        return found
    lack = f"what it writes to the results at {mark.shown} is not seen here; mount the same storage"
    return Found(software=found.software, lacks=(lack,))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _is_answered(mark: Mark, node: LivingNode) -> bool:
    until = time.monotonic() + 5.0
    while time.monotonic() < until:
        bring(mark.answer(node.id))
        if mark.answer(node.id).exists():
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _problems(nodes: Sequence[LivingNode], found: Mapping[str, Found]) -> Iterator[str]:
    for node in nodes:
        lacks = found[node.id].lacks if node.id in found else ()
        if lacks:
            yield f"the node {node.name} can't execute this study's runs: {'; '.join(lacks)}"


def _fingerprints(request: RunRequest) -> dict[str, str]:
    """Of the data as the driver sees it, which it has read in full before."""
    try:
        return fingerprints_here(request.workload, request.paths.digests)
    except OSError as error:
        raise StudyError(f"data: a part can't be read: {error}") from error
