"""What each run of a wave takes, and of which nodes: from the study's wish to Tune's bundles."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phasetune.errors import StudyError
from phasetune.run.packing import GpuParts, NotMeasured, StepMemory
from phasetune.run.request import RunRequest
from phasetune.study.resources import AUTO, SMALLEST_PART, Resources, rounded_down
from phasetune.study.schema import Study

ACCELERATOR = "ray.io/accelerator-type"
_NODE_ID = "ray.io/node-id"
_OWN_LABELS = "ray.io/"
Labels = tuple[tuple[str, str], ...]
Kind = tuple[float, float, frozenset[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster, or the part of one that Ray calls a node."""

    cpus: float
    gpus: float
    labels: Mapping[str, str]

    @property
    def shown(self) -> str:
        """Such as `16 CPU and 4 GPU (A100, zone=b)`."""
        own = [f"{k}={v}" for k, v in self.labels.items() if not k.startswith(_OWN_LABELS)]
        named = ", ".join([*filter(None, [self.labels.get(ACCELERATOR)]), *own])
        return f"{self.cpus:g} CPU and {self.gpus:g} GPU" + (f" ({named})" if named else "")

    @property
    def kind(self) -> Kind:
        """Equal for nodes that have the same, such as one that was lost and joined again."""
        own = frozenset((key, value) for key, value in self.labels.items() if key != _NODE_ID)
        return self.cpus, self.gpus, own

    def has(self, labels: Labels) -> bool:
        """Whether it has all of these labels."""
        return all(self.labels.get(key) == value for key, value in labels)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one run takes of a node that has all of some labels."""

    cpu: float
    gpu: float
    labels: Labels = ()

    @property
    def shown(self) -> str:
        """Such as `1 CPU and 0.25 GPU of a node with zone=b`."""
        named = [f"accelerator {v}" if k == ACCELERATOR else f"{k}={v}" for k, v in self.labels]
        of = f" of a node with {' and '.join(named)}" if named else ""
        return f"{self.cpu:g} CPU and {self.gpu:g} GPU{of}"

    def fits(self, node: Node) -> bool:
        """Whether the node has that much when it has nothing else to do."""
        return node.cpus >= self.cpu and node.gpus >= self.gpu and node.has(self.labels)


def live_nodes() -> tuple[Node, ...]:
    """The nodes of the cluster that this process is connected to."""
    import ray

    found = [(node["Resources"], node["Labels"]) for node in ray.nodes() if node["Alive"]]
    return tuple(
        Node(cpus=has.get("CPU", 0.0), gpus=has.get("GPU", 0.0), labels=labels)
        for has, labels in found
    )


def ask_of(
    asked: Resources, nodes: Sequence[Node], *, threads: int, uses_gpu: bool = True, part: float = 1
) -> Ask:
    """What one run takes.

    By default one GPU where a node that fits has one, with its share of that node's CPUs (of
    several nodes the least, so that no GPU is left without; where GPUs or their parts are more than
    the CPUs, less than one); else as many CPUs as it has threads.
    `part` is what `auto` means for it.
    """
    labels = _labels(asked, uses_gpu=uses_gpu)
    fitting = [node for node in nodes if node.has(labels)]
    gpu = _gpu(asked, fitting, part) if uses_gpu else 0.0
    fitting = [node for node in fitting if node.gpus >= gpu]
    return Ask(cpu=asked.cpu or _cpu(fitting, gpu, threads), gpu=gpu, labels=labels)


def _labels(asked: Resources, *, uses_gpu: bool) -> Labels:
    accelerator = asked.accelerator if uses_gpu else None
    return (*([(ACCELERATOR, accelerator)] if accelerator else []), *sorted(asked.labels.items()))


def _gpu(asked: Resources, fitting: Sequence[Node], part: float) -> float:
    has_gpus = any(node.gpus >= 1 for node in fitting)
    if asked.gpu == AUTO:
        return part if has_gpus else 0.0
    return float(has_gpus) if asked.gpu is None else rounded_down(float(asked.gpu))


def _cpu(fitting: Sequence[Node], gpu: float, threads: int) -> float:
    if gpu:  # of a third, rounded down, the CPUs are a third as well
        shares = (node.cpus * gpu / node.gpus for node in fitting if node.cpus)
        least = min(shares, default=1.0)
        whole = math.floor(least + 0.005)
        return float(whole) or max(SMALLEST_PART, rounded_down(least))
    return max(1.0, min(float(threads), max((node.cpus for node in fitting), default=1.0)))


def most_on_one_gpu(asked: Resources, nodes: Sequence[Node], *, threads: int) -> int:
    """How many runs one GPU's share of the CPUs is enough for, on each node that fits."""
    labels = _labels(asked, uses_gpu=True)
    fitting = [node for node in nodes if node.has(labels) and node.gpus >= 1]
    each = asked.cpu or float(threads)
    return max(1, int(min((node.cpus / node.gpus // each for node in fitting), default=1)))


def types_of_gpus(asked: Resources, nodes: Sequence[Node]) -> list[str]:
    """The types of GPUs that a run may get, by Ray's names."""
    labels = _labels(asked, uses_gpu=True)
    fitting = [node for node in nodes if node.has(labels) and node.gpus >= 1]
    return sorted({node.labels.get(ACCELERATOR, "unknown") for node in fitting})


def refuse_unavailable(asks: Iterable[Ask], nodes: Sequence[Node]) -> None:
    """Refuse what no node has; Tune would wait for it for ever, in silence.

    Raises:
        StudyError: a run asks for more than any node has, or for labels that none has.
    """
    for ask in dict.fromkeys(asks):
        if any(ask.fits(node) for node in nodes):
            continue
        way_out = "ask for less" if any(n.has(ask.labels) for n in nodes) else "ask for another"
        raise StudyError(
            f"resources_per_trial: a run asks for {ask.shown}, but the machines have "
            f"{_counted(node.shown for node in nodes)}; {way_out}"
        )


def _counted(shown: Iterable[str]) -> str:
    counts = Counter(shown)
    return ", ".join(text if n == 1 else f"{n} x {text}" for text, n in counts.items())


def bundles(ask: Ask) -> Any:
    """The ask as Tune's `PlacementGroupFactory`."""
    from ray import tune

    wanted = {"CPU": ask.cpu, "GPU": ask.gpu}
    if not ask.labels:
        return tune.PlacementGroupFactory([wanted])
    return tune.PlacementGroupFactory([wanted], bundle_label_selector=[dict(ask.labels)])


class Placement:
    """What the runs of a study take of its cluster, wave by wave.

    A node that was there in this command and is gone counts still, since it may come back: else the
    runs of one study would go to GPUs or to CPUs by chance. Tune waits for it (`nodes_left` tells).
    """

    def __init__(self, study: Study) -> None:
        self._asked = study.resources_per_trial
        self._threads = study.numerics.threads
        self._parts = GpuParts()
        self._nodes: tuple[Node, ...] = ()
        self._is_told = False

    def look(self) -> None:
        """Take note of the nodes that are there now, beside those that were there before."""
        now = live_nodes()
        kinds = {node.kind for node in now}
        self._nodes = (*now, *(node for node in self._nodes if node.kind not in kinds))

    @property
    def gpus(self) -> float:
        """How many GPUs a run takes whose stage uses them."""
        return self.ask(uses_gpu=True).gpu

    def asks(
        self,
        jobs: Sequence[Sequence[RunRequest]],
        *,
        measure: Callable[[RunRequest, Ask], StepMemory | NotMeasured],
        tell: Callable[[str], None],
    ) -> list[Ask]:
        """What each job takes; its runs are of one stage. For `auto` steps are measured, where all
        GPUs are of one type.

        Raises:
            StudyError: as for `refuse_unavailable`.
        """
        whole = [self.ask(uses_gpu=job[0].run.uses_gpu) for job in jobs]
        refuse_unavailable(whole, self._nodes)
        if self._asked.gpu != AUTO or not any(ask.gpu for ask in whole):
            return whole
        types = types_of_gpus(self._asked, self._nodes)
        if len(types) > 1:
            self._tell_types(types, tell)
            return whole
        parts = self._parts.of(
            [request for job in jobs for request in job],
            measure=lambda request: measure(request, self.ask(uses_gpu=True)),
            most_at_once=most_on_one_gpu(self._asked, self._nodes, threads=self._threads),
            tell=tell,
        )
        runs = [job[0].run for job in jobs]
        return [self.ask(uses_gpu=run.uses_gpu, part=parts.get(run.stage, 1.0)) for run in runs]

    def _tell_types(self, types: Sequence[str], tell: Callable[[str], None]) -> None:
        if not self._is_told:
            self._is_told = True
            tell(
                f"warning: resources_per_trial.gpu: auto, but the GPUs are of several types "
                f"({', '.join(types)}), and a part of one may be too small on another; each run "
                "takes a whole GPU. Ask for one type (resources_per_trial.accelerator), or for a "
                "part that fits on all of them"
            )

    def ask(self, *, uses_gpu: bool, part: float = 1.0) -> Ask:
        """What a run takes; `part` is what `auto` means for it."""
        return ask_of(self._asked, self._nodes, threads=self._threads, uses_gpu=uses_gpu, part=part)
