"""What one machine writes to results at a URI, the others find: whole, brought when needed."""

from pathlib import Path

import pytest

from machines import KEY, on, publish, reader, worker
from object_store import ObjectServer
from phasetune.errors import StoreError
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.costs import mean_seconds
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import remove, withdraw, write_text
from phasetune.store.failures import Failure, FailureStore
from phasetune.store.garbage import collect, garbage
from phasetune.store.kept import kept_checkpoints
from phasetune.store.owner import Owner
from phasetune.store.paths import SEAL, ResultsPaths, results_at
from phasetune.store.remote.mirror import mirror_of, open_mirror, refreshed
from phasetune.store.resume import resume_checkpoints
from phasetune.store.space import size_bytes
from phasetune.store.trunks import trunk_steps

FAILURE = Failure(stage="train", key=KEY, cause="error", message="no")


@pytest.fixture
def uri(bucket: str) -> str:
    return f"{bucket}/results"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def test_an_artifact_is_found_without_its_files_which_come_when_asked(
    uri: str, here: Path, there: Path
) -> None:
    with on(there):
        publish(worker(uri))
    with on(here):
        paths = reader(uri)
        found = ArtifactStore(paths.store).get("train", KEY)
        assert found is not None
        assert found.metrics == {"score": 0.5}
        assert found.history() == [{"step": 1, "loss": 0.1}]
        assert not (found.folder / "files").exists()
        assert (found.files / "model.bin").read_text() == "weights"
        found.verify()


def test_a_worker_finds_what_was_published_after_it_looked(
    uri: str, here: Path, there: Path
) -> None:
    with on(here):
        store = ArtifactStore(worker(uri).store)
        assert store.get("train", KEY) is None
        with on(there):
            publish(worker(uri))
        assert store.get("train", KEY) is not None


def test_a_reader_takes_what_there_was_and_asks_no_more(uri: str, here: Path, there: Path) -> None:
    with on(here):
        store = ArtifactStore(reader(uri).store)
        with on(there):
            publish(worker(uri))
        assert store.get("train", KEY) is None
        assert ArtifactStore(reader(uri).store).get("train", KEY) is not None


def test_a_driver_asks_again_but_not_within_one_look(uri: str, here: Path, there: Path) -> None:
    with on(here):
        paths = reader(uri)
        open_mirror(uri).refresh(driving="s")
        store = ArtifactStore(paths.store)
        with refreshed(paths.store), on(there):
            publish(worker(uri))
            with on(here):
                assert store.get("train", KEY) is None
        assert store.get("train", KEY) is not None


def test_the_first_that_was_published_stays(uri: str, here: Path, there: Path) -> None:
    with on(there):
        first = publish(worker(uri), content="first")
    with on(here):
        second = publish(worker(uri), content="other")
        assert second.manifest == first.manifest
        second.verify()


def test_leftovers_of_a_torn_upload_do_not_count_and_are_replaced(
    uri: str, here: Path, object_server: ObjectServer
) -> None:
    with on(here):
        mirror = open_mirror(uri)
        for name in ("files/model.bin", "files/old.bin"):
            mirror.objects.write(f"store/train/{KEY}/{name}", b"half")
        paths = reader(uri)
        assert ArtifactStore(paths.store).get("train", KEY) is None
        assert mean_seconds(ArtifactStore(paths.store), "train", "f") is None
        publish(paths).verify()
    names = object_server.names(f"{uri}/store/train/{KEY}")
    assert "files/old.bin" not in names
    assert "manifest.json" in names


def test_a_damaged_copy_is_brought_again_and_a_damaged_original_is_told(
    uri: str, here: Path, there: Path
) -> None:
    with on(there):
        publish(worker(uri))
    with on(here):
        found = ArtifactStore(reader(uri).store).get("train", KEY)
        assert found is not None
        (found.files / "model.bin").write_text("WEIGHTS")
        found.verify()
        open_mirror(uri).objects.write(f"store/train/{KEY}/files/model.bin", b"WEIGHTS")
        (found.files / "model.bin").unlink()
        with pytest.raises(StoreError, match=r"model.bin is not what was published"):
            found.verify()


def test_an_original_of_another_size_is_told_without_bringing_it(
    uri: str, here: Path, there: Path
) -> None:
    with on(there):
        publish(worker(uri))
    with on(here):
        open_mirror(uri).objects.write(f"store/train/{KEY}/files/model.bin", b"short")
        with pytest.raises(StoreError, match="must have 7 bytes, but has 5"):
            ArtifactStore(reader(uri).store).get("train", KEY)


def test_what_was_set_aside_is_gone_for_all(uri: str, here: Path, there: Path) -> None:
    with on(there):
        publish(worker(uri))
    with on(here):
        store = ArtifactStore(reader(uri).store)
        first = store.set_aside("train", KEY, reason="damaged")
        publish(reader(uri))
    with on(there):
        second = ArtifactStore(reader(uri).store).set_aside("train", KEY, reason="damaged")
        assert ArtifactStore(reader(uri).store).get("train", KEY) is None
    assert (first.name, second.name) == (f"{KEY}-damaged-1", f"{KEY}-damaged-2")


def test_a_document_is_the_newest_of_all_also_of_the_same_length(
    uri: str, here: Path, there: Path
) -> None:
    with on(here):
        path = reader(uri).root / "s/plan.json"
        write_document(path, {"n": 1})
    with on(there):
        write_document(reader(uri).root / "s/plan.json", {"n": 2})
    with on(here):
        reader(uri)
        assert read_document(path) == {"n": 2}
    with on(there):
        withdraw(reader(uri).root / "s/plan.json")
    with on(here):
        reader(uri)
        assert not path.exists()


