"""A request on another machine than the driver's."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

from machines import KEY, on, publish, reader, worker
from phasetune.run.request import RunRequest
from phasetune.store.artifacts import ArtifactStore


def test_a_worker_knows_what_was_set_aside_of_its_run(bucket: str, tmp_path: Path) -> None:
    here, there, uri = tmp_path / "here", tmp_path / "there", f"{bucket}/results"
    with on(there):
        publish(worker(uri))
    with on(here):
        ArtifactStore(reader(uri).store).set_aside("train", KEY, reason="environment")
    with on(there):
        request = RunRequest.__new__(RunRequest)
        run = SimpleNamespace(stage="train", key=KEY)
        given = {"run": run, "uri": uri, "results": Path("/r"), "attempt": Path("/r/s/1")}
        for field in fields(RunRequest):
            object.__setattr__(request, field.name, given.get(field.name))
        found = request.here()
        assert found.attempt == worker(uri).root / "s/1"
        assert not ArtifactStore(found.paths.store).has("train", KEY)
