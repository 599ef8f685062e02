"""The networks: shapes, what they see, and what they refuse to be."""

import warnings
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from phasetune.workloads.windows.model import (
    AttentionPooling,
    Classifier,
    ClassifierShape,
    Encoder,
    EncoderShape,
    normalized,
)

GOOD: dict[str, Any] = {
    "channels": 3,
    "hidden_size": 8,
    "num_layers": 1,
    "dropout": 0.0,
    "normalize": "window",
}


def encoder(**changes: Any) -> Encoder:
    return Encoder(EncoderShape(**{**GOOD, **changes})).eval()


def classifier(*, num_heads: int = 2, num_classes: int = 3, **changes: Any) -> Classifier:
    return Classifier(
        encoder(**changes), num_heads=num_heads, num_classes=num_classes, dropout=0.5
    ).eval()


def some_windows() -> Tensor:
    """Windows at levels and of sizes of their own."""
    levels = torch.tensor([0.0, 400.0, -3.0, 1e-3])[:, None, None]
    sizes = torch.tensor([1.0, 2.0, 100.0, 1e-3])[:, None, None]
    return levels + sizes * torch.randn(4, 20, 3)


@pytest.mark.parametrize(
    ("hidden", "layers", "channels"), [(8, 1, 3), (1, 1, 1), (5, 3, 2), (16, 2, 4)]
)
@pytest.mark.parametrize("time", [1, 2, 9])
def test_an_encoder_makes_a_vector_of_each_time_step(
    hidden: int, layers: int, channels: int, time: int
) -> None:
    network = encoder(hidden_size=hidden, num_layers=layers, channels=channels)
    assert network(torch.randn(4, time, channels)).shape == (4, time, 2 * hidden)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_an_encoder_computes_in_full_precision_under_autocast(dtype: torch.dtype) -> None:
    network, windows = encoder(num_layers=2), torch.randn(6, 9, 3)
    exact = network(windows)
    with torch.autocast("cpu", dtype=dtype):
        assert torch.is_autocast_enabled("cpu")
        encoded = network(windows)
        assert torch.equal(network(windows.to(dtype)), network(windows.to(dtype).float()))
        assert network(windows.to(dtype)).dtype == torch.float32
    assert encoded.dtype == torch.float32
    assert torch.equal(encoded, exact)


@pytest.mark.parametrize(("heads", "classes"), [(1, 2), (4, 3), (8, 10)])
def test_a_classifier_makes_a_logit_of_each_class(heads: int, classes: int) -> None:
    network = classifier(num_heads=heads, num_classes=classes)
    assert network(torch.randn(5, 6, 3)).shape == (5, classes)


def test_classifying_what_was_encoded_is_classifying_windows() -> None:
    network, windows = classifier(), torch.randn(5, 6, 3)
    assert torch.equal(network.classify(network.encoder(windows)), network(windows))


def test_every_time_step_is_encoded_from_both_sides() -> None:
    network, windows = encoder(), torch.randn(1, 12, 3)
    before = network(windows)
    windows[0, 6] += 1.0
    moved = (network(windows) != before).view(12, 2, 8).any(dim=2)
    assert moved[:, 0].tolist() == [False] * 6 + [True] * 6
    assert moved[:, 1].tolist() == [True] * 7 + [False] * 5


def test_windows_of_a_batch_do_not_see_each_other() -> None:
    network, windows = classifier(), torch.randn(6, 7, 3)
    alone = torch.cat([network(window[None]) for window in windows])
    assert torch.allclose(network(windows), alone, atol=1e-5)


def test_dropout_is_for_training_alone() -> None:
    network, windows = classifier(dropout=0.5, num_layers=2), torch.randn(6, 7, 3)
    assert torch.equal(network(windows), network(windows))
    network.train()
    assert not torch.equal(network(windows), network(windows))
    assert not torch.equal(network.encoder(windows), network.encoder(windows))


def test_one_layer_with_dropout_is_nothing_to_warn_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder(dropout=0.5, num_layers=1)


@pytest.mark.parametrize(("hidden", "heads"), [(8, 3), (4, 8), (9, 2)])
def test_heads_share_the_hidden_size_and_must_divide_it(hidden: int, heads: int) -> None:
    with pytest.raises((AssertionError, ValueError), match="divisible"):
        classifier(hidden_size=hidden, num_heads=heads)


