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


def test_a_folder_stays_as_it_was_written() -> None:
    assert as_given(Path("s3/results")) == "s3/results"


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
