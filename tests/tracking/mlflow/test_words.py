"""What MLflow takes: names and texts within its limits, never lost silently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from phasetune.tracking.mlflow.words import (
    LONGEST_PARAM,
    LONGEST_TAG,
    WHOLE_TEXTS,
    mlflow_name,
    mlflow_texts,
)


@pytest.mark.parametrize("name", ["accuracy", "fit/val_loss", "class_1_accuracy", "a.b-c d:e"])
def test_a_usual_name_stays(name: str) -> None:
    assert mlflow_name(name) == name


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("top@5", "top_5-"),
        ("../up", "up-"),
        ("/root", "root-"),
        ("a//b", "a_b-"),
        ("", "-"),
        (".", "-"),
        ("n" * 300, "n" * 239 + "-"),
    ],
)
def test_another_name_keeps_a_digest(name: str, begins: str) -> None:
    assert mlflow_name(name).startswith(begins)
    assert len(mlflow_name(name)) == len(begins) + 10


@given(st.text(max_size=400), st.text(max_size=400))
def test_two_names_never_become_one(one: str, other: str) -> None:
    assert (mlflow_name(one) == mlflow_name(other)) == (one == other)


@given(st.text(max_size=400), st.text(max_size=9000))
def test_mlflow_takes_every_name_and_text(name: str, text: str) -> None:
    for longest, validate in ((LONGEST_PARAM, _validate_param), (LONGEST_TAG, _validate_tag)):
        for key, short in mlflow_texts({name: text}, longest=longest).short.items():
            validate(key, short)
    _validate_metric(mlflow_name(name), 1.0, 0, 0)


@given(st.text(st.characters(), max_size=50))
def test_half_characters_and_zero_bytes_can_be_stored(text: str) -> None:
    short = mlflow_texts({"a": f"\0{text}\ud800"}, longest=LONGEST_TAG).short["a"]
    assert "\0" not in short.encode().decode()
    assert short.startswith("\\0")
    assert short.endswith("\\ud800")


def test_a_long_text_is_cut_visibly_and_kept_whole() -> None:
    whole = "x" * 6001
    found = mlflow_texts({"long": whole, "short": "y" * 6000}, longest=LONGEST_PARAM)
    assert found.whole == {"long": whole}
    assert found.short["short"] == "y" * 6000
    assert len(found.short["long"]) == LONGEST_PARAM
    assert f"whole in {WHOLE_TEXTS})" in found.short["long"]
