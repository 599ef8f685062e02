"""Arrays that users hand over as `.npz`: read only after what they declare was checked.

`numpy.load` unpickles nothing when told so, but it believes a header: 128 forged bytes make it ask
for terabytes. Here a member's declared shape must fit what the archive holds and what this machine
has, before anything is allocated.
"""

import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from phasetune.errors import StageError

_MOST_INFLATION = 1100  # deflate can't do more than 1032 to 1


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
        except (ValueError, EOFError, zlib.error, zipfile.BadZipFile, MemoryError) as error:
            raise StageError(f"{path}: array {name!r} is damaged: {error}") from error


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise StageError(
            f"{path} must be an .npz file, as numpy.savez writes it, but: {error}"
        ) from error


def _checked_header(path: Path, archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    member = f"{name}.npy"
    if member not in archive.namelist():
        held = ", ".join(sorted(entry.removesuffix(".npy") for entry in archive.namelist()))
        raise StageError(f"{path} must hold an array {name!r}, but holds: {held or 'nothing'}")
    try:
        with archive.open(member) as file:
            header = _read_header(cast(BinaryIO, file))
            length = file.tell()
    except (ValueError, EOFError, OSError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise StageError(f"{path}: array {name!r} can't be read: {error}") from error
    if header.dtype.hasobject:
        raise StageError(
            f"{path}: array {name!r} holds pickled Python objects, which are never loaded; save "
            "plain numbers"
        )
    _refuse_impossible(path, archive.getinfo(member), name, header, length)
    return header


def _read_header(file: BinaryIO) -> ArrayHeader:
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its format {version} is not known")
    shape, _, dtype = readers[version](file)
    return ArrayHeader(shape=shape, dtype=dtype)


def _refuse_impossible(
    path: Path, info: zipfile.ZipInfo, name: str, header: ArrayHeader, length: int
) -> None:
    declared, held = header.num_bytes, info.file_size - length
    if any(size < 0 for size in header.shape) or declared != held:
        raise StageError(
            f"{path}: array {name!r} declares shape {list(header.shape)}, {declared} bytes, but "
            f"the archive holds {held}; the file is forged or damaged"
        )
    if info.file_size > _MOST_INFLATION * info.compress_size + length:
        raise StageError(
            f"{path}: array {name!r} declares {info.file_size} bytes in {info.compress_size} "
            "compressed ones, which can't be; the file is forged or damaged"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if declared > memory:
        raise StageError(
            f"{path}: array {name!r} needs {declared} bytes, but this machine has {memory}"
        )
