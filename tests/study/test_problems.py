from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from phasetune.study.problems import describe, dotted, model_in, suggestion
from phasetune.study.reading import Document


class Inner(BaseModel):
    rate: float = 0.1


@pytest.mark.parametrize(
    ("unknown", "known", "text"),
    [
        ("raet", ["rate", "heads"], "; did you mean 'rate'?"),
        ("zzz", ["rate", "heads"], "; known: heads, rate"),
        ("zzz", [], ""),
    ],
)
def test_suggestions(unknown: str, known: list[str], text: str) -> None:
    assert suggestion(unknown, known) == text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (("a", 0, "b.c"), "a.0.b.c (f:2): is wrong"),
        (("x",), "x: is wrong"),
        ((), "study: is wrong"),
    ],
)
def test_sentences(path: tuple[str | int, ...], sentence: str) -> None:
    document = Document(content={}, places={("a",): "f:2", (): "f:1"})
    assert describe(path, "is wrong", document) == sentence


def test_a_path_reads_like_an_override() -> None:
    assert dotted(("phases", 0, "grid", "fit.rate")) == "phases.0.grid.fit.rate"


@pytest.mark.parametrize(
    ("annotation", "model"),
    [
        (Inner, Inner),
        (Inner | None, Inner),
        (tuple[Inner, ...], Inner),
        (dict[str, list[Inner]], Inner),
        (int | None, None),
        (Path, None),
    ],
)
def test_models_inside_annotations(annotation: Any, model: type[BaseModel] | None) -> None:
    assert model_in(annotation) is model
