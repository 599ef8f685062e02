"""A study through Ray whose results, checkpoints and Tune's own files lie on an object store."""

from pathlib import Path

import pytest

from conftest import TESTS
from machines import on
from object_store import ObjectServer
from phasetune import StoreError, Study, analysis, restore_tuner, run_study
from phasetune.run.interrupt import Interrupted
from scripted import PAUSE
from stored import StopsAt

pytestmark = pytest.mark.ray

STUDY = Study.model_validate(
    {
        "name": "shared",
        "workload": "scripted",
        "import_from": [str(TESTS)],
        "seed": 11,
        "params": {"prepare": {"steps": 2}, "train": {"steps": 4}},
        "objective": {"metric": "score"},
        "phases": [{"name": "value", "grid": {"train.value": [0.2, 0.6]}}],
        "final": {"refit": False, "test": False},
    }
)


def test_a_study_through_ray_goes_on_on_another_machine(
    object_server: ObjectServer, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasetune.store.lease_places.SETTLE_SECONDS", 0.0)
    monkeypatch.setenv(PAUSE, "0.3")
    plain = run_study(STUDY, results=tmp_path / "plain", in_process=True)
    uri = f"{bucket}/results"
    with on(tmp_path / "first"), pytest.raises(Interrupted):
        run_study(STUDY, results=uri, listener=StopsAt(4))
    names = object_server.names(f"{uri}/shared/phases/value/attempts/0002")
    assert any("/checkpoint_" in name for name in names)
    with on(tmp_path / "second"):
        outcome = run_study(STUDY, results=uri)
        assert outcome.paths.report.read_bytes() == plain.paths.report.read_bytes()
        assert any(run["resumed"] for run in outcome.result.account.executed)
        frame = analysis(uri, "value").dataframe()
        assert set(frame["score"]) <= {0.2, 0.6}
        with pytest.raises(StoreError, match=f"can't be restored from {uri}: who can write"):
            restore_tuner(uri, "value")
        _hold_no_secret(uri, object_server, outcome.paths.root.parent)


def _hold_no_secret(uri: str, server: ObjectServer, root: Path) -> None:
    from phasetune.store.remote.mirror import mirror_of

    found = mirror_of(root)
    assert found is not None
    secret = server.environment["AWS_SECRET_ACCESS_KEY"]
    contents = [found.objects.read(name) or b"" for name in found.objects.sizes()]
    assert contents
    for text in (secret.encode(), secret.encode().hex().encode()):
        assert not [content for content in contents if text in content]
