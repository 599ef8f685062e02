"""Settings of a DataLoader: by the machine, and by whether rows lie in memory."""

import os

import pytest
import torch
from torch.utils.data import DataLoader

from phasetune.train.loader import LoaderSettings, recommended_loader_settings


def workers(count: int, *, pin_memory: bool) -> LoaderSettings:
    return LoaderSettings(
        num_workers=count,
        pin_memory=pin_memory,
        persistent_workers=count > 0,
        prefetch_factor=4 if count else None,
    )


@pytest.mark.parametrize(
    ("device", "cpus", "num_bytes", "expected"),
    [
        ("cpu", 1, None, workers(0, pin_memory=False)),
        ("cpu", 4, None, workers(3, pin_memory=False)),
        ("cuda", 4, None, workers(3, pin_memory=True)),
        ("cuda", 64, None, workers(8, pin_memory=True)),
        ("cuda", 0, None, workers(0, pin_memory=True)),
        ("cuda", 64, 10**9, workers(0, pin_memory=True)),
        ("cpu", 64, 0, workers(0, pin_memory=False)),
    ],
    ids=["one", "cpu", "gpu", "many", "none", "in memory", "empty"],
)
def test_rows_in_memory_need_no_workers_and_others_one_per_spare_cpu(
    device: str, cpus: int, num_bytes: int | None, expected: LoaderSettings
) -> None:
    found = recommended_loader_settings(device=device, cpus=cpus, num_bytes=num_bytes)
    assert found == expected


@pytest.mark.parametrize(("allowed", "num_workers"), [({0}, 0), ({0, 3, 5}, 2)])
def test_only_the_cpus_that_the_process_may_use_count(
    allowed: set[int], num_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert recommended_loader_settings(device="cpu").num_workers == num_workers


@pytest.mark.parametrize(("count", "num_workers"), [(3, 2), (None, 0)])
def test_where_nothing_says_which_may_be_used_all_count(
    count: int | None, num_workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert recommended_loader_settings(device="cpu").num_workers == num_workers


@pytest.mark.parametrize("cpus", [1, 3])
def test_a_loader_takes_them_as_they_are(cpus: int) -> None:
    settings = recommended_loader_settings(device="cpu", cpus=cpus)
    loader = DataLoader(torch.utils.data.TensorDataset(torch.arange(3)), **vars(settings))
    assert loader.num_workers == cpus - 1


def test_without_a_device_it_is_what_torch_has() -> None:
    has_gpu = torch.cuda.is_available()
    assert recommended_loader_settings().pin_memory == has_gpu
