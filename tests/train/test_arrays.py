"""Arrays from files: what numpy wrote is read, and whatever else lies there is refused in words."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phasetune.errors import StageError
from phasetune.train.arrays import array_header, read_array

X = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
Y = np.array([0, 1, 2, 1, 0])
MIB = 1 << 20
Read = Callable[[Path, str], object]
Save = Callable[..., None]

both_formats = pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
both_ways = pytest.mark.parametrize("read", [array_header, read_array])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.npz"


def header(shape: str = "(2,)", descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


def npy(text: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """The bytes of an array's file, whatever its header says."""
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text.encode("latin1") + content


def write(path: Path, member: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("X.npy", member)


def forge(path: Path, field: int, value: bytes) -> None:
    """Overwrite a field of the member's own header, and of its entry in the directory."""
    content = bytearray(path.read_bytes())
    for at in (field, content.index(b"PK\x01\x02") + field + 2):
        content[at : at + len(value)] = value
    path.write_bytes(content)


@contextmanager
def less_than_a_mib() -> Iterator[None]:
    """What is within the block may allocate no more."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


@both_formats
@pytest.mark.parametrize(
    "array",
    [X, np.asfortranarray(X), X.astype(">f8"), Y, X[:0], np.array(3.5), np.zeros(MIB)],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_what_numpy_saves_is_read_as_it_was(save: Save, array: NDArray[Any], path: Path) -> None:
    save(path, X=array, other=Y)
    found = read_array(path, "X")
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    told = array_header(path, "X")
    assert (told.dtype, told.shape, told.num_bytes) == (array.dtype, array.shape, array.nbytes)


def test_the_second_format_is_read(path: Path) -> None:
    write(path, npy(header(), bytes(8), version=(2, 0)))
    assert np.array_equal(read_array(path, "X"), np.zeros(2, dtype=np.float32))


def test_a_header_is_known_without_the_array(path: Path) -> None:
    np.savez_compressed(path, X=np.zeros(4 * MIB, dtype=np.uint8))
    with less_than_a_mib():
        assert array_header(path, "X").shape == (4 * MIB,)
    with pytest.raises(AssertionError), less_than_a_mib():
        read_array(path, "X")


@both_ways
def test_a_missing_file_is_an_os_error(read: Read, path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"train\.npz"):
        read(path, "X")


def whole() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, X=X)
    return buffer.getvalue()


@both_ways
@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", npy(header(), bytes(8)), pickle.dumps(X), whole()[:-1], whole()[:150]],
    ids=["empty", "text", "npy", "pickle", "cut at its end", "cut in the middle"],
)
def test_what_is_no_archive_is_refused(read: Read, content: bytes, path: Path) -> None:
    path.write_bytes(content)
    expected = r"train\.npz must be an \.npz file, as numpy\.savez writes it, but: \w+"
    with pytest.raises(StageError, match=expected):
        read(path, "X")


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self._made = os.mkdir, (str(path),)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made


@both_ways
@both_formats
@pytest.mark.parametrize("dtype", [object, [("number", "<f4"), ("thing", object)]], ids=str)
def test_pickled_objects_are_never_loaded(
    read: Read, save: Save, dtype: Any, path: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "loaded"
    array = np.zeros(1, dtype=dtype)
    array[0] = Canary(canary) if dtype is object else (1.0, Canary(canary))
    save(path, X=array, y=Y)
    with pytest.raises(StageError, match="'X' holds pickled Python objects, which are never load"):
        read(path, "X")
    assert np.array_equal(read_array(path, "y"), Y)
    assert not canary.exists()
    np.load(path, allow_pickle=True)["X"]
    assert canary.exists()


FORGED: dict[str, tuple[str | bytes, str]] = {
    "terabytes": (header("(1099511627776,)"), r"shape \[1099511627776\], 4398046511104 bytes, but"),
    "a row more": (header("(3,)"), r"shape \[3\], 12 bytes, but the archive holds 8; .* forged"),
    "a row less": (header("(1,)"), r"shape \[1\], 4 bytes, but the archive holds 8; .* forged"),
    "negative": (header("(-2,)"), r"shape \[-2\], -8 bytes, but the archive holds 8; .* forged"),
    "twice negative": (header("(-1, -2)"), r"shape \[-1, -2\], 8 bytes, but .* is forged"),
    "no type": (header(descr="'zz'"), "can't be read: descr is not a valid dtype"),
    "no dictionary": ("[1, 2]", "can't be read: Header is not a dictionary"),
    "code": ("__import__('os').abort()", "can't be read: "),
    "no array": (b"some text", "can't be read: the magic string is not correct"),
    "format 9": (b"\x93NUMPY\x09\x09", r"can't be read: its format \(9, 9\) is not known"),
    "too long": (" " * 20000, "can't be read: "),
    # Each of these makes numpy's parser, or writing the message, raise something else.
    "unclosed": (header()[:-5], ""),
    "unhashable": ("{[]: 1}", ""),
    "empty type": (header(descr="()"), ""),
    "nested": ("-" * 9000 + "1", ""),
    "digits": (header(f"(0x{'f' * 6000},)"), ""),
    "negative digits": (header(f"(-0x{'f' * 6000},)"), ""),
    "digits of the product": (header(f"({'0x1fffffffffffffff, ' * 450})"), ""),
}


@both_ways
@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_header_is_refused_before_anything_is_allocated(
    read: Read, forged: str, path: Path
) -> None:
    member, problem = FORGED[forged]
    write(path, member if isinstance(member, bytes) else npy(member, bytes(8)))
    with less_than_a_mib(), pytest.raises(StageError, match=rf"npz: array 'X' .*{problem}"):
        read(path, "X")


@pytest.mark.parametrize(("shape", "held"), [(f"(0, {2**70})", 0), ("(True,)", 4)])
def test_a_shape_that_no_array_can_have_is_refused(shape: str, held: int, path: Path) -> None:
    write(path, npy(header(shape), bytes(held)))
    with pytest.raises(StageError, match="array 'X'"):
        read_array(path, "X")


@both_ways
def test_a_long_header_is_not_even_unpacked(read: Read, path: Path) -> None:
    write(path, npy(" " * 16 * MIB, version=(2, 0)), zipfile.ZIP_DEFLATED)
    with less_than_a_mib(), pytest.raises(StageError, match="array 'X' can't be read: "):
        read(path, "X")


@both_ways
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_forged_in_the_directory_are_refused_before_anything_is_allocated(
    read: Read, compression: int, path: Path
) -> None:
    text = header(f"({64 * MIB},)")
    size = struct.pack("<I", len(npy(text)) + 256 * MIB)
    write(path, npy(text, bytes(8)), compression)
    forge(path, 22, size)
    with pytest.raises(StageError, match="compressed ones, which can't be; the file is forged"):
        read(path, "X")
    forge(path, 18, size)
    with less_than_a_mib(), pytest.raises(StageError, match="array 'X'"):
        read(path, "X")


@both_ways
def test_what_is_stored_is_as_large_as_it_is_packed(read: Read, path: Path) -> None:
    text = header(f"({4 * MIB},)")
    write(path, npy(text, bytes(MIB)))
    forge(path, 22, struct.pack("<I", len(npy(text)) + 16 * MIB))
    with less_than_a_mib(), pytest.raises(StageError, match="array 'X'"):
        read(path, "X")


@both_ways
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused(read: Read, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for value in (b"\0", b"\1"):
            archive.writestr("X.npy", npy(header(), 8 * value))
    with pytest.raises(StageError, match="holds several arrays 'X'; the file is forged"):
        read(path, "X")


@both_ways
@pytest.mark.parametrize(("field", "value", "problem"), [(6, 1, "encrypted"), (8, 99, "compress")])
def test_what_can_t_be_unpacked_is_refused(
    read: Read, field: int, value: int, problem: str, path: Path
) -> None:
    np.savez(path, X=X)
    forge(path, field, struct.pack("<H", value))
    with pytest.raises(StageError, match=f"array 'X' .*{problem}"):
        read(path, "X")


@both_ways
def test_more_than_the_machine_has_is_refused(
    read: Read, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(path, X=X)
    monkeypatch.setattr(os, "sysconf", lambda name: 15)
    with pytest.raises(StageError, match=r"array 'X' needs 240 bytes, but this machine has 225$"):
        read(path, "X")
    monkeypatch.setattr(os, "sysconf", lambda name: 16)
    read(path, "X")


@pytest.mark.parametrize("compression", ["STORED", "DEFLATED", "BZIP2", "LZMA"])
def test_damage_far_behind_the_header_is_refused(compression: str, path: Path) -> None:
    content = np.random.default_rng(0).bytes(MIB)
    write(path, npy(header(f"({MIB // 4},)"), content), getattr(zipfile, f"ZIP_{compression}"))
    damaged = bytearray(path.read_bytes())
    damaged[95 * len(damaged) // 100] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(StageError, match=r"train\.npz: array 'X' \w+"):
        read_array(path, "X")


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(random.integers(1, 4)):
        at, count = int(random.integers(len(changed))), int(random.integers(1, 30))
        old, new = [(1, 1), (0, count), (count, 0), (count, count)][random.integers(4)]
        changed[at : at + old] = random.bytes(new)
    return bytes(changed)


@both_formats
def test_whatever_happens_to_a_file_it_is_read_as_it_was_or_refused(save: Save, path: Path) -> None:
    save(path, X=X, y=Y)
    random, saved, num_read = np.random.default_rng(0), path.read_bytes(), 0
    for _ in range(300):
        path.write_bytes(mutated(saved, random))
        with suppress(StageError):
            assert np.array_equal(read_array(path, "X"), X)
            assert array_header(path, "X").shape == X.shape
            num_read += 1
    assert 0 < num_read < 300


def test_whatever_a_header_says_it_is_read_or_refused(path: Path) -> None:
    random, num_read = np.random.default_rng(0), 0
    for _ in range(300):
        write(path, mutated(npy(header(), bytes(8)), random))
        with suppress(StageError):
            assert read_array(path, "X").nbytes == array_header(path, "X").num_bytes
            num_read += 1
    assert 0 < num_read < 300
