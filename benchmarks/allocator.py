"""What it brings a worker to keep its heap: the same training with glibc's settings, and with ours.

Each measurement is a child of its own, forked from one process. Toggled within a process, glibc's
side would go on using the heap that ours has left. A worker of Ray trains in a thread. Blocks of
more than 64 MiB are no part of a thread's heap, so there the gain shrinks with the batch; it is
whole in the main thread, and in the threads of a worker started with MALLOC_ARENA_MAX=1.

    python benchmarks/allocator.py [ROUNDS]
"""

import hashlib
import multiprocessing
import statistics
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from lstm_step import (  # type: ignore[import-not-found]  # it lies beside this file
    CHANNELS,
    TIME,
    new_model,
    our_step,
    seconds,
    spread,
)
from phasetune.run.allocator import keep_heap

SIZES = ((128, 64, 8), (128, 256, 3), (128, 512, 2), (32, 32, 40))  # hidden size, batch, steps
PLACES = ("thread", "main thread")
SIDES = ("glibc", "ours")


@dataclass(frozen=True, kw_only=True)
class Task:
    hidden: int
    batch: int
    steps: int
    place: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    milliseconds: float  # of a step, in the median
    weights: str


def measured(task: Task, side: str) -> Measured:
    """The task in a child of this process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=measure, args=(task, side, theirs))
    child.start()
    found: Measured = ours.recv()
    child.join()
    return found


def measure(task: Task, side: str, answer: Connection) -> None:
    if side == "ours":
        assert keep_heap()
    if task.place == "main thread":
        answer.send(trained(task))
        return
    thread = threading.Thread(target=lambda: answer.send(trained(task)))
    thread.start()
    thread.join()


def trained(task: Task) -> Measured:
    torch.manual_seed(1)
    windows = torch.randn(task.batch, TIME, CHANNELS)
    model = new_model(task.hidden)
    step: Callable[[], None] = our_step(model, windows)
    for _ in range(3):
        step()
    times = [seconds(step) * 1000 for _ in range(task.steps)]
    weights = hashlib.sha256()
    for tensor in model.state_dict().values():
        weights.update(tensor.numpy().tobytes())
    return Measured(milliseconds=statistics.median(times), weights=weights.hexdigest())


def compare(task: Task, rounds: int) -> str:
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    weights = set()
    for i in range(rounds):
        for side in SIDES if i % 2 == 0 else reversed(SIDES):
            found = measured(task, side)
            times[side].append(found.milliseconds)
            weights.add(found.weights)
    assert len(weights) == 1, "the sides computed different weights"
    ratios = [a / b for a, b in zip(times["glibc"], times["ours"], strict=True)]
    shown = ", ".join(f"{side} {spread(found)} ms" for side, found in times.items())
    return (
        f"hidden {task.hidden}, batch {task.batch}, {task.place}: {shown}; "
        f"ratio {spread(ratios)}; weights equal"
    )


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports what each child would import anew
    for hidden, batch, steps in SIZES:
        for place in PLACES:
            task = Task(hidden=hidden, batch=batch, steps=steps, place=place)
            print(compare(task, rounds), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
