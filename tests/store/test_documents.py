import math
from pathlib import Path
from typing import Any

import pytest

from phasetune.errors import StoreError
from phasetune.store.documents import (
    document_digest,
    document_text,
    numbers,
    read_document,
    write_document,
)
from phasetune.store.remote.mirror import bring, open_mirror


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "{}\n"),
        ({"b": 1, "a": 0.1}, '{\n  "a": 0.1,\n  "b": 1\n}\n'),
        ({"a": (1, [2.0])}, '{\n  "a": [\n    1,\n    [\n      2.0\n    ]\n  ]\n}\n'),
        ({"é": None}, '{\n  "\\u00e9": null\n}\n'),
        ({"a": math.nan, "b": -math.inf}, '{\n  "a": "nan",\n  "b": "-inf"\n}\n'),
    ],
)
def test_equal_content_is_written_with_equal_bytes(content: Any, text: str) -> None:
    assert document_text(content) == text
    assert document_text(dict(reversed(content.items()))) == text


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": (1, 2)}, {"a": [1, 2]}, True),
        ({"a": math.nan}, {"a": math.nan}, True),
        ({"a": 0.1 + 0.2}, {"a": 0.3}, False),
        ({"a": math.inf}, {"a": math.nan}, False),
        ({"a": None}, {}, False),
    ],
)
def test_a_digest_says_whether_documents_say_the_same(one: Any, other: Any, equal: bool) -> None:
    assert (document_digest(one) == document_digest(other)) is equal


def test_a_document_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "made" / "document.json"
    write_document(path, {"a": 1, "b": [0.5]})
    before = path.stat()
    write_document(path, {"b": (0.5,), "a": 1})
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_document(path, {"a": 2})
    assert path.stat().st_ino != before.st_ino
    assert read_document(path) == {"a": 2}


def test_a_document_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_document(tmp_path / "missing.json") is None
    assert read_document(tmp_path / "no" / "folder.json") is None


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe", b"[" * 100_000])
def test_a_torn_document_is_told_with_its_path_and_the_way_out(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "torn.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"torn\.json can't be read: .*move it away and run again"):
        read_document(path)


@pytest.mark.parametrize("content", ["[]", "null", "1"])
def test_a_document_must_be_an_object(tmp_path: Path, content: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"list\.json must hold a JSON object"):
        read_document(path)


def test_metrics_come_back_as_the_numbers_they_were(tmp_path: Path) -> None:
    metrics = {"a": 0.1, "b": -math.inf, "c": 1e300, "d": 2}
    write_document(tmp_path / "metrics.json", {**metrics, "e": math.nan})
    back = numbers(read_document(tmp_path / "metrics.json") or {})
    assert math.isnan(back.pop("e"))
    assert back == metrics


def test_a_torn_document_at_a_uri_is_named_and_deleted_there(bucket: str) -> None:
    mirror = open_mirror(f"{bucket}/results")
    path = mirror.root / "s/plan.json"
    for content in (b"{torn", b"[]"):
        mirror.objects.write("s/plan.json", content)
        bring(path)
        with pytest.raises(StoreError, match="; delete it there and run again") as told:
            read_document(path)
        assert str(told.value).startswith(f"{bucket}/results/s/plan.json ")
    mirror.objects.delete("s/plan.json")
    mirror.refresh()
    assert read_document(path) is None
