"""Mixed precision: what is computed in what, how a step is clipped, and what a checkpoint keeps."""

import pytest
import torch
from torch import Tensor, nn

from phasetune.train.precision import Precision

CPU = torch.device("cpu")
ALL = pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
MIXED = pytest.mark.parametrize(
    ("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)], ids=["bf16", "fp16"]
)


def model_of(weight: float = 0.0) -> nn.Linear:
    model = nn.Linear(2, 1, bias=False)
    nn.init.constant_(model.weight, weight)
    return model


def step(precision: Precision, model: nn.Linear, loss: Tensor, *, clip_norm: float = 1.0) -> None:
    """One step of descent at rate 1."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    optimizer.zero_grad()
    precision.step(loss, optimizer, model, clip_norm=clip_norm)


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
    step(Precision(CPU, name), model, (model.weight * torch.tensor([slopes])).sum())
    torch.testing.assert_close(model.weight.detach(), torch.tensor([moved]), rtol=1e-5, atol=0.0)


def test_the_norm_is_that_of_all_gradients_together() -> None:
    first, second = model_of(), model_of()
    both = nn.Sequential(first, second)
    loss = (first.weight * torch.tensor([[0.0, 30.0]])).sum()
    loss += (second.weight * torch.tensor([[40.0, 0.0]])).sum()
    optimizer = torch.optim.SGD(both.parameters(), lr=1.0)
    Precision(CPU, "fp32").step(loss, optimizer, both, clip_norm=5.0)
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
