"""A study through Ray at a URI, in two parts: what one machine begins, another one ends.

For a process of its own: the workers of a cluster that runs already don't know the storage.
"""

import os
from pathlib import Path

import pytest

from conftest import TESTS
from machines import on
from object_store import ObjectServer
from phasetune import StoreError, Study, StudyOutcome, analysis, restore_tuner, run_study
from phasetune.run.interrupt import Interrupted
from phasetune.store import lease_places
from phasetune.store.remote.mirror import mirror_of
from scripted import PAUSE
from stored import StopsAt

STUDY = Study.model_validate(
    {
        "name": "shared",
        "workload": "scripted",
        "import_from": [str(TESTS)],
        "seed": 11,
        "params": {"prepare": {"steps": 2}, "train": {"steps": 20}},
        "objective": {"metric": "score"},
        "phases": [{"name": "value", "grid": {"train.value": [0.2, 0.6]}}],
        "final": {"refit": False, "test": False},
    }
)


def begin_and_end(server: ObjectServer, uri: str, folder: Path) -> None:
    """Raises AssertionError, which the test sees.

    A run takes longer than the two seconds after which a worker looks whether it is to stop.
    """
    lease_places.SETTLE_SECONDS = 0.0
    plain = run_study(STUDY, results=folder / "plain", in_process=True)
    os.environ[PAUSE] = "0.3"
    with on(folder / "first"), pytest.raises(Interrupted):
        run_study(STUDY, results=uri, listener=StopsAt(4))
    names = server.names(f"{uri}/shared/phases/value/attempts/0002")
    assert any("/checkpoint_" in name for name in names)
    with on(folder / "second"):
        outcome = run_study(STUDY, results=uri)
        assert outcome.paths.report.read_bytes() == plain.paths.report.read_bytes()
        assert any(run["resumed"] for run in outcome.result.account.executed)
        _readers(uri)
        _holds_no_secret(server, outcome)


def _readers(uri: str) -> None:
    frame = analysis(uri, "value").dataframe()
    assert set(frame["score"]) <= {0.2, 0.6}
    with pytest.raises(StoreError, match=f"can't be restored from {uri}: who can write"):
        restore_tuner(uri, "value")


def _holds_no_secret(server: ObjectServer, outcome: StudyOutcome) -> None:
    found = mirror_of(outcome.paths.root.parent)
    assert found is not None
    secret = server.environment["AWS_SECRET_ACCESS_KEY"]
    contents = [found.objects.read(name) or b"" for name in found.objects.sizes()]
    assert contents
    for text in (secret.encode(), secret.encode().hex().encode()):
        assert not [content for content in contents if text in content]
