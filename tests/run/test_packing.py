"""How many runs fit on one GPU, by what was measured of which setting."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.plan.trial import Run
from phasetune.run.gpu_memory import CONTEXT_BYTES, torch_part
from phasetune.run.packing import (
    MARGIN,
    GpuParts,
    NotMeasured,
    StepMemory,
    covers,
    largest_settings,
    runs_at_once,
)
from phasetune.run.request import RunRequest, WorkloadRequest
from phasetune.store.space import GIB
from phasetune.study.resources import rounded_down
from phasetune.study.schema import Numerics

CARD = int(23.6 * GIB)


@pytest.mark.parametrize(
    ("taken_gib", "most", "at_once"),
    [
        (1.9, 16, 8),
        (1.9, 3, 3),
        (0.01, 100, 16),
        (19.0, 16, 1),
        (23.5, 16, 1),
        (9.0, 16, 2),
    ],
    ids=["memory", "CPUs", "never more than 16", "all of it", "more than all", "two"],
)
def test_as_many_fit_as_memory_and_cpus_allow(taken_gib: float, most: int, at_once: int) -> None:
    step = StepMemory(taken_bytes=int(taken_gib * GIB), total_bytes=CARD)
    assert runs_at_once(step, most=most) == at_once


@given(
    taken=st.integers(1, 200 * GIB), total=st.integers(4 * GIB, 200 * GIB), most=st.integers(1, 64)
)
def test_the_part_of_a_run_holds_what_it_took_and_all_parts_fit(
    taken: int, total: int, most: int
) -> None:
    count = runs_at_once(StepMemory(taken_bytes=taken, total_bytes=total), most=most)
    part = rounded_down(1 / count)
    tensors = torch_part(part, total_bytes=total) * total
    assert 1 <= count <= max(1, min(most, 16))
    assert part * count <= 1
    assert count == 1 or tensors >= taken * MARGIN - total * 0.0001
    assert count == 1 or count * (tensors + CONTEXT_BYTES) <= total * 1.0001


@pytest.mark.parametrize(
    ("large", "small", "is_covered"),
    [
        ({"a": 2, "b": 1}, {"a": 1, "b": 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 2, "b": 1}, {"a": 1, "b": 2}, False),
        ({"a": 2, "m": "patch"}, {"a": 1, "m": "patch"}, True),
        ({"a": 2, "m": "patch"}, {"a": 1, "m": "point"}, False),
        ({"a": 2, "p": None}, {"a": 1, "p": 5}, False),
        ({"a": True}, {"a": False}, False),
        ({"a": 2, "b": 1}, {"a": 1}, False),
    ],
)
def test_what_covers_what(large: dict[str, Any], small: dict[str, Any], is_covered: bool) -> None:
    assert covers(large, small) is is_covered


@pytest.mark.parametrize(
    ("settings", "largest"),
    [
        ([{"h": 64}, {"h": 128}, {"h": 128}, {"h": 32}], [1]),
        ([{"h": 64, "b": 8}, {"h": 32, "b": 16}, {"h": 32, "b": 8}], [0, 1]),
        ([{"h": 64, "m": "x"}, {"h": 64, "m": "y"}, {"h": 8, "m": "x"}], [0, 1]),
        ([{"h": 2**i, "b": 100 - i} for i in range(8)], [4, 5, 6, 7]),
        ([{}], [0]),
    ],
    ids=["one", "two ways", "words", "at most four, largest in all", "none"],
)
def test_the_largest_settings_are_those_that_no_other_covers(
    settings: list[dict[str, Any]], largest: list[int]
) -> None:
    assert largest_settings(settings) == largest


def request(stage: str = "fit", *, uses_gpu: bool = True, **settings: Any) -> RunRequest:
    label = " ".join([stage, *(f"{name}={value}" for name, value in settings.items())])
    run = Run(
        key=label,
        stage=stage,
        function="w:f",
        params={},
        seed=0,
        fold=None,
        parent=None,
        uses_gpu=uses_gpu,
    )
    workload = WorkloadRequest(
        path="w",
        sources=(),
        folders=(),
        code="",
        data={},
        numerics=Numerics(),
        working_directory="",
    )
    return RunRequest(
        run=run,
        parent_stage=None,
        label=label,
        point={},
        workload=workload,
        results=Path("r"),
        study="s",
        attempt=Path("r"),
        stall_timeout_seconds=None,
        settings=settings,
    )


class Device:
    """Tells what each run takes, by its label; remembers which were measured, and what was told."""

    def __init__(self, gib: Mapping[str, float]) -> None:
        self.gib = gib
        self.parts = GpuParts()
        self.measured: list[str] = []
        self.told: list[str] = []

    def measure(self, run: RunRequest) -> StepMemory | NotMeasured:
        self.measured.append(run.label)
        if run.label not in self.gib:
            return NotMeasured(why="its first step failed (ValueError: no)")
        return StepMemory(taken_bytes=int(self.gib[run.label] * GIB), total_bytes=CARD)

    def of(self, *wave: RunRequest, most: int = 16) -> dict[str, float]:
        return self.parts.of(wave, measure=self.measure, most_at_once=most, tell=self.told.append)


def test_the_largest_is_measured_and_said() -> None:
    device = Device({"fit h=128": 1.9})
    assert device.of(request(h=64), request(h=128)) == {"fit": 0.125}
    assert device.told == ["fit h=128 took 1.9 of 23.6 GiB; 8 at once, each 1/8 of a GPU"]


def test_what_is_covered_is_not_measured_again_and_a_smaller_one_packs_as_it_did() -> None:
    device = Device({"fit h=64": 1.9, "fit h=128": 9.0})
    assert device.of(request(h=64)) == {"fit": 0.125}
    assert device.of(request(h=64), request(h=128)) == {"fit": 0.5}
    assert device.of(request(h=64), request(h=32)) == {"fit": 0.125}
    assert device.measured == ["fit h=64", "fit h=128"]
    assert len(device.told) == 2


def test_the_one_that_took_most_counts_and_four_are_enough() -> None:
    device = Device(
        {"fit h=1 b=4": 9.0, "fit h=2 b=3": 1.0, "fit h=3 b=2": 0.1, "fit h=4 b=1": 0.1}
    )
    wave = [request(h=h, b=5 - h) for h in (1, 2, 3, 4)]
    assert device.of(*wave) == {"fit": 0.5}
    assert len(device.measured) == 4
    assert device.told == ["fit h=1 b=4 took 9.0 of 23.6 GiB; 2 at once, each 1/2 of a GPU"]


def test_each_stage_has_its_own_part_and_cpu_stages_none() -> None:
    device = Device({"fit h=1": 19.0, "test h=1": 0.1})
    wave = [request(h=1), request("test", h=1), request("load", uses_gpu=False, h=1)]
    assert device.of(*wave, most=4) == {"fit": 1.0, "test": 0.25}
    assert device.told[0] == "fit h=1 took 19.0 of 23.6 GiB; each a whole GPU"
    assert device.measured == ["fit h=1", "test h=1"]


def test_a_step_that_fails_is_told_once_and_its_stage_takes_whole_gpus() -> None:
    device = Device({"fit h=64": 1.9})
    assert device.of(request(h=64)) == {"fit": 0.125}
    assert device.of(request(h=128)) == {"fit": 1.0}
    assert device.of(request(h=64)) == {"fit": 1.0}
    failed = "its first step failed (ValueError: no)"
    (_, told) = device.told
    assert told == f"fit h=128 could not be measured: {failed}; it takes a whole GPU"
