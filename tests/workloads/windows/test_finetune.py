"""Fine-tuning: what is frozen, what is thawed, where it starts, and going on after a cut."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor

from phasetune import StoreError
from phasetune.workloads.windows import Data
from phasetune.workloads.windows import finetune as module
from phasetune.workloads.windows.finetune import Classification, finetune
from phasetune.workloads.windows.pretrain import pretrain
from stage_context import Context
from window_stages import context, finetuning, pretraining, small_data

Trained = Callable[..., tuple[Context, dict[str, float]]]
MODEL = "model.safetensors"
STEPS_PER_EPOCH = 4  # 51 rows that are fitted, in batches of 16
KNOWN = ("exp_avg", "exp_avg_sq", "step")
PLAIN = {"mixup_probability": 0.0, "cutmix_probability": 0.0, "weight_decay": 0.0}
SMOOTH = {**PLAIN, "learning_rate": 0.001}  # so that the last epoch is the best


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return small_data(tmp_path_factory.mktemp("finetune") / "data")


@pytest.fixture(scope="module")
def encoder(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A pre-trained encoder, with changed parameters."""

    def make(**changes: Any) -> Path:
        ctx = context(tmp_path_factory.mktemp("encoders"), data)
        pretrain(ctx, pretraining(**{"epochs": 1, **changes}))
        return ctx.output

    return make


@pytest.fixture(scope="module")
def parent(encoder: Callable[..., Path]) -> Path:
    """An encoder of two layers."""
    return encoder(num_layers=2)


@pytest.fixture
def trained(data: Data, parent: Path, tmp_path: Path) -> Trained:
    """Fine-tune with changed parameters; keywords in `given` are the context's."""

    def go(given: dict[str, Any] | None = None, **changes: Any) -> tuple[Context, dict[str, float]]:
        ctx = context(tmp_path / "runs", **{"data": data, "parent": parent, **(given or {})})
        return ctx, finetune(ctx, finetuning(**changes))

    return go


def model_of(ctx: Context) -> bytes:
    return (ctx.output / MODEL).read_bytes()


def moves(ctx: Context) -> dict[str, float]:
    """How far each weight of the encoder's LSTM is from the artifact that it came from."""
    assert ctx.parent is not None
    before = load_file(ctx.parent / "encoder.safetensors")
    now = load_file(ctx.output / MODEL)
    return {name: float(abs(now[f"encoder.{name}"] - before[name]).max()) for name in before}


def layers_moved(ctx: Context) -> set[int]:
    return {int(name.split("_l")[1][0]) for name, distance in moves(ctx).items() if distance}


def test_it_learns_what_can_be_learned(trained: Trained, encoder: Callable[..., Path]) -> None:
    given = {"parent": encoder(hidden_size=8)}
    _, metrics = trained(given, epochs=25, freeze_epochs=4, learning_rate=0.02, **PLAIN)
    assert metrics["watched_class_0_accuracy"] > 0.85
    assert metrics["watched_class_1_accuracy"] > 0.85


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_frozen_encoder_does_not_move_by_a_bit(trained: Trained, epochs: int) -> None:
    frozen, metrics = trained(epochs=epochs, freeze_epochs=3, weight_decay=0.5)
    assert metrics["epochs_trained"] == epochs
    assert len(moves(frozen)) == 2 * 2 * 4  # layers, directions, weights and biases
    assert set(moves(frozen).values()) == {0.0}


def test_it_moves_once_it_is_thawed(trained: Trained) -> None:
    thawed, metrics = trained(epochs=3, freeze_epochs=2, **SMOOTH)
    assert metrics["best_epoch"] == 3.0
    assert min(moves(thawed).values()) > 0.0


@pytest.mark.parametrize(
    ("freeze_layers", "in_training"), [(0, [False, True]), (1, [False, True]), (2, [False, False])]
)
def test_an_encoder_drops_nothing_out_while_none_of_it_learns(
    data: Data, parent: Path, tmp_path: Path, freeze_layers: int, in_training: list[bool]
) -> None:
    params = finetuning(freeze_epochs=1, freeze_layers=freeze_layers)
    rows = torch.arange(20)
    task = Classification(context(tmp_path, data, parent=parent), params, rows, rows)
    found = []
    for epoch in (1, 2):
        task.begin_epoch(epoch)
        modules = {module.training for module in task.model.encoder.modules()}
        found.append(modules == {True})
        assert len(modules) == 1
        assert task.model.head.training
    assert found == in_training


