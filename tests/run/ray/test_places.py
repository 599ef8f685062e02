"""Which nodes are lost, by what Ray lists and by whether their raylets answer."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StoreError
from phasetune.plan.trial import Run
from phasetune.run.ray.places import Place, is_lost, request_at
from phasetune.run.request import RunRequest, WorkloadRequest
from phasetune.study.schema import Numerics

PLACE = Place(node="1f", address="10.0.0.2", host="gpu-2", actor="3d")


@pytest.fixture
def raylet() -> Iterator[int]:
    """The port of something that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def listed(*, port: int, is_alive: bool = True, node: str = "1f") -> dict[str, Any]:
    return {
        "NodeID": node,
        "Alive": is_alive,
        "NodeManagerAddress": "127.0.0.1",
        "NodeManagerPort": port,
    }


def test_a_node_is_lost_when_ray_says_so_or_knows_it_no_more(raylet: int) -> None:
    assert not is_lost("1f", [listed(port=raylet)])
    assert is_lost("1f", [listed(port=raylet, is_alive=False)])
    assert is_lost("1f", [listed(port=raylet, node="2e")])


def test_a_node_is_lost_before_ray_knows_when_its_raylet_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert is_lost("1f", [listed(port=port)])


def test_a_place_reads_back_and_is_shown_by_name_and_address() -> None:
    assert Place.read(PLACE.content()) == PLACE
    assert PLACE.shown == "gpu-2 (10.0.0.2)"


@pytest.mark.parametrize(
    "content",
    [None, {}, {"node": "1f"}],
    ids=["nothing", "unknown", "half"],
)
def test_what_is_no_place_is_none(content: dict[str, Any] | None) -> None:
    assert Place.read(content) is None


def planned(root: Path, *, uri: str | None = None) -> RunRequest:
    workload = WorkloadRequest(
        path="w", sources=(), folders=(), code="", data={}, numerics=Numerics(),
        working_directory=str(root),
    )  # fmt: skip
    run = Run(key="k", stage="s", function="w:s", params={}, seed=0, fold=None, parent=None)
    return RunRequest(
        run=run, parent_stage=None, label="run k", point={}, workload=workload, results=root,
        study="one", attempt=root / "one" / "0001", stall_timeout_seconds=None, uri=uri,
    )  # fmt: skip


def test_a_node_that_does_not_see_the_results_is_named_and_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the node gpu-2 \(10\.0\.0\.2\) does not see .*/0001"):
        request_at(PLACE, planned(tmp_path))
    assert not list(tmp_path.iterdir())
    (tmp_path / "one" / "0001").mkdir(parents=True)
    assert request_at(PLACE, planned(tmp_path)) == planned(tmp_path)


def test_a_node_that_does_not_reach_the_uri_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path))
    with pytest.raises(StoreError, match=r"the node gpu-2 \(10\.0\.0\.2\): "):
        request_at(PLACE, planned(tmp_path, uri="nowhere://bucket/x"))
