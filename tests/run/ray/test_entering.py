"""A cluster that is lost while a study enters it is left again, and told; no Ray takes part."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import StudyMaker
from phasetune import StoreError
from phasetune.run.ray import backend, watch
from phasetune.run.ray.backend import RayBackend
from phasetune.run.ray.head import HeadWatch
from phasetune.run.ray.placement import Placement


def test_a_head_that_is_lost_before_the_first_look_is_one_sentence(
    scripted_study: StudyMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    silent = HeadWatch("head:1", joined="one", cluster=lambda _: "one", silence=lambda _: "refused")

    @contextmanager
    def joined(address: str) -> Iterator[None]:
        happened.append(f"joined {address}")
        try:
            yield
        finally:
            happened.append("left")

    def look(_: Placement) -> None:
        raise ConnectionError("socket closed")

    monkeypatch.setattr(backend, "cluster", joined)
    monkeypatch.setattr(Placement, "look", look)
    monkeypatch.setattr(watch, "_heads", [silent])
    monkeypatch.setattr(watch, "_lost_head", threading.Event())
    entered = RayBackend(
        scripted_study(), log=tmp_path / "ray.log", address="head:1", max_concurrent=None
    )
    with pytest.raises(StoreError, match="the head of the Ray cluster at head:1 is lost since"):
        entered.__enter__()
    assert happened == ["joined head:1", "left"]
