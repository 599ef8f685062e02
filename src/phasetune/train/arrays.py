"""Arrays that users hand over as `.npz`: read only after what they declare was checked.

`numpy.load` unpickles nothing when told so, but it believes a header: 128 forged bytes make it ask
for terabytes. Here a member's declared shape must fit what the archive holds and what this machine
has, before anything is allocated.
"""

import math
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phasetune.errors import StageError

_MOST_INFLATION = 1100  # deflate can't do more than 1032 to 1
_LONGEST_HEADER = 10_000  # as numpy itself has it
_LARGEST_SIZE = 1 << 62
_MOST_NAMES = 5
_HEADERS = {
    (1, 0): ("<H", npy.read_array_header_1_0),
    (2, 0): ("<I", npy.read_array_header_2_0),
}


@dataclass(frozen=True, kw_only=True)
class ArrayHeader:
    """What a member of an archive declares."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def array_header(path: Path, name: str) -> ArrayHeader:
    """The shape and type of array `name` in an `.npz` file, without reading it.

    Raises:
        OSError: the file is not there.
        StageError: it is no such archive, lacks the array, or what it declares can't be true.
    """
    with _opened(path) as archive:
        return _checked_header(path, archive, name)


def has_array(path: Path, name: str) -> bool:
    """Whether an `.npz` file holds array `name`.

    Raises:
        OSError, StageError: as for `array_header`.
    """
    with _opened(path) as archive:
        return f"{name}.npy" in archive.namelist()


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Array `name` of an `.npz` file.

    Raises:
        OSError, StageError: as for `array_header`; also where the content is damaged.
    """
    with _opened(path) as archive:
        _checked_header(path, archive, name)
        try:
            with archive.open(f"{name}.npy") as member:
                return npy.read_array(cast(BinaryIO, member), allow_pickle=False)
        except Exception as error:  # whatever unpacking raises on damaged bytes
            raise StageError(f"{path}: array {name!r} is damaged: {_text(error)}") from error


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with path.open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # whatever a forged directory makes of it
            raise StageError(
                f"{path} must be an .npz file, as numpy.savez writes it, but: {error}"
            ) from error
        with archive:
            yield archive


def _checked_header(path: Path, archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    member = f"{name}.npy"
    if member not in archive.namelist():
        raise StageError(f"{path} must hold an array {name!r}, but holds {_held(archive)}")
    if archive.namelist().count(member) > 1:
        raise StageError(f"{path} holds several arrays {name!r}; the file is forged or damaged")
    info = archive.getinfo(member)
    try:
        _refuse_foreign(info, path)
        with archive.open(info) as file:
            header, length = _read_header(cast(BinaryIO, file))
    except Exception as error:  # numpy parses it as Python, and raises as Python
        raise StageError(f"{path}: array {name!r} can't be read: {_text(error)}") from error
    if header.dtype.hasobject:
        raise StageError(
            f"{path}: array {name!r} holds pickled Python objects, which are never loaded; save "
            "plain numbers"
        )
    _refuse_impossible(path, info, name, header, length)
    return header


def _held(archive: zipfile.ZipFile) -> str:
    names = sorted(entry.removesuffix(".npy") for entry in archive.namelist())
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(repr(name[:100]) for name in names[:_MOST_NAMES]) + more or "nothing"


def _refuse_foreign(info: zipfile.ZipInfo, path: Path) -> None:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"it is compressed by a method, {info.compress_type}, that numpy never uses"
        )
    if info.compress_size > path.stat().st_size:
        raise ValueError("it claims to be larger than its file; the file is forged or damaged")


def _read_header(file: BinaryIO) -> tuple[ArrayHeader, int]:
    """The header and how many bytes it has; a long one is not even read."""
    magic = file.read(npy.MAGIC_LEN)
    version = npy.read_magic(BytesIO(magic))
    if version not in _HEADERS:
        raise ValueError(f"its format {version} is not known")
    count_format, read = _HEADERS[version]
    count = file.read(struct.calcsize(count_format))
    (length,) = struct.unpack(count_format, count)
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header has {length} bytes, more than any array of numbers needs")
    shape, _, dtype = read(BytesIO(count + file.read(length)))
    return ArrayHeader(shape=shape, dtype=dtype), len(magic) + len(count) + length


def _refuse_impossible(
    path: Path, info: zipfile.ZipInfo, name: str, header: ArrayHeader, length: int
) -> None:
    sizes = (*header.shape, header.num_bytes)
    if any(type(size) is not int or abs(size) >= _LARGEST_SIZE for size in sizes):
        raise StageError(f"{path}: array {name!r} declares a shape that no array can have")
    declared, held = header.num_bytes, info.file_size - length
    if any(size < 0 for size in header.shape) or declared != held:
        raise StageError(
            f"{path}: array {name!r} declares shape {list(header.shape)}, {declared} bytes, but "
            f"the archive holds {held}; the file is forged or damaged"
        )
    most = 1 if info.compress_type == zipfile.ZIP_STORED else _MOST_INFLATION
    if info.file_size > most * info.compress_size + length:
        raise StageError(
            f"{path}: array {name!r} declares {info.file_size} bytes in {info.compress_size} "
            "compressed ones, which can't be; the file is forged or damaged"
        )
    refuse_too_large(declared, f"{path}: array {name!r}")


def refuse_too_large(num_bytes: int, what: str) -> None:
    """Refuse what this machine has no memory for.

    Raises:
        StageError: it needs more bytes than there are.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > memory:
        raise StageError(f"{what} needs {num_bytes} bytes, but this machine has {memory}")


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
