"""Where an epoch's rows come from: tensors on the device, or a DataLoader for what does not fit.

The order of an epoch comes from a stream named by its number, so it is the same on whichever way
rows come, and going on inside an epoch leaves out what was taken.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from phasetune.errors import StageError
from phasetune.stage.seeds import derived_seed
from phasetune.train.generators import generators_state, restore_generators, seed_generators
from phasetune.train.loader import LoaderSettings, recommended_loader_settings

SHARE_OF_FREE_MEMORY = 0.5
"""What rows may take of a GPU's free memory; the rest is for weights and activations."""


class Batches(Protocol):
    """Rows in batches, shuffled anew for each epoch."""

    @property
    def num_rows(self) -> int:
        """How many rows an epoch goes over."""

    def epoch(
        self, epoch: int, *, batch_size: int, seed: int, skip: int = 0
    ) -> Iterator[tuple[Tensor, ...]]:
        """All rows of an epoch once, but for the first `skip` batches; the last may be short."""


class Tensors:
    """Rows of tensors that lie on the device: an epoch is one shuffle and a pick per batch.

    The order is drawn on the CPU and copied there once an epoch: a GPU's generator would draw
    another one, and what an epoch sees must not depend on whether its rows fit.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self._tensors = tensors
        self.num_rows = len(tensors[0])

    def epoch(
        self, epoch: int, *, batch_size: int, seed: int, skip: int = 0
    ) -> Iterator[tuple[Tensor, ...]]:
        """As in `Batches`."""
        order = _order(self.num_rows, epoch, seed).to(self._tensors[0].device)
        for rows in order.split(batch_size)[skip:]:
            yield tuple(tensor.index_select(0, rows) for tensor in self._tensors)


class Loaded:
    """Rows of a dataset, or of tensors that do not fit on the device: a DataLoader fetches batches
    and copies them there while the one before is computed.
    """

    def __init__(
        self,
        source: Dataset[Any] | Sequence[Tensor],
        *,
        device: torch.device,
        settings: LoaderSettings,
    ) -> None:
        fetch = _DatasetBatches(source) if isinstance(source, Dataset) else _TensorBatches(source)
        self.num_rows = fetch.num_rows
        self._device = device
        self._picked = _Picked()
        self._loader: DataLoader[Any] = DataLoader(
            fetch,
            batch_size=None,
            sampler=self._picked,
            generator=torch.Generator(),
            **asdict(settings),
        )

    def epoch(
        self, epoch: int, *, batch_size: int, seed: int, skip: int = 0
    ) -> Iterator[tuple[Tensor, ...]]:
        """As in `Batches`."""
        order = _order(self.num_rows, epoch, seed)
        stream = derived_seed(seed, "rows", epoch)
        self._picked.batches = [(stream, rows) for rows in order.split(batch_size)[skip:]]
        for batch in self._loader:
            yield tuple(part.to(self._device, non_blocking=True) for part in batch)


class _Picked:
    """The rows of each batch of an epoch, which workers that stay alive over epochs read anew."""

    batches: Sequence[tuple[int, Tensor]] = ()

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _TensorBatches(Dataset[tuple[Tensor, ...]]):
    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self.num_rows = len(tensors[0])

    def __getitem__(self, picked: tuple[int, Tensor]) -> tuple[Tensor, ...]:
        _, rows = picked
        return tuple(tensor.index_select(0, rows) for tensor in self._tensors)


class _DatasetBatches(Dataset[tuple[Tensor, ...]]):
    """Each row is fetched under generators seeded for it, so that what a dataset draws is the same
    with any number of workers and after a cut; those of the process are as before afterwards.
    """

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset
        self.num_rows = len(dataset)  # type: ignore[arg-type]

    def __getitem__(self, picked: tuple[int, Tensor]) -> tuple[Tensor, ...]:
        stream, rows = picked
        before = generators_state()
        try:
            items = [self._item(stream, int(row)) for row in rows]
        finally:
            restore_generators(before)
        return tuple(default_collate(items))

    def _item(self, stream: int, row: int) -> Any:
        seed_generators(derived_seed(stream, row))
        item = self._dataset[row]
        if not isinstance(item, tuple | list):
            raise StageError(
                f"a dataset must give tuples of tensors, but row {row} is a {type(item).__name__}"
            )
        return item


def batches_of(
    source: Dataset[Any] | Sequence[Tensor],
    *,
    device: torch.device,
    cpus: int | None = None,
    free_bytes: int | None = None,
) -> Batches:
    """Rows on the device where they fit into half of its free memory, else through a DataLoader.

    `source` is a dataset that gives tuples of tensors, or tensors with rows along dimension 0; its
    workers take `cpus` but one, of the run's, by default of the machine's;
    `free_bytes` is asked from the device where it is not given.
    """
    if isinstance(source, Dataset):
        settings = recommended_loader_settings(device=device.type, cpus=cpus)
        return Loaded(source, device=device, settings=settings)
    num_bytes = sum(tensor.nbytes for tensor in source)
    if num_bytes <= SHARE_OF_FREE_MEMORY * _free_bytes(device, free_bytes):
        return Tensors(*(tensor.to(device) for tensor in source))
    settings = recommended_loader_settings(device=device.type, num_bytes=num_bytes)
    return Loaded(source, device=device, settings=settings)


def _free_bytes(device: torch.device, given: int | None) -> float:
    """A CPU's rows are where they are: there is nothing to copy."""
    if given is not None:
        return given
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf


def _order(num_rows: int, epoch: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derived_seed(seed, "order", epoch))
    return torch.randperm(num_rows, generator=generator)