@pytest.mark.parametrize("freeze_epochs", [0, 1, 2])
def test_the_head_learns_while_the_encoder_is_frozen(trained: Trained, freeze_epochs: int) -> None:
    start, end = (
        load_file(trained(epochs=2, freeze_epochs=freeze_epochs, **change)[0].output / MODEL)
        for change in ({"learning_rate": 1e-30}, PLAIN)
    )
    head = [name for name in start if not name.startswith("encoder.")]
    assert "pooling.query" in head
    assert "head.2.weight" in head
    assert all((start[name] != end[name]).any() for name in head)


def test_a_frozen_encoder_drops_nothing_out(
    trained: Trained, encoder: Callable[..., Path], tmp_path: Path
) -> None:
    """With dropout in its file or without, a frozen encoder says the same."""
    dropping = encoder(dropout=0.5)
    calm = tmp_path / "calm"
    shutil.copytree(dropping, calm)
    shape = json.loads((calm / "encoder.json").read_text())
    (calm / "encoder.json").write_text(json.dumps({**shape, "dropout": 0.0}))
    rows = [trained({"parent": one}, epochs=3, freeze_epochs=2)[0].rows for one in (dropping, calm)]
    assert rows[0][:2] == rows[1][:2]
    assert rows[0][2]["train_loss"] != rows[1][2]["train_loss"]


@pytest.mark.parametrize(
    ("freeze_layers", "freeze_epochs", "moved"),
    [(0, 0, {0, 1}), (1, 0, {1}), (2, 0, set()), (0, 1, {0, 1}), (1, 1, {1}), (2, 1, set())],
)
def test_the_lowest_layers_stay_frozen(
    trained: Trained, freeze_layers: int, freeze_epochs: int, moved: set[int]
) -> None:
    ctx, metrics = trained(
        epochs=3, freeze_layers=freeze_layers, freeze_epochs=freeze_epochs, **SMOOTH
    )
    assert metrics["best_epoch"] > freeze_epochs
    assert layers_moved(ctx) == moved


@pytest.mark.parametrize(
    ("freeze_epochs", "factor", "rate"),
    [(0, 0.5, 0.001), (1, 1.0, 0.001), (1, 0.5, 0.0005), (1, 0.1, 0.0001), (1, 2.0, 0.002)],
)
def test_a_thawed_encoder_learns_at_its_own_rate(
    trained: Trained, freeze_epochs: int, factor: float, rate: float
) -> None:
    """The first step of Adam is as long as its rate, whatever the gradient is."""
    ctx, metrics = trained(
        epochs=freeze_epochs + 1,
        freeze_epochs=freeze_epochs,
        unfreeze_lr_factor=factor,
        batch_size=60,
        **SMOOTH,
    )
    assert metrics["best_epoch"] == freeze_epochs + 1
    assert max(moves(ctx).values()) == pytest.approx(rate, rel=0.01)


def test_thawing_keeps_what_the_optimizer_knows_of_the_head(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Classification] = []
    known: list[list[Tensor]] = []

    class Remembered(Classification):
        def begin_epoch(self, epoch: int) -> None:
            tasks[:] = [self]
            before = self._known_of_head()
            super().begin_epoch(epoch)
            if epoch == 3:
                known.extend((before, self._known_of_head()))

        def _known_of_head(self) -> list[Tensor]:
            state = self.optimizer.state
            head = [one for one in _head(self) if one in state]
            return [state[one][name].clone() for one in head for name in KNOWN]

    monkeypatch.setattr(module, "Classification", Remembered)
    trained(epochs=4, freeze_epochs=2, batch_size=60)
    before, after = known
    assert len(before) == len(KNOWN) * len(list(_head(tasks[0])))
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    steps = tasks[0].optimizer.state
    assert {float(steps[one]["step"]) for one in _head(tasks[0])} == {4.0}
    lstm = tasks[0].model.encoder.lstm.parameters()
    assert {float(steps[one]["step"]) for one in lstm} == {2.0}


