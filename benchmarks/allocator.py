"""What it brings a worker to keep its heap: the same training with glibc's settings, and with ours.

Each measurement is a child of its own, forked from one process. Toggled within a process, glibc's
side would go on using the heap that ours has left. A worker of Ray trains in a thread. Blocks of
more than 64 MiB are no part of a thread's heap, so there the gain shrinks with the batch; it is
whole in the main thread, and in the threads of a worker started with MALLOC_ARENA_MAX=1. Counted is
the time that a child computes, in the program and in the system, at a step in the median.

    python benchmarks/allocator.py [PAIRS]
"""

import hashlib
import multiprocessing
import statistics
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import torch

from lstm_step import (
    CHANNELS,
    TIME,
    new_model,
    our_step,
)
from measuring import (
    computed,
    in_turn,
    milliseconds,
    ratios,
    verdict,
)
from phasetune.run.allocator import keep_heap

# hidden size, batch, steps, goal
SIZES = ((128, 64, 8, 1.3), (128, 256, 3, 0.97), (128, 512, 2, 0.97), (32, 32, 40, 0.97))
PLACES = ("thread", "main thread")
WARM_UP = 3


@dataclass(frozen=True, kw_only=True)
class Task:
    hidden: int
    batch: int
    steps: int
    place: str


def measured(task: Task, keep: bool, weights: set[str]) -> float:
    """The seconds of a step of the task in a child of this process; adds what became of weights."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=measure, args=(task, keep, theirs))
    child.start()
    found: tuple[float, str] = ours.recv()
    child.join()
    weights.add(found[1])
    return found[0]


def measure(task: Task, keep: bool, answer: Connection) -> None:
    if keep:
        assert keep_heap()
    if task.place == "main thread":
        answer.send(trained(task))
        return
    thread = threading.Thread(target=lambda: answer.send(trained(task)))
    thread.start()
    thread.join()


def trained(task: Task) -> tuple[float, str]:
    torch.manual_seed(1)
    windows = torch.randn(task.batch, TIME, CHANNELS)
    model = new_model(task.hidden)
    step: Callable[[], None] = our_step(model, windows)
    for _ in range(WARM_UP):
        step()
    seconds = statistics.median(computed(step) for _ in range(task.steps))
    weights = hashlib.sha256()
    for tensor in model.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    return seconds, weights.hexdigest()


def compare(task: Task, goal: float, pairs: int) -> str:
    weights: set[str] = set()
    sides = {
        "glibc": partial(measured, task, False, weights),
        "ours": partial(measured, task, True, weights),
    }
    found = in_turn(sides, pairs=pairs)
    assert len(weights) == 1, "the sides computed different weights"
    shown = ", ".join(f"{name} {milliseconds(times)}" for name, times in found.items())
    result = verdict(ratios(found["glibc"], found["ours"]), goal=goal)
    what = f"hidden {task.hidden}, batch {task.batch}, {task.place}"
    return f"{what}: {shown}; weights equal; {result}"


def main(pairs: int) -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports what each child would import anew
    for hidden, batch, steps, goal in SIZES:
        for place in PLACES:
            task = Task(hidden=hidden, batch=batch, steps=steps, place=place)
            print(compare(task, goal, pairs), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
