"""Batches: the same rows in the same order on whichever way they come, whole or from a cut on."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from phasetune.stage.seeds import derived_seed
from phasetune.train.batches import Batches, Loaded, Tensors, batches_of
from phasetune.train.loader import LoaderSettings

CPU = torch.device("cpu")
NUM_ROWS, BATCH_SIZE = 22, 6
POINTS = torch.arange(NUM_ROWS * 2, dtype=torch.float32).reshape(NUM_ROWS, 2)
LABELS = torch.arange(NUM_ROWS)


class Drawing(Dataset[tuple[Tensor, ...]]):
    """Rows that are drawn anew each time, from all three generators."""

    def __len__(self) -> int:
        return NUM_ROWS

    def __getitem__(self, row: int) -> tuple[Tensor, ...]:
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]  # noqa: S311
        return torch.tensor(row), torch.tensor(drawn, dtype=torch.float64)


def settings(num_workers: int) -> LoaderSettings:
    return LoaderSettings(
        num_workers=num_workers,
        pin_memory=False,
        persistent_workers=num_workers > 0,
        prefetch_factor=2 if num_workers else None,
    )


def loaded(source: Any, *, num_workers: int = 0) -> Loaded:
    return Loaded(source, device=CPU, settings=settings(num_workers))


def taken(batches: Batches, epoch: int, *, seed: int = 3, skip: int = 0) -> list[list[Tensor]]:
    rows = batches.epoch(epoch, batch_size=BATCH_SIZE, seed=seed, skip=skip)
    return [list(batch) for batch in rows]


def assert_same(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)


MAKERS = {
    "tensors": lambda: Tensors(POINTS, LABELS),
    "tensors through a loader": lambda: loaded([POINTS, LABELS]),
    "dataset": lambda: loaded(torch.utils.data.TensorDataset(POINTS, LABELS)),
}
each_way = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))
Make = Callable[[], Batches]


@each_way
def test_an_epoch_goes_over_all_rows_in_an_order_of_its_own(make: Make) -> None:
    batches = make()
    assert batches.num_rows == NUM_ROWS
    stream = torch.Generator().manual_seed(derived_seed(3, "order", 5))
    order = torch.randperm(NUM_ROWS, generator=stream)
    expected = [[POINTS[rows], LABELS[rows]] for rows in order.split(BATCH_SIZE)]
    assert_same(taken(batches, 5), expected)
    assert [len(labels) for _, labels in expected] == [6, 6, 6, 4]


@each_way
def test_the_order_is_named_by_seed_and_epoch(make: Make) -> None:
    batches = make()
    first = [labels.tolist() for _, labels in taken(batches, 1)]
    assert first != [labels.tolist() for _, labels in taken(batches, 2)]
    assert first != [labels.tolist() for _, labels in taken(batches, 1, seed=4)]
    assert first == [labels.tolist() for _, labels in taken(batches, 1)]


@each_way
@pytest.mark.parametrize("skip", [0, 1, 3, 4, 9])
def test_going_on_inside_an_epoch_leaves_out_what_was_taken(make: Make, skip: int) -> None:
    batches = make()
    whole = taken(batches, 2)
    assert_same(taken(batches, 2, skip=skip), whole[skip:])


@each_way
def test_the_generators_of_the_process_are_left_alone(make: Make) -> None:
    seeded(7)
    expected = [drawn() for _ in range(5)]
    seeded(7)
    before = drawn()
    within = [drawn() for _ in make().epoch(1, batch_size=BATCH_SIZE, seed=3)]
    assert [before, *within] == expected


def seeded(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def drawn() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: S311


def test_what_a_dataset_draws_is_the_same_with_any_number_of_workers_and_after_a_cut() -> None:
    expected = [taken(loaded(Drawing()), epoch) for epoch in (1, 2)]
    assert not torch.equal(expected[0][0][1], expected[1][0][1])
    for num_workers in (1, 2):
        batches = loaded(Drawing(), num_workers=num_workers)
        assert_same(taken(batches, 1), expected[0])
        cut = batches.epoch(2, batch_size=BATCH_SIZE, seed=3)
        assert_same(list(next(cut)), expected[1][0])
        del cut
        assert_same(taken(batches, 2, skip=1), expected[1][1:])


def test_each_row_of_a_dataset_draws_for_itself() -> None:
    draws = torch.cat([drawn for _, drawn in taken(loaded(Drawing()), 1)])
    assert len(draws.unique(dim=0)) == NUM_ROWS
    other_size = list(loaded(Drawing()).epoch(1, batch_size=NUM_ROWS, seed=3))
    assert_same(other_size[0][1], draws)


def test_a_dataset_that_fails_leaves_the_generators_alone() -> None:
    class Failing(Drawing):
        def __getitem__(self, row: int) -> tuple[Tensor, ...]:
            raise KeyError(f"no file for row {row}")

    seeded(7)
    expected = drawn()
    seeded(7)
    with pytest.raises(KeyError, match="no file for row"):
        taken(loaded(Failing()), 1)
    assert drawn() == expected


NUM_BYTES = POINTS.nbytes + LABELS.nbytes


@pytest.mark.parametrize(
    ("free_bytes", "kind"),
    [(2 * NUM_BYTES, Tensors), (2 * NUM_BYTES - 1, Loaded), (0, Loaded), (None, Tensors)],
    ids=["just fits", "just does not", "no room", "a cpu has them already"],
)
def test_tensors_go_to_the_device_where_half_of_its_free_memory_takes_them(
    free_bytes: int | None, kind: type
) -> None:
    batches = batches_of([POINTS, LABELS], device=CPU, free_bytes=free_bytes)
    assert type(batches) is kind
    assert_same(taken(batches, 1), taken(Tensors(POINTS, LABELS), 1))


def test_a_dataset_comes_through_a_loader_whatever_room_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    batches = batches_of(Drawing(), device=CPU, free_bytes=10**12)
    assert type(batches) is Loaded
    assert batches.num_rows == NUM_ROWS
    assert_same(taken(batches, 1), taken(loaded(Drawing()), 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_rows_lie_on_the_gpu_where_they_fit_and_are_copied_where_not() -> None:
    cuda = torch.device("cuda")
    orders = []
    for free_bytes in (None, 0):
        batches = batches_of([POINTS, LABELS], device=cuda, free_bytes=free_bytes)
        taken_rows = taken(batches, 1)
        assert {part.device.type for batch in taken_rows for part in batch} == {"cuda"}
        orders.append(torch.cat([labels for _, labels in taken_rows]))
    assert all(torch.equal(order.sort().values.cpu(), LABELS) for order in orders)
