"""Mixed precision: what is computed in what, how a step is clipped, and what a checkpoint keeps."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phasetune.train.optimizers import make_optimizer, parameter_groups
from phasetune.train.precision import Precision
from phasetune.train.settings import Training

CPU = torch.device("cpu")
ALL = pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
MIXED = pytest.mark.parametrize(
    ("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)], ids=["bf16", "fp16"]
)


def model_of(weight: float = 0.0) -> nn.Linear:
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    return model


def step(
    precision: Precision, model: nn.Module, *losses: Tensor, clip_norm: float | None = 1.0
) -> float:
    """One step of descent at rate 1; returns the norm of its gradients before they are clipped."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer.zero_grad()
    for loss in losses:
        precision.backward(loss)
    norm = precision.gradient_norm(optimizer)
    precision.step(optimizer, norm, clip_norm=clip_norm)
    return float(norm)


def line(model: nn.Linear, *slopes: float) -> Tensor:
    """A loss with these gradients."""
    return (model.weight * torch.tensor([slopes])).sum()


def test_fp32_computes_as_without_it() -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(64, 8), torch.randn(16, 64)
    with Precision(CPU, "fp32").autocast():
        assert not torch.is_autocast_enabled("cpu")
        outputs = model(inputs)
    assert torch.equal(outputs, model(inputs))
    assert outputs.dtype == torch.float32


