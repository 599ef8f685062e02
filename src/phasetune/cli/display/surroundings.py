"""What a display says of the machine: free disk, size of the store, GPUs.

Asking may take long (a store of a million files, a disk over the network, a driver that sleeps), so
a display is told by a thread that asks now and then, and draws what was known last.
"""

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.text import Text

from phasetune.cli.display.canvas import Canvas, flowed, title
from phasetune.run.devices import Gpu, are_gpus_hidden, gpus
from phasetune.run.picture.pace import Tally
from phasetune.run.picture.study import Picture
from phasetune.store.paths import ResultsPaths
from phasetune.store.space import GIB, disk_free, size_bytes, size_text

GPUS_EVERY_SECONDS = 5.0
STORE_EVERY_SECONDS = 30.0
_MOST_SHARE = 0.05
"""Of the time, that is spent on the store: one that takes 3 s to walk is walked once a minute."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known; None and nothing where it was not asked, or is not told."""

    disk_free_bytes: int | None = None
    store_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()


class Surveyor:
    """Knows the surroundings of a results root; `known` may be read by any thread."""

    def __init__(self, results: ResultsPaths) -> None:
        self._paths = results
        self._is_over = threading.Event()
        self._walked_at, self._walk_again_after = 0.0, 0.0
        self.known = Surroundings()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Within the block a thread asks now and then."""
        threading.Thread(target=self._ask_on, name="surroundings", daemon=True).start()
        try:
            yield
        finally:
            self._is_over.set()

    def _ask_on(self) -> None:
        while not self._is_over.is_set():
            self.ask()
            self._ask_size(time.monotonic())
            self._is_over.wait(GPUS_EVERY_SECONDS)

    def ask(self) -> None:
        """Ask what is quickly told."""
        try:
            free = disk_free(self._paths.root.absolute()).free
        except OSError:
            free = None
        self.known = replace(self.known, disk_free_bytes=free, gpus=_gpus())

    def _ask_size(self, now: float) -> None:
        if self._paths.uri is not None:  # this machine has a part of it
            return
        if self._walked_at and now - self._walked_at < self._walk_again_after:
            return
        size = size_bytes(self._paths.store)
        took = time.monotonic() - now
        self._walked_at = now
        self._walk_again_after = max(STORE_EVERY_SECONDS, took / _MOST_SHARE)
        self.known = replace(self.known, store_bytes=size)


def _gpus() -> tuple[Gpu, ...]:
    if are_gpus_hidden():
        return ()
    try:
        return gpus()
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def machine_lines(picture: Picture, around: Surroundings, canvas: Canvas) -> Iterator[Text]:
    """Where runs run, what they take, and what is left of the disk."""
    told = [text for text in _machine_parts(picture, around) if text]
    if not told:
        return
    yield Text()
    yield from flowed(title("machine"), [Text(text) for text in told], canvas, between="; ")


def _machine_parts(picture: Picture, around: Surroundings) -> Iterator[str]:
    if picture.device:
        yield f"{picture.backend} on {picture.device}"
    if picture.running and picture.most_running > 1:
        yield f"{picture.most_running} runs at once"
    if picture.device == "cuda":
        yield from (_gpu(number, gpu) for number, gpu in enumerate(around.gpus))
    yield _use(picture.resources)
    if around.disk_free_bytes is not None:
        yield f"disk {size_text(around.disk_free_bytes)} free"
    if around.store_bytes:
        yield f"store {size_text(around.store_bytes)}"


def _gpu(number: int, gpu: Gpu) -> str:
    if gpu.total_bytes is None or gpu.free_bytes is None:
        return f"GPU {number}"
    used = size_text(gpu.total_bytes - gpu.free_bytes)
    return f"GPU {number} {used} of {size_text(gpu.total_bytes)}"


def _use(resources: Mapping[str, Tally]) -> str:
    """What runs that are done took at most; of the GPU's time, in the mean."""
    told = [
        f"{size_text(round(resources[name].most * GIB))}{where}"
        for name, where in (("peak_memory_gib", ""), ("peak_gpu_memory_gib", " on the GPU"))
        if name in resources
    ]
    peak = f"a run takes up to {' and '.join(told)}" if told else ""
    use = resources.get("gpu_use_percent", Tally()).mean
    return peak if use is None else ", ".join([peak, f"GPU {use:.0f}% in use"]).removeprefix(", ")
