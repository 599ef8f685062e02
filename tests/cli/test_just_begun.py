"""A study of which nothing is there but the lease of its driver is seen, and can be stopped."""

from dataclasses import replace

import pytest

from cli.conftest import phasetune
from phasetune.store.driver_lock import driver_place
from phasetune.store.owner import Owner
from phasetune.store.paths import results_at
from shared_storage import mounted_results as mounted_results
from shared_storage import shared_results as shared_results

ELSEWHERE = replace(Owner.of_this_process(), boot="another", host="node7")


@pytest.fixture
def results(shared_results: str) -> str:
    """Results in which a driver of another machine came a moment ago for the study `new`."""
    place = driver_place(results_at(shared_results), "new")
    place.look()
    assert place.claim(ELSEWHERE.content + b"token 000000000001 1234567890.250\n")
    return shared_results


@pytest.mark.parametrize("study", [(), ("--study", "new")], ids=["any", "named"])
def test_its_driver_is_told(study: tuple[str, ...], results: str) -> None:
    said = phasetune("status", results, *study)
    assert (said.code, said.err) == (0, "")
    assert "new perhaps running" in said.words
    said = phasetune("stop", results, *study, "--wait", "0")
    assert said.code == 1
    assert "Study new is run by pid" in said.words
    assert "Its machine, node7, may be gone" in said.err


def test_a_driver_that_left_nothing_is_none(results: str) -> None:
    place = driver_place(results_at(results), "new")
    place.look()
    place.release(b"token")
    said = phasetune("status", results)
    assert said.code == 2
    assert "holds no study" in said.err