@MIXED
def test_mixed_precision_multiplies_in_16_bits_within_the_block(
    name: str, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    model, inputs = nn.Linear(64, 8), torch.randn(16, 64)
    exact = model(inputs)
    with Precision(CPU, name).autocast():
        outputs = model(inputs)
    assert outputs.dtype == dtype
    assert 0.0 < (outputs - exact).abs().max().item() < 0.05
    assert model.weight.dtype == torch.float32
    assert torch.equal(model(inputs), exact)


@ALL
def test_a_block_can_be_entered_again_and_again(name: str) -> None:
    precision = Precision(CPU, name)
    model, inputs = model_of(1.0), torch.ones(1, 2)
    for _ in range(2):
        with precision.autocast():
            assert model(inputs).item() == 2.0
        assert not torch.is_autocast_enabled("cpu")


@ALL
@pytest.mark.parametrize(
    ("slopes", "moved"),
    [([3.0, 4.0], [-0.6, -0.8]), ([300.0, 400.0], [-0.6, -0.8]), ([0.3, 0.4], [-0.3, -0.4])],
    ids=["clipped", "clipped a lot", "short enough"],
)
def test_a_step_goes_down_no_further_than_the_norm(
    name: str, slopes: list[float], moved: list[float]
) -> None:
    model = model_of()
    step(Precision(CPU, name), model, line(model, *slopes))
    torch.testing.assert_close(model.weight.detach(), torch.tensor([moved]), rtol=1e-5, atol=0.0)


@ALL
@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_the_norm_told_is_that_before_clipping_and_without_a_scale(
    name: str, clip_norm: float | None
) -> None:
    model = model_of()
    norm = step(Precision(CPU, name), model, line(model, 30.0, 40.0), clip_norm=clip_norm)
    assert norm == pytest.approx(50.0)
    moved = model.weight.detach().norm().item()
    assert moved == pytest.approx(50.0 if clip_norm is None else clip_norm, rel=1e-5)


@ALL
def test_gradients_of_several_losses_add_up_to_one_step(name: str) -> None:
    model = model_of()
    norm = step(Precision(CPU, name), model, line(model, 3.0, 0.0), line(model, 0.0, 4.0))
    assert norm == pytest.approx(5.0)
    torch.testing.assert_close(model.weight.detach(), torch.tensor([[-0.6, -0.8]]))


def test_a_step_in_fp32_is_torchs_own_bit_for_bit() -> None:
    ours, theirs = model_of(0.3), model_of(0.3)
    step(Precision(CPU, "fp32"), ours, line(ours, 0.7, 1.9))
    line(theirs, 0.7, 1.9).backward()
    nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
    torch.optim.SGD(theirs.parameters(), lr=1.0).step()
    assert torch.equal(ours.weight, theirs.weight)


def test_what_is_frozen_has_no_part_in_the_norm() -> None:
    first, second = model_of(), model_of()
    first.weight.requires_grad_(False)
    both = nn.Sequential(first, second)
    assert step(Precision(CPU, "fp32"), both, line(second, 3.0, 4.0)) == pytest.approx(5.0)
    assert torch.equal(first.weight, torch.zeros(1, 2))


def test_the_norm_is_that_of_all_gradients_together() -> None:
    first, second = model_of(), model_of()
    both = nn.Sequential(first, second)
    loss = line(first, 0.0, 30.0) + line(second, 40.0, 0.0)
    step(Precision(CPU, "fp32"), both, loss, clip_norm=5.0)
    torch.testing.assert_close(first.weight.detach(), torch.tensor([[0.0, -3.0]]))
    torch.testing.assert_close(second.weight.detach(), torch.tensor([[-4.0, 0.0]]))


def test_fp16_keeps_gradients_that_would_vanish() -> None:
    model, inputs = model_of(), torch.full((1, 2), 1e-7)
    precision = Precision(CPU, "fp16")
    with precision.autocast():
        loss = model(inputs * 1e3).float().sum() * 1e-7
    step(precision, model, loss)
    torch.testing.assert_close(model.weight.detach(), torch.full((1, 2), -1e-11), rtol=0.01, atol=0)


def test_fp16_leaves_a_step_out_whose_gradient_overflows_and_scales_less_from_then_on() -> None:
    model, precision = model_of(1.0), Precision(CPU, "fp16")
    before = float(precision.state_dict()["scale"])
    step(precision, model, model.weight.sum() * torch.inf)
    assert torch.equal(model.weight.detach(), torch.ones(1, 2))
    assert precision.state_dict()["scale"] == before / 2
    step(precision, model, model.weight.sum(), clip_norm=9.0)
    assert torch.equal(model.weight.detach(), torch.zeros(1, 2))


def test_what_fp16_has_learnt_survives_a_checkpoint() -> None:
    model, precision = model_of(), Precision(CPU, "fp16")
    step(precision, model, model.weight.sum() * torch.inf)
    step(precision, model, model.weight.sum())
    resumed = Precision(CPU, "fp16")
    assert resumed.state_dict() != precision.state_dict()
    resumed.load_state_dict(precision.state_dict())
    assert resumed.state_dict() == precision.state_dict()
    for one in (precision, resumed):
        step(one, model, model.weight.sum() * torch.inf)
    assert resumed.state_dict() == precision.state_dict()


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_checkpoint_of_what_scales_nothing_is_empty(name: str) -> None:
    precision = Precision(CPU, name)
    step(precision, model_of(), model_of().weight.sum())
    assert precision.state_dict() == {}
    precision.load_state_dict({})


@pytest.mark.parametrize("name", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer_name", ["adamw", "adam", "sgd"])
def test_a_step_can_be_left_out_without_looking(name: str, optimizer_name: Any) -> None:
    precision, model = Precision(CPU, name), model_of(1.0)
    untouched = model_of(1.0)
    optimizer, alone = optimizer_of(model, optimizer_name), optimizer_of(untouched, optimizer_name)
    for is_bad in (True, False, True, False):
        fused_step(precision, model, optimizer, slope=torch.inf if is_bad else 0.5, skip=is_bad)
        if not is_bad:
            fused_step(Precision(CPU, name), untouched, alone, slope=0.5, skip=False)
        assert torch.equal(model.weight, untouched.weight)
    assert not torch.equal(model.weight, torch.ones(1, 2))


@pytest.mark.parametrize("optimizer_name", ["adamw", "adam", "sgd"])
def test_fp16_begins_with_steps_that_overflow_and_none_of_them_leaves_a_trace(
    optimizer_name: Any,
) -> None:
    precision, model = Precision(CPU, "fp16"), model_of(1.0)
    optimizer = optimizer_of(model, optimizer_name)
    fused_step(precision, model, optimizer, slope=torch.inf, skip=True)
    fused_step(precision, model, optimizer, slope=0.5, skip=False)
    untouched = model_of(1.0)
    alone = optimizer_of(untouched, optimizer_name)
    fused_step(Precision(CPU, "fp16"), untouched, alone, slope=0.5, skip=False)
    assert torch.equal(model.weight, untouched.weight)
    assert bool(model.weight.isfinite().all())


def optimizer_of(model: nn.Linear, name: Any) -> torch.optim.Optimizer:
    training = Training(optimizer=name, learning_rate=0.1)
    groups = parameter_groups([(model, 0.1)], weight_decay=0.0)
    return make_optimizer(groups, training, device=CPU)


def fused_step(
    precision: Precision,
    model: nn.Linear,
    optimizer: torch.optim.Optimizer,
    *,
    slope: float,
    skip: bool,
) -> None:
    optimizer.zero_grad()
    precision.backward(line(model, slope, slope))
    norm = precision.gradient_norm(optimizer)
    precision.skip_if(optimizer, torch.tensor(skip))
    precision.step(optimizer, norm, clip_norm=1.0)
