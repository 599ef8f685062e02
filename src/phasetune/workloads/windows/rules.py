"""Rules across stages, checked before anything runs; and what should be known."""

from collections.abc import Iterable

from phasetune.errors import StageError
from phasetune.workloads.windows.data import Data
from phasetune.workloads.windows.params import Finetune, Pretrain

FULL_SIZE = 1_000_000
"""Windows times epochs of pre-training from which on a study is not for a CPU."""


def problems(pretrain: Pretrain, finetune: Finetune, data: Data) -> Iterable[str]:
    """What is wrong with the parameters together, in one sentence each."""
    if pretrain.hidden_size % finetune.num_heads:
        yield (
            f"finetune.num_heads must divide pretrain.hidden_size ({pretrain.hidden_size}), but is "
            f"{finetune.num_heads}"
        )
    if finetune.freeze_layers > pretrain.num_layers:
        yield (
            f"finetune.freeze_layers must be at most pretrain.num_layers ({pretrain.num_layers}), "
            f"but is {finetune.freeze_layers}"
        )
    mixed = finetune.mixup_probability + finetune.cutmix_probability
    if mixed > 1.0:
        yield (
            "finetune.mixup_probability + finetune.cutmix_probability must be at most 1, but is "
            f"{mixed:g}; a window is mixed in one way"
        )
    for stage, training in (("pretrain", pretrain), ("finetune", finetune)):
        if training.gradient_checkpointing:
            yield (
                f"{stage}.gradient_checkpointing must be false: an LSTM's layers are one operation "
                "with nothing to leave out; use a smaller batch_size with accumulate"
            )
    for name, watch, known in (
        ("pretrain", pretrain.watch, ("val_loss",)),
        ("finetune", finetune.watch, ("val_loss", "val_accuracy")),
    ):
        if watch not in known:
            yield f"{name}.watch must be {' or '.join(known)}, but is {watch!r}"
    yield from _mask_problems(pretrain, data)


def _mask_problems(pretrain: Pretrain, data: Data) -> Iterable[str]:
    shape = _shape(data)
    if shape is None or pretrain.epochs == 0:
        return
    patches = f", patch_size {pretrain.patch_size}" if pretrain.mask == "patch" else ""
    if pretrain.num_hidden(shape[1]) >= pretrain.num_places(shape[1]):
        yield (
            f"pretrain.mask ({pretrain.mask}, mask_ratio {pretrain.mask_ratio:g}{patches}) would "
            f"hide all {shape[1]} time steps of a window; nothing would be left to see"
        )


def advice(pretrain: Pretrain, finetune: Finetune, data: Data, device: str) -> Iterable[str]:
    """A full-size study without a GPU; an encoder that is never thawed."""
    if finetune.freeze_epochs >= finetune.epochs:
        yield (
            f"finetune.freeze_epochs ({finetune.freeze_epochs}) leaves none of the "
            f"{finetune.epochs} finetune.epochs, so the encoder is never fine-tuned"
        )
    shape = _shape(data)
    if device != "cpu" or shape is None:
        return
    if shape[0] * pretrain.epochs >= FULL_SIZE:
        yield (
            f"pre-training on {shape[0]:,} windows is of full size, and without CUDA it runs on "
            "the CPU, where it can take hours. Run it where there is a GPU, or derive a smaller "
            "study, as configs/quickstart.yaml does"
        )


def _shape(data: Data) -> tuple[int, ...] | None:
    """Shape of the unlabelled windows; None where they are not right, which is told elsewhere."""
    try:
        shape = data.shape("unlabeled")
    except (OSError, StageError):
        return None
    return shape if len(shape) == 3 else None
