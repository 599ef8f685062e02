"""Storage that can't be used is told in one sentence with the way out, and leaves no folder."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from object_store import ObjectServer, serving
from phasetune.errors import StoreError
from phasetune.store.durable import write_text
from phasetune.store.paths import results_at
from phasetune.store.remote import opening
from phasetune.store.remote.mirror import mirror_of, open_mirror


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHASETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refused(uri: str, cache: Path) -> str:
    with pytest.raises(StoreError) as told:
        results_at(uri)
    assert not cache.exists()
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        pytest.param("foo://x/y", "Unrecognized filesystem type.*name a folder", id="scheme"),
        pytest.param("s3://b/x^y", "in percents, such as %20", id="odd letters"),
    ],
)
def test_a_uri_that_names_no_storage(uri: str, says: str, cache: Path) -> None:
    message = refused(uri, cache)
    assert uri in message
    assert re.search(says, message)


@pytest.mark.parametrize("prefix", ["", "/x"], ids=["bucket", "prefix"])
def test_a_bucket_that_is_not_there(object_environment: None, prefix: str, cache: Path) -> None:
    message = refused(f"s3://no-such-bucket{prefix}", cache)
    assert "there is no bucket no-such-bucket; make it, or name another one" in message


def test_a_bucket_without_a_prefix_serves(bucket: str) -> None:
    assert results_at(bucket).uri == bucket
    assert results_at(f"{bucket}/").root == results_at(bucket).root


@pytest.fixture
def strict() -> Iterator[ObjectServer]:
    with serving(asks_for_credentials=True) as server:
        yield server


def test_wrong_credentials(
    strict: ObjectServer, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    for name, value in strict.environment.items():
        monkeypatch.setenv(name, value)
    message = refused("s3://bucket/x", cache)
    assert "see that the credentials are those of the storage" in message
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in message


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_REQUEST_SECONDS", 1)
    monkeypatch.setattr(opening, "_TRIES", 1)


def test_an_address_where_nobody_listens(
    object_environment: None, impatient: None, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody else gets it
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "see that the network and the endpoint" in refused("s3://bucket/x", cache)


def test_an_address_that_never_answers(
    object_environment: None, impatient: None, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert "see that the network and the endpoint" in refused("s3://bucket/x", cache)


def test_an_endpoint_in_the_uri_is_used_and_kept(
    bucket: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    host = object_server.address.removeprefix("http://")
    paths = results_at(f"{bucket}/x?endpoint_override={host}&scheme=http")
    write_text(paths.study("s").study, "name: s")
    assert object_server.names(bucket) == ["x/s/study.yaml"]


def test_a_failed_upload_leaves_nothing_visible(
    bucket: str, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        root = open_mirror(f"{server.make_bucket()}/x").root
        write_text(root / "s/a.json", "{}")
        server.kill()
        with pytest.raises(StoreError, match=r"can't be reached.*no half of it was left there"):
            write_text(root / "s/b.json", "{}")
    assert [path.name for path in (root / "s").iterdir()] == ["a.json"]


def test_a_mirror_whose_marker_is_gone_is_no_plain_folder(cache: Path) -> None:
    lost = cache / "mirrors/0123"
    lost.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"is no mirror of results any more.*delete it"):
        mirror_of(lost / "store")
