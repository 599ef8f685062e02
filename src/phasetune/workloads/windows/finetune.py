"""Fine-tuning: a classifier on top of the pre-trained encoder, which is frozen at first."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from phasetune.stage.contract import StageContext
from phasetune.stage.seeds import derived_seed
from phasetune.train.batches import Batches, batches_of
from phasetune.train.determinism import torch_switches
from phasetune.train.fit import fit
from phasetune.train.losses import balanced_weights, classification_loss
from phasetune.train.optimizers import make_optimizer, parameter_groups
from phasetune.train.splits import inner_split, outer_split
from phasetune.train.task import Batch
from phasetune.workloads.windows.artifact import load_encoder, save_classifier
from phasetune.workloads.windows.augment import augmented
from phasetune.workloads.windows.evaluate import scores_of
from phasetune.workloads.windows.model import Classifier, normalized
from phasetune.workloads.windows.params import Finetune


def finetune(ctx: StageContext, params: Finetune) -> dict[str, float]:
    """Train the classifier and leave it in `ctx.output`.

    Returns:
        The scores of `phasetune.train.scores` on the fold's held-out windows, or where none are
        held out, as `watched_<score>`, on those watched for early stopping; `best_val_loss`,
        `best_epoch` and `epochs_trained`.

    Raises:
        StageError: the data is not what it must be, or a loss is not finite.
        StoreError: the pre-trained encoder can't be read.
    """
    labels = ctx.data.labels_of("train")
    rows, held_out = outer_split(labels, ctx.fold)
    fitted, watched = inner_split(labels, rows, seed=ctx.seed)
    with torch_switches(ctx):
        torch.manual_seed(derived_seed(ctx.seed, "initialisation"))
        task = Classification(ctx, params, torch.from_numpy(fitted), torch.from_numpy(watched))
        progress = fit(task, ctx, params, patience_from=params.freeze_epochs)
    if progress is None:
        return {}
    save_classifier(ctx.output, task.model)
    scored, prefix = (held_out, "") if ctx.fold is not None else (watched, "watched_")
    windows = ctx.data.windows_of("train")[scored]
    scores = scores_of(ctx.output, windows, labels[scored], device=ctx.device)
    return {
        **{f"{prefix}{name}": value for name, value in scores.items()},
        "best_val_loss": progress.best_val_loss,
        "best_epoch": float(progress.best_epoch),
        "epochs_trained": float(progress.epoch),
    }


class Classification:
    """The task of telling classes apart: rows to fit, and rows to watch for early stopping."""

    is_splittable = True

    def __init__(
        self, ctx: StageContext, params: Finetune, fitted: Tensor, watched: Tensor
    ) -> None:
        assert ctx.parent is not None  # noqa: S101 - the stage before is pretrain
        device = torch.device(ctx.device)
        self._params = params
        num_classes = ctx.data.num_classes
        self.model: Classifier = Classifier(
            load_encoder(ctx.parent),
            num_heads=params.num_heads,
            num_classes=num_classes,
            dropout=params.dropout,
        ).to(device)
        raw = torch.from_numpy(ctx.data.windows_of("train"))
        windows = normalized(raw, self.model.shape.encoder.normalize)
        labels = torch.from_numpy(ctx.data.labels_of("train"))
        targets = functional.one_hot(labels, num_classes).float()
        self.batches: Batches = batches_of([windows[fitted], targets[fitted]], device=device)
        self._watched = windows[watched].to(device), targets[watched].to(device)
        weights = balanced_weights(labels[fitted], num_classes).to(device)
        self._loss = classification_loss(
            params.loss,
            class_weights=weights if params.class_weights == "balanced" else None,
            focal_gamma=params.focal_gamma,
            label_smoothing=params.label_smoothing,
        )
        self.optimizer: torch.optim.Optimizer = self._optimizer(device)

    def begin_epoch(self, epoch: int) -> None:
        """Freeze the encoder's layers that are to be frozen in this epoch, thaw the others."""
        params, encoder = self._params, self.model.encoder
        is_frozen = epoch <= params.freeze_epochs
        for name, parameter in encoder.lstm.named_parameters():
            is_trained = not is_frozen and encoder.layer_of(name) >= params.freeze_layers
            parameter.requires_grad_(is_trained)
        self.model.train()
        if not any(parameter.requires_grad for parameter in encoder.parameters()):
            encoder.eval()

    def loss(self, batch: Batch) -> Tensor:
        """The loss of augmented windows."""
        windows, targets = augmented(batch[0], batch[1], self._params)
        return self._loss(self.model(windows), targets)

    def validate(self) -> Mapping[str, float]:
        """The same loss, and the accuracy, on watched windows as they are."""
        windows, targets = self._watched
        size = self._params.batch_size
        logits = torch.cat([self.model(part) for part in windows.split(size)])
        is_right = logits.argmax(dim=1) == targets.argmax(dim=1)
        return {
            "val_loss": float(self._loss(logits, targets)),
            "val_accuracy": float(is_right.float().mean()),
        }

    def _optimizer(self, device: torch.device) -> torch.optim.Optimizer:
        """One optimizer for both parts; frozen weights have no gradient, so it leaves them alone,
        and the head's state is kept when the encoder is thawed.
        """
        params, model = self._params, self.model
        factor = params.unfreeze_lr_factor if params.freeze_epochs else 1.0
        groups = parameter_groups(
            [
                (model.encoder, params.learning_rate * factor),
                (nn.ModuleList([model.pooling, model.head]), params.learning_rate),
            ],
            weight_decay=params.weight_decay,
        )
        return make_optimizer(groups, params, device=device)