def test_failures_are_seen_and_forgotten_elsewhere(uri: str, here: Path, there: Path) -> None:
    with on(here):
        failures = FailureStore(worker(uri).store)
        assert failures.get("train", KEY) is None
        with on(there):
            FailureStore(reader(uri).store).put(FAILURE, "where it failed")
        assert failures.get("train", KEY) == FAILURE
        with on(there):
            FailureStore(reader(uri).store).forget("train", KEY)
        assert failures.get("train", KEY) is None


def test_trunks_of_other_machines_serve(uri: str, here: Path, there: Path) -> None:
    with on(there):
        for step in (2, 5):
            publish(worker(uri), key=f"{KEY}-{step:06d}")
    with on(here):
        assert trunk_steps(ArtifactStore(worker(uri).store), "train", KEY) == [2, 5]


def test_sizes_are_those_at_the_uri(uri: str, here: Path, there: Path) -> None:
    with on(there):
        publish(worker(uri))
    with on(here):
        folder = reader(uri).store / "train" / KEY
        assert size_bytes(folder / "checkpoints") == 500 + 51
        assert size_bytes(folder) > 551 + len("weights") + len("deep")
        assert [kept.epoch for kept in kept_checkpoints(folder / "checkpoints")] == [3]


def checkpoint(paths: ResultsPaths, number: int) -> Path:
    return paths.study("s").phase("p").attempts / f"0001/train-{KEY[:20]}/checkpoint_{number:06d}"


def put_as_tune_does(uri: str, paths: ResultsPaths) -> None:
    """Two checkpoints straight to the URI, of which the second has no seal."""
    mirror = open_mirror(uri)
    for number in (0, 1):
        mirror.objects.write(mirror.name(checkpoint(paths, number) / "state.pt"), b"12345")
    seal = (
        b'{"key": "k", "environment": {}, "step": 4, "elapsed_seconds": 1.5, "notes": {},'
        b' "files": {}, "history": []}'
    )
    mirror.objects.write(mirror.name(checkpoint(paths, 0) / SEAL), seal)


def test_checkpoints_that_tune_uploaded_are_listed_and_removed(
    uri: str, here: Path, object_server: ObjectServer
) -> None:
    with on(here):
        paths = worker(uri)
        put_as_tune_does(uri, paths)
        reader(uri)
        sealed, torn = resume_checkpoints(paths.study("s"))
        assert (sealed.key, sealed.step, sealed.size_bytes > 100) == ("k", 4, True)
        assert (torn.key, torn.size_bytes) == (None, 5)
        assert not (sealed.path / "state.pt").exists()
        for found in (sealed, torn):
            remove(found.path)
        assert resume_checkpoints(paths.study("s")) == []
    assert [n for n in object_server.names(uri) if not n.endswith("/")] == []


def test_garbage_is_found_where_no_copy_is_and_deleted_there(
    uri: str, here: Path, there: Path, object_server: ObjectServer
) -> None:
    with on(there):
        publish(worker(uri))
    open_mirror(uri).objects.write(f"store/train/{KEY[::-1]}/files/torn.bin", b"123")
    with on(here):
        paths = reader(uri)
        found = garbage(paths)
        assert [entry.path.name for entry in found] == [KEY, KEY[::-1]]
        assert [entry.size_bytes for entry in found][1] == 3
        assert collect(found) == sum(entry.size_bytes for entry in found)
        assert garbage(reader(uri)) == []
    assert [n for n in object_server.names(f"{uri}/store") if not n.endswith("/")] == []


def test_documents_of_a_study_that_is_driven_here_stay_as_they_are(uri: str, here: Path) -> None:
    with on(here):
        paths = reader(uri)
        write_text(paths.study("s").study, "name: s")
        write_text(paths.study("other").study, "name: other")
        paths.study("s").driver_lock.write_bytes(Owner.of_this_process().content)
        for name in ("s", "other"):
            mirror_of(paths.root).objects.write(f"{name}/study.yaml", b"name: older")  # type: ignore[union-attr]
        reader(uri)
        assert paths.study("s").study.read_text() == "name: s"
        assert paths.study("other").study.read_text() == "name: older"
        open_mirror(uri).refresh(driving="s")
        assert paths.study("s").study.read_text() == "name: older"


def test_logs_and_what_is_of_this_machine_survive_a_refresh(uri: str, here: Path) -> None:
    with on(here):
        study = reader(uri).study("s")
        study.events.parent.mkdir(parents=True)
        study.events.write_text("line\n")
        study.driver_lock.write_text("")
        reader(uri)
        assert study.events.read_text() == "line\n"
        assert study.driver_lock.exists()
        open_mirror(uri).objects.write("s/logs/events.jsonl", b"line\nline\n")
        reader(uri)
        assert study.events.read_text() == "line\nline\n"


def test_copies_of_bulk_may_go_and_come_again(uri: str, here: Path) -> None:
    with on(here):
        found = publish(reader(uri))
        open_mirror(uri).let_go()
        assert not (found.folder / "files").exists()
        assert (found.folder / "manifest.json").exists()
        found.verify()


def test_copies_stay_while_somebody_else_computes_here(uri: str, here: Path) -> None:
    with on(here):
        paths = reader(uri)
        found = publish(paths)
        paths.study("s").root.mkdir()
        other = Owner.of_this_process().content.replace(b'"pid":', b'"pid": 1, "was":')
        paths.study("s").driver_lock.write_bytes(other)
        open_mirror(uri).let_go()
        is_alive = Owner.of_content(other) is not None and not Owner.of_content(other).is_gone  # type: ignore[union-attr]
        assert (found.folder / "files").exists() is is_alive


def test_results_are_called_by_their_uri(uri: str, here: Path) -> None:
    with on(here):
        assert results_at(uri).shown == uri
