"""A study through Ray whose results, checkpoints and Tune's own files lie on an object store."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from object_store import ObjectServer
from uri_through_ray import begin_and_end

pytestmark = pytest.mark.ray


def test_a_study_through_ray_goes_on_on_another_machine(
    object_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        process.submit(begin_and_end, object_server, f"{bucket}/results", tmp_path).result()