def _head(task: Classification) -> list[Tensor]:
    return [*task.model.pooling.parameters(), *task.model.head.parameters()]


def test_it_starts_from_the_weights_of_the_artifact(
    trained: Trained, encoder: Callable[..., Path]
) -> None:
    standing_still, _ = trained(epochs=1, freeze_epochs=0, learning_rate=1e-30)
    assert set(moves(standing_still).values()) == {0.0}
    other = {"parent": encoder(num_layers=2, epochs=2)}
    assert model_of(trained(other, epochs=1)[0]) != model_of(trained(epochs=1)[0])


@pytest.mark.parametrize(
    ("hidden_size", "num_layers", "normalize"), [(2, 1, "window"), (6, 2, "none"), (8, 3, "window")]
)
def test_the_size_of_the_encoder_comes_from_the_artifact(
    trained: Trained,
    encoder: Callable[..., Path],
    hidden_size: int,
    num_layers: int,
    normalize: str,
) -> None:
    size = {"hidden_size": hidden_size, "num_layers": num_layers, "normalize": normalize}
    ctx, _ = trained({"parent": encoder(dropout=0.3, **size)}, epochs=1, dropout=0.4)
    found = json.loads((ctx.output / "model.json").read_text())
    assert found["encoder"] == {"channels": 2, "dropout": 0.3, **size}
    assert (found["num_heads"], found["num_classes"], found["dropout"]) == (2, 2, 0.4)
    assert sorted(path.name for path in ctx.output.iterdir()) == ["model.json", MODEL]


@pytest.mark.parametrize("damage", ["missing", "cut", "another's"])
def test_an_encoder_that_is_damaged_is_named(
    trained: Trained, parent: Path, encoder: Callable[..., Path], tmp_path: Path, damage: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(parent, broken)
    weights = broken / "encoder.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    if damage == "cut":
        weights.write_bytes(content[:-1])
    if damage == "another's":
        shutil.copyfile(encoder(hidden_size=6) / weights.name, weights)
    with pytest.raises(
        StoreError, match=r"broken/encoder\.safetensors (can't be read|does not hold)"
    ):
        trained({"parent": broken})


@pytest.mark.parametrize("stop_in", [1, 2, 3, 4])
def test_a_cut_run_goes_on_to_the_same_bytes(trained: Trained, stop_in: int) -> None:
    """Cut inside an epoch of the frozen part, in the first one after it, and later."""
    whole, metrics = trained(epochs=5, freeze_epochs=2)
    cut, returned = trained({"stop_in": stop_in}, epochs=5, freeze_epochs=2)
    assert returned == {}
    assert list(cut.output.iterdir()) == []
    resumed, found = trained({"resumed": cut.checkpoint}, epochs=5, freeze_epochs=2)
    assert model_of(resumed) == model_of(whole)
    assert found == metrics
    assert {**cut.by_step, **resumed.by_step} == whole.by_step


def test_a_run_that_is_cut_after_each_step_goes_on_too(trained: Trained) -> None:
    whole, metrics = trained(epochs=4)
    checkpoint: Path | None = None
    rows: dict[int, dict[str, float]] = {}
    for _ in range(4 * STEPS_PER_EPOCH):
        cut, found = trained({"stop_at": 1, "resumed": checkpoint}, epochs=4)
        assert (found, list(cut.output.iterdir())) == ({}, [])
        checkpoint, rows = cut.checkpoint, {**rows, **cut.by_step}
    assert rows == whole.by_step
    last, found = trained({"resumed": checkpoint}, epochs=4)
    assert (found, last.rows) == (metrics, [])
    assert model_of(last) == model_of(whole)


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(trained: Trained) -> None:
    first, metrics = trained()
    torch.manual_seed(99)
    again = trained()
    assert model_of(again[0]) == model_of(first)
    assert (again[1], again[0].rows) == (metrics, first.rows)
    assert model_of(trained({"seed": 2})[0]) != model_of(first)
