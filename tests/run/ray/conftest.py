"""One private Ray cluster for all of these tests: each start costs seconds."""

from collections.abc import Iterator

import pytest

from phasetune.run.ray.session import cluster


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    with cluster(None):
        yield
