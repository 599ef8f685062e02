"""How results are named: URIs, folders, and what was written in an odd way."""

from pathlib import Path

import pytest

from phasetune.errors import StoreError
from phasetune.store.paths import results_at
from phasetune.store.remote.uris import as_given, checked_uri, is_uri, joined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("s3://bucket/folder", True, id="s3"),
        pytest.param("gs://bucket", True, id="a bucket alone"),
        pytest.param("abfss://box@account.dfs.core.windows.net/x", True, id="a user name"),
        pytest.param("file:///data/results", False, id="a file URI is a folder"),
        pytest.param("results", False, id="relative"),
        pytest.param("/data/s3:/results", False, id="a folder with a colon"),
        pytest.param("C://results", False, id="one letter is a drive"),
    ],
)
def test_what_is_a_uri(text: str, expected: bool) -> None:
    assert is_uri(text) is expected


@pytest.mark.parametrize("uri", ["s3://bucket/a/b", "gs://bucket", "file:///data/x"])
def test_a_uri_that_became_a_path_is_one_again(uri: str) -> None:
    assert as_given(Path(uri)) == uri


@pytest.mark.parametrize(
    "folder", ["s3/results", "./s3:/results", "/data/s3:/results", "adls3:/x", "s3"]
)
def test_a_folder_stays_as_it_was_written(folder: str) -> None:
    assert as_given(folder) == folder


def test_a_slash_too_few_is_no_folder() -> None:
    assert as_given("s3:/bucket/x") == "s3://bucket/x"
    assert as_given("file:/data/x") == "file:///data/x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("s3://b/x/", "s3://b/x", id="slash at the end"),
        pytest.param("S3://b/X", "s3://b/X", id="scheme in capitals"),
        pytest.param("s3://b/?region=eu", "s3://b?region=eu", id="slash before a query"),
        pytest.param("s3://b/a%20b", "s3://b/a%20b", id="percents stay"),
        pytest.param("gs://anonymous@b/x", "gs://anonymous@b/x", id="a name without password"),
    ],
)
def test_a_uri_is_written_one_way(text: str, expected: str) -> None:
    assert checked_uri(text) == expected


def test_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(StoreError, match=r"carries a password.* AWS_SECRET_ACCESS_KEY") as refused:
        results_at("s3://me:hunter2@bucket/x")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        "client_secret=hunter2",
        "sig=hunter2",
        "region=eu&access_key=hunter2",
        "region=eu;sig=hunter2",
        "client%5Fsecret=hunter2",
        "hunter2=",
        "nonsense=1",
    ],
)
def test_a_query_says_nothing_but_what_is_known_to_be_harmless(query: str) -> None:
    with pytest.raises(StoreError, match=r"the URI s3://b/x says '.*' in its query") as refused:
        results_at(f"s3://b/x?{query}")
    assert "=hunter2" not in str(refused.value)


def test_what_is_harmless_may_be_said() -> None:
    uri = "s3://b/x?region=eu&scheme=http&endpoint_override=localhost%3A9000"
    assert checked_uri(uri) == uri


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "gs://?project_id=p"])
def test_a_uri_without_a_bucket_is_refused(uri: str) -> None:
    with pytest.raises(StoreError, match=r"names no bucket; write .*://BUCKET/FOLDER"):
        results_at(uri)


def test_a_space_is_refused() -> None:
    with pytest.raises(StoreError, match="write %20 instead"):
        results_at("s3://bucket/my results")


def test_names_come_before_a_query() -> None:
    assert joined("s3://b/x?region=eu", "store/a") == "s3://b/x/store/a?region=eu"
    assert joined("s3://b/x", "") == "s3://b/x"


def test_a_file_uri_is_its_folder(tmp_path: Path) -> None:
    assert results_at(f"file://{tmp_path}/my%20results").root == tmp_path / "my results"


def test_a_file_uri_of_another_machine_is_refused() -> None:
    with pytest.raises(StoreError, match="names a folder of a machine called 'server'"):
        results_at("file://server/results")
