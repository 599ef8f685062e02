import errno
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasetune.errors import StoreError
from phasetune.store import lines
from phasetune.store.lines import LinesReader, LinesWriter, last_entry, line_text

texts = st.text(max_size=20)
entries = st.lists(
    st.dictionaries(texts, texts | st.integers() | st.none(), max_size=3), max_size=5
)


@given(entries=entries)
def test_what_is_written_is_read(
    entries: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    writer = LinesWriter(path)
    writer.append(entries)
    writer.close()
    assert list(LinesReader(path).new()) == entries


def test_an_entry_is_one_line_without_numbers_that_json_lacks() -> None:
    assert line_text({"a": math.nan, "b": [1, -math.inf], "c": "x\ny"}) == (
        '{"a":"nan","b":[1,"-inf"],"c":"x\\ny"}\n'
    )


def test_a_reader_goes_on_where_it_was(tmp_path: Path) -> None:
    writer, reader = LinesWriter(tmp_path / "a.jsonl"), LinesReader(tmp_path / "a.jsonl")
    assert list(reader.new()) == []
    writer.append([{"a": 1}, {"a": 2}])
    assert reader.waiting_bytes == 16
    assert list(reader.new()) == [{"a": 1}, {"a": 2}]
    assert reader.waiting_bytes == 0
    writer.append([{"a": 3}])
    assert list(reader.new()) == [{"a": 3}]
    later = LinesReader(tmp_path / "a.jsonl", position=8)
    assert list(later.new()) == [{"a": 2}, {"a": 3}]


def test_a_reader_that_leaves_early_goes_on_behind_what_it_took(tmp_path: Path) -> None:
    LinesWriter(tmp_path / "a.jsonl").append([{"a": 1}, {"a": 2}])
    reader = LinesReader(tmp_path / "a.jsonl")
    assert next(reader.new()) == {"a": 1}
    assert reader.position == 8
    assert list(reader.new()) == [{"a": 2}]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_torn_last_line_is_left_and_ended_by_who_appends_next(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' + b'{"a":2}\n'[:-cut])
    reader = LinesReader(path)
    assert list(reader.new()) == [{"a": 1}]
    LinesWriter(path).append([{"a": 3}])
    whole = [{"a": 2}] if cut == 1 else []
    assert list(reader.new()) == [*whole, {"a": 3}]


@pytest.mark.parametrize(
    "line", [b"", b"[1]", b"7", b"nonsense", b"\xff\xfe", b'{"a":', b"[" * 99999]
)
def test_a_line_that_is_no_object_is_passed_over(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line + b'\n{"a":1}\n')
    reader = LinesReader(path)
    assert list(reader.new()) == [{"a": 1}]
    assert reader.waiting_bytes == 0


def test_nothing_is_read_where_no_plain_file_is(tmp_path: Path) -> None:
    assert list(LinesReader(tmp_path).new()) == []
    assert LinesReader(tmp_path / "none").waiting_bytes == 0


def test_a_disk_that_is_full_is_an_error_and_the_next_line_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    writer = LinesWriter(path)
    writer.append([{"a": 1}])
    monkeypatch.setattr(writer, "_file", _Full(path))
    with pytest.raises(OSError, match="No space left") as caught:
        writer.append([{"a": 2}])
    assert caught.value.errno == errno.ENOSPC
    writer.append([{"a": 3}])
    assert list(LinesReader(path).new()) == [{"a": 1}, {"a": 3}]


class _Full:
    """Has room for three bytes more."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, text: bytes) -> int:
        with self.path.open("ab") as file:
            return file.write(text[:3])

    def close(self) -> None:
        return None


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be made"):
        LinesWriter(tmp_path / "file" / "a.jsonl").append([{"a": 1}])


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    LinesWriter(tmp_path / "logs" / "a.jsonl").append([{"a": 1}])
    assert (tmp_path / "logs" / "a.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("", None),
        ('{"a":1}\n', {"a": 1}),
        ('{"a":1}\n{"a":2}\n', {"a": 2}),
        ('{"a":1}\n{"a":2', {"a": 1}),
        ('{"a":1}\n7\n', {"a": 1}),
    ],
)
def test_the_last_whole_entry(tmp_path: Path, text: str, last: object) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    assert last_entry(tmp_path / "a.jsonl") == last


def test_the_last_entry_of_a_long_file_is_found_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    LinesWriter(path).append({"number": number} for number in range(20_000))
    assert path.stat().st_size > 3 * lines._TAIL_BYTES
    assert last_entry(path) == {"number": 19_999}
    assert last_entry(tmp_path / "none") is None
