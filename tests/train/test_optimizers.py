"""Optimizers: who is in which group, torch's own classes, and going on from a checkpoint."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from phasetune.errors import StageError
from phasetune.train.optimizers import make_optimizer, parameter_groups, set_rates
from phasetune.train.settings import Training

CPU = torch.device("cpu")
NAMES = pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])


def optimizer_of(model: nn.Module, name: Any, **changes: Any) -> torch.optim.Optimizer:
    training = Training(optimizer=name, learning_rate=0.1, **changes)
    return make_optimizer(groups_of(model), training, device=CPU)


def groups_of(*models: nn.Module) -> list[dict[str, Any]]:
    return parameter_groups([(model, 0.1) for model in models], weight_decay=0.3)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, times: int, slope: float) -> None:
    for _ in range(times):
        optimizer.zero_grad()
        loss = model(torch.ones(1, 2)).sum() * slope
        loss.backward()
        optimizer.step()


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("module", "decaying", "others"),
    [
        (nn.Linear(2, 3), ["weight"], ["bias"]),
        (nn.Linear(2, 3, bias=False), ["weight"], []),
        (nn.LSTM(2, 3), ["weight_ih_l0", "weight_hh_l0"], ["bias_ih_l0", "bias_hh_l0"]),
        (nn.Embedding(5, 2), ["weight"], []),
        (nn.BatchNorm1d(4), [], ["weight", "bias"]),
        (nn.LayerNorm(4), [], ["weight", "bias"]),
        (nn.LayerNorm([4, 5]), [], ["weight", "bias"]),
        (nn.RMSNorm([4, 5]), [], ["weight"]),
        (nn.GroupNorm(2, 4), [], ["weight", "bias"]),
        (nn.Sequential(nn.Linear(2, 3), nn.LayerNorm([1, 3])), ["0.weight"], ["0.bias", "1."]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_weights_decay_and_biases_and_norms_do_not(
    module: nn.Module, decaying: list[str], others: list[str]
) -> None:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    found = {
        group["weight_decay"]: [names[id(parameter)] for parameter in group["params"]]
        for group in groups_of(module)
    }
    assert found.pop(0.3, []) == decaying
    rest = found.pop(0.0, [])
    assert all(name.startswith(tuple(others)) for name in rest)
    assert len(rest) + len(decaying) == len(names)
    assert not found


def test_each_part_has_its_own_rate_in_the_order_given() -> None:
    encoder, head = nn.Linear(2, 3), nn.Linear(3, 1)
    groups = parameter_groups([(encoder, 0.01), (head, 0.1)], weight_decay=0.0)
    assert [group["lr"] for group in groups] == [0.01, 0.01, 0.1, 0.1]
    assert [group["initial_lr"] for group in groups] == [0.01, 0.01, 0.1, 0.1]
    listed = [parameter for group in groups for parameter in group["params"]]
    assert [id(p) for p in listed] == [id(p) for p in [*encoder.parameters(), *head.parameters()]]


def test_what_is_frozen_is_in_since_it_may_thaw() -> None:
    encoder = nn.Linear(2, 3).requires_grad_(False)
    assert sum(len(group["params"]) for group in groups_of(encoder)) == 2


def test_a_parameter_that_a_module_uses_twice_is_there_once() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    assert sum(len(group["params"]) for group in groups_of(nn.Sequential(first, second))) == 3


def test_a_parameter_in_two_parts_is_refused() -> None:
    encoder = nn.Linear(2, 3)
    with pytest.raises(StageError, match="stands in two groups, which would train it twice"):
        groups_of(encoder, nn.Sequential(encoder))


@NAMES
@pytest.mark.parametrize(("device", "fused"), [("cpu", True), ("cuda", True), ("meta", False)])
def test_torchs_own_optimizers_are_fused_where_the_device_can(
    name: Any, device: str, fused: bool
) -> None:
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    groups = groups_of(two_layers())
    training = Training(optimizer=name, momentum=0.5)
    optimizer = make_optimizer(groups, training, device=torch.device(device))
    assert type(optimizer) is kinds[name]
    assert {group["fused"] for group in optimizer.param_groups} == {fused}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.3, 0.0}
    assert {group.get("momentum", 0.5) for group in optimizer.param_groups} == {0.5}


@NAMES
def test_rates_are_set_from_the_base_rates(name: str) -> None:
    optimizer = optimizer_of(two_layers(), name)
    for factor in (0.5, 0.25, 1.0):
        set_rates(optimizer, factor)
        assert {group["lr"] for group in optimizer.param_groups} == {0.1 * factor}
        assert {group["initial_lr"] for group in optimizer.param_groups} == {0.1}


@NAMES
def test_going_on_from_a_checkpoint_is_exact(name: str) -> None:
    whole = two_layers()
    optimizer = optimizer_of(whole, name)
    train(whole, optimizer, times=3, slope=1.0)
    resumed, kept = copy.deepcopy(whole), copy.deepcopy(optimizer.state_dict())
    other = optimizer_of(resumed, name)
    other.load_state_dict(kept)
    train(whole, optimizer, times=3, slope=-2.0)
    train(resumed, other, times=3, slope=-2.0)
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0.0, atol=0.0)
    torch.testing.assert_close(other.state_dict(), optimizer.state_dict(), rtol=0.0, atol=0.0)


@NAMES
def test_a_part_of_a_group_may_thaw_later(name: str) -> None:
    model = two_layers()
    first = model[0]
    first.requires_grad_(False)
    optimizer = optimizer_of(model, name, weight_decay=0.0)
    before = weights(first)
    train(model, optimizer, times=2, slope=1.0)
    torch.testing.assert_close(weights(first), before, rtol=0.0, atol=0.0)
    first.requires_grad_(True)
    train(model, optimizer, times=2, slope=1.0)
    assert all(bool((new != old).any()) for new, old in zip(weights(first), before, strict=True))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_momentum_of_sgd_is_torchs(momentum: float) -> None:
    ours, theirs = two_layers(), two_layers()
    optimizer = make_optimizer(
        parameter_groups([(ours, 0.1)], weight_decay=0.0),
        Training(optimizer="sgd", learning_rate=0.1, momentum=momentum),
        device=CPU,
    )
    train(ours, optimizer, times=4, slope=1.0)
    reference = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=momentum, fused=True)
    train(theirs, reference, times=4, slope=1.0)
    torch.testing.assert_close(weights(ours), weights(theirs), rtol=0.0, atol=0.0)