def test_more_heads_look_differently_at_the_same_weights() -> None:
    one, four = (AttentionPooling(16, 8, heads).eval() for heads in (1, 4))
    four.load_state_dict(one.state_dict())
    encoded = torch.randn(5, 9, 16)
    assert not torch.allclose(one(encoded), four(encoded), atol=1e-6)


def test_pooling_weighs_all_time_steps_whatever_their_order() -> None:
    pooling, encoded = AttentionPooling(16, 8, 2).eval(), torch.randn(5, 9, 16)
    pooled = pooling(encoded)
    assert pooled.shape == (5, 8)
    assert torch.allclose(pooling(encoded[:, torch.randperm(9)]), pooled, atol=1e-6)
    for step in range(9):
        changed = encoded.clone()
        changed[:, step] += 1.0
        assert (pooling(changed) != pooled).any(dim=1).all()


def test_a_normalised_window_has_mean_0_and_deviation_1_over_all_its_values() -> None:
    seen = normalized(some_windows(), "window").flatten(1)
    assert torch.allclose(seen.mean(dim=1), torch.zeros(4), atol=1e-4)
    assert torch.allclose(seen.std(dim=1, correction=0), torch.ones(4), atol=1e-4)


def test_normalising_keeps_what_channels_are_to_each_other() -> None:
    windows = torch.randn(10, 20, 3) * torch.tensor([1.0, 2.0, 4.0]) + torch.tensor([0.0, 5.0, 9.0])
    seen = normalized(windows, "window")
    for before, after in zip(windows, seen, strict=True):
        slopes = (after - after[0, 0]) / (before - before[0, 0])
        finite = slopes[slopes.isfinite()]
        assert torch.allclose(finite, finite.mean().expand_as(finite), rtol=1e-2)
        assert finite.mean() > 0


def test_level_and_size_of_a_window_are_not_seen() -> None:
    windows = torch.randn(4, 20, 3)
    moved = normalized(windows * 30.0 + 7.0, "window")
    assert torch.allclose(moved, normalized(windows, "window"), atol=1e-4)


CONSTANTS = [0.0, 1.0, -0.1, 417.13, 123456.78, 1e-30, 1e20]


@pytest.mark.parametrize("value", CONSTANTS)
def test_a_constant_window_stays_finite_and_leaves_others_alone(value: float) -> None:
    windows = torch.randn(3, 105, 4)
    expected = normalized(windows, "window")[[0, 2]]
    windows[1] = value
    seen = normalized(windows, "window")
    assert seen.isfinite().all()
    assert torch.equal(seen[[0, 2]], expected)


@pytest.mark.parametrize("value", CONSTANTS)
def test_a_constant_window_is_seen_as_small_in_any_batch(value: float) -> None:
    for count in (1, 2, 5, 64):
        assert normalized(torch.full((count, 105, 4), value), "window").abs().max() <= 1.01


def test_without_normalising_windows_are_as_they_came() -> None:
    windows = some_windows()
    assert torch.equal(normalized(windows, "none"), windows)


@pytest.mark.parametrize("layers", [1, 2, 12])
def test_each_parameter_of_the_lstm_is_in_one_layer(layers: int) -> None:
    network = encoder(num_layers=layers)
    found: dict[int, int] = {}
    for name, parameter in network.lstm.named_parameters():
        layer = network.layer_of(name)
        found[layer] = found.get(layer, 0) + parameter.numel()
    per_direction = 4 * 8 * (8 + 2)
    assert found == {
        layer: 2 * (per_direction + 4 * 8 * (3 if layer == 0 else 16)) for layer in range(layers)
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channels": 0}, "channels"),
        ({"channels": 10**9}, "channels"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"hidden_size": 10**9}, "hidden_size"),
        ({"num_layers": 0}, "num_layers"),
        ({"num_layers": 17}, "num_layers"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout"),
        ({"normalize": "batch"}, "normalize"),
        ({"bidirectional": False}, "bidirectional"),
    ],
)
def test_a_shape_that_no_encoder_has_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        EncoderShape(**{**GOOD, **change})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"num_heads": 0}, "num_heads"),
        ({"dropout": 1}, "dropout"),
    ],
)
def test_a_shape_that_no_classifier_has_is_refused(change: dict[str, Any], field: str) -> None:
    good = {"encoder": GOOD, "num_heads": 2, "num_classes": 2, "dropout": 0.0}
    assert ClassifierShape.model_validate(good)
    with pytest.raises(ValidationError) as caught:
        ClassifierShape.model_validate({**good, **change})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]
