"""In which environment classes the GPUs of a joined cluster compute, asked on their machines.

The machine of the driver may have no GPU, or another one. Libraries are the same everywhere, or the
machine is refused (`nodes`); what differs is the device, and what `precision: auto` means on it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from phasetune.errors import StudyError
from phasetune.run.interrupt import StopSwitch
from phasetune.run.machine import capabilities_of_machine, precision_on
from phasetune.run.ray.nodes import LivingNode, living_nodes
from phasetune.run.ray.placement import Ask
from phasetune.store.provenance import environment_class
from phasetune.study.schema import Numerics

ANSWER_SECONDS = 120.0
_POLL_SECONDS = 0.2

Environment = Mapping[str, Any]


class NodeEnvironments:
    """The environment class of runs on each node that was asked, also when it is gone since."""

    def __init__(
        self,
        numerics: Numerics,
        *,
        nodes: Callable[[], list[LivingNode]] = living_nodes,
    ) -> None:
        self._numerics = numerics
        self._nodes = nodes
        self._known: dict[str, Environment] = {}

    def of(self, ask: Ask, *, stop: StopSwitch) -> list[Environment]:
        """Those that a run may be of which takes this much.

        Raises:
            StudyError: a machine that it could go to does not answer, or there is none.
            Interrupted: somebody asked for an end.
        """
        threads = self._numerics.threads
        if not ask.gpu:
            precision = precision_on((), self._numerics.precision)
            return [environment_class(device="cpu", precision=precision, threads=threads)]
        fitting = [node for node in self._nodes() if ask.fits(node.has)]
        new = [node for node in fitting if node.id not in self._known]
        for node, (device, precision) in asked(new, self._numerics.precision, stop=stop).items():
            found = environment_class(device=device, precision=precision, threads=threads)
            self._known[node] = found
        if not self._known:
            raise StudyError(
                f"resources_per_trial: a run asks for {ask.shown}, and no machine of the cluster "
                "that has it is there; start one, or leave --strict-environment out"
            )
        return list(self._known.values())


def asked(
    nodes: Sequence[LivingNode], precision: str, *, stop: StopSwitch
) -> dict[str, tuple[str, str]]:
    """Device and precision of runs that have a GPU there, by the node's id."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(_device_here)
    pending = [
        task.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)
        ).remote(precision)
        for node in nodes
    ]
    return {
        node.id: _answer(node, reference, stop)
        for node, reference in zip(nodes, pending, strict=True)
    }


def _answer(node: LivingNode, reference: Any, stop: StopSwitch) -> tuple[str, str]:
    import ray

    began = time.monotonic()
    while not ray.wait([reference], timeout=_POLL_SECONDS)[0]:
        stop.raise_if_asked()
        if time.monotonic() - began > ANSWER_SECONDS:
            raise _silent(node, f"nothing came within {ANSWER_SECONDS:g} s")
    try:
        found: tuple[str, str] = ray.get(reference)
    except Exception as error:  # whatever keeps a machine from executing a function of ours
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise _silent(node, lines[-1].strip() if lines else type(error).__name__) from error
    return found


def _silent(node: LivingNode, why: str) -> StudyError:
    return StudyError(
        f"--strict-environment: the node {node.name} can't tell what its GPUs compute in "
        f"({why[:300]}); mend it, or run again when it is gone"
    )


def _device_here(precision: str) -> tuple[str, str]:
    """In a process that was granted no GPU, so these are hidden from it."""
    capabilities = capabilities_of_machine()
    return "cuda" if capabilities else "cpu", precision_on(capabilities, precision)
