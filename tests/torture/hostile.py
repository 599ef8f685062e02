"""Files as an attacker, or a broken disk, would leave them. Seeded: a name gives the same bytes."""

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]

TIB = 1 << 40
DEFLATED = zipfile.ZIP_DEFLATED
NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 10**400, 1.5, float("nan"), float("inf"), "", "nan", "1", "x\0y",
    "../../canary", "/dev/zero", "files/../../canary", ".", "x" * 100_000, "\ud800", [], {}, [[]],
    {"": None}, ["/etc/passwd"], {"../canary": {"size": 0, "sha256": "0" * 64}},
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """What happens to which file of a good folder."""

    name: str
    kind: str
    file: str
    damage: Damage


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self._made = os.mkdir, (str(path),)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made


def bytes_changed(seed: str) -> Damage:
    """A few bits flipped, bytes cut out, put in, or the end cut off."""

    def damage(path: Path) -> None:
        chance, content = random.Random(seed), bytearray(path.read_bytes())  # noqa: S311
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(content) or 1)
            change = chance.choice(("flip", "cut", "insert", "end", "zeros"))
            if change == "flip":
                content[at : at + 1] = bytes([chance.randrange(256)])
            elif change == "cut":
                del content[at : at + chance.randint(1, 40)]
            elif change == "insert":
                content[at:at] = chance.randbytes(chance.randint(1, 40))
            elif change == "end":
                del content[at:]
            else:
                content[at : at + 16] = bytes(16)
        path.write_bytes(content)

    return damage


def json_changed(seed: str, *, then: Callable[[Any], Any] = lambda content: content) -> Damage:
    """One to three values replaced by what nobody writes there; keys taken out or added."""

    def damage(path: Path) -> None:
        chance, content = random.Random(seed), json.loads(path.read_text())  # noqa: S311
        for _ in range(chance.randint(1, 3)):
            holder, key = chance.choice(list(_places(content)) or [({"": content}, "")])
            change = chance.choice(("replace", "replace", "remove", "add"))
            if change == "replace":
                holder[key] = chance.choice(NASTY)
            elif change == "remove":
                del holder[key]
            elif isinstance(holder, dict):
                holder["../canary"] = chance.choice(NASTY)
        path.write_text(json.dumps(then(content)))

    return damage


def _places(content: Any) -> Iterator[tuple[Any, Any]]:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, dict | list) and value:
            yield from _places(value)


def replaced(content: bytes | Callable[[Path], bytes]) -> Damage:
    """Other content; where it is a function, it gets the path of the canary."""

    def damage(path: Path) -> None:
        made = content if isinstance(content, bytes) else content(path.parent / "canary")
        path.write_bytes(made)

    return damage


def linked(target: str) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return damage


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def sparse(path: Path) -> None:
    """Claims a terabyte that takes no room."""
    os.truncate(path, TIB)


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def npy(shape: str, descr: str = "'<f4'", content: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def npz(
    members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED
) -> Callable[[Path], bytes]:
    def made(canary: Path) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content, compression)
        return file.getvalue()

    return made


def object_array(canary: Path) -> bytes:
    content = npy("(1,)", "'|O'", pickle.dumps([Canary(canary)]))
    return npz([("X.npy", content), ("y.npy", npy("(1,)", "'<i8'", bytes(8)))])(canary)


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Canary(canary))


def state_with_code(canary: Path) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save({"weight": torch.ones(2), "code": Canary(canary)}, file)
    return file.getvalue()


def state_of(pickle_text: bytes, *, compression: int = zipfile.ZIP_STORED) -> bytes:
    """What torch takes for a saved state, around a pickle written by hand."""
    members = [("archive/data.pkl", pickle_text), ("archive/version", b"3\n")]
    return npz(members, compression)(Path())


def overlapping(path: Path) -> None:
    """Many members of the directory lead to the same large one."""
    body = state_of(b"\x80\x02}." + bytes(1 << 20))
    start = body.index(b"PK\x01\x02")
    end = body.index(b"PK\x05\x06")
    entries = body[start:end] * 400
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 800, 800, len(entries), start, 0)
    path.write_bytes(body[:start] + entries + tail)


def tensors(header: bytes, *, claims: int | None = None, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if claims is None else claims) + header + content


WINDOWS = npy("(12, 8, 2)", content=bytes(768))
LABELS = npy("(12,)", "'<i8'", bytes(96))
MANY_NAMES = b"{%s}" % b",".join(
    b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % n for n in range(100_000)
)

NO_FILE: dict[str, Damage] = {"pipe": piped, "endless": linked("/dev/zero"), "nowhere": linked("-")}
NO_JSON: dict[str, Damage] = {**NO_FILE, "deep": replaced(deep(100_000)), "sparse": sparse}
ARRAYS: dict[str, Damage] = {
    "terabytes": replaced(npz([("X.npy", npy(f"({TIB},8,2)")), ("y.npy", LABELS)])),
    "negative": replaced(npz([("X.npy", npy("(-12,-8,2)", content=bytes(768)))])),
    "objects": replaced(object_array),
    "pickle": replaced(pickled),
    "npy": replaced(WINDOWS),
    "bomb": replaced(npz([("X.npy", npy("(12,8,2)", content=bytes(64 << 20)))], DEFLATED)),
    "names that lead out": replaced(npz([("../X.npy", WINDOWS), ("/y.npy", LABELS)])),
    "twice": replaced(npz([("X.npy", WINDOWS), ("X.npy", WINDOWS), ("y.npy", LABELS)])),
    "no labels": replaced(npz([("X.npy", WINDOWS)])),
    "text labels": replaced(npz([("X.npy", WINDOWS), ("y.npy", npy("(12,)", "'<U1'", bytes(48)))])),
    "code as a header": replaced(npz([("X.npy", npy("__import__('os').abort()"))])),
    "ten thousand members": replaced(npz([(f"{n}.npy", b"") for n in range(10_000)])),
    "sparse": sparse,
}
WEIGHTS: dict[str, Damage] = {
    **NO_FILE,
    "a header of a gigabyte": replaced(tensors(b"{}", claims=1 << 30)),
    "a header of 2**63": replaced(tensors(b"{}", claims=1 << 63)),
    "many names": replaced(tensors(MANY_NAMES)),
    "deep": replaced(tensors(deep(100_000))),
    "wide": replaced(tensors(b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,4]}}' % TIB)),
    "pickle": replaced(pickled),
    "sparse": sparse,
}
SHAPE: dict[str, Damage] = {
    **NO_JSON,
    "digits": replaced(b'{"schema": 1, "num_heads": ' + b"9" * 100_000 + b"}"),
    "a long schema": replaced(b'{"schema": "' + b"x" * 10_000_000 + b'"}'),
}
STATE: dict[str, Damage] = {
    **NO_FILE,
    "code": replaced(state_with_code),
    "pickle": replaced(pickled),
    "zeros": replaced(state_of(b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\2\x85R.")),
    "packed": replaced(state_of(b"\x80\x02}." + bytes(64 << 20), compression=DEFLATED)),
    "overlapping": overlapping,
}
LINKS: dict[str, Damage] = {"link": linked("/etc/passwd"), "endless": linked("/dev/zero")}

BY_HAND: dict[str, dict[str, dict[str, Damage]]] = {
    "npz": {"train.npz": ARRAYS},
    "model": {"model.safetensors": WEIGHTS, "model.json": SHAPE},
    "checkpoint": {"state.pt": STATE, "meta.json": NO_JSON},
    "artifact": {"manifest.json": NO_JSON, "history.json": LINKS, "files/model.txt": LINKS},
    "seal": {"phasetune-checkpoint.json": NO_JSON, "state.json": {**LINKS, **NO_FILE}},
    "failure": {"failed.json": NO_JSON},
    "study": {"phases/value/decision.json": NO_JSON, "phases/value/plan.json": NO_JSON},
}


def cases(*, each: int, sign: Callable[[Any], Any]) -> list[Case]:
    """What was made by hand, and of each file so many others; `sign` renews a seal's digest."""
    found = [
        Case(f"{kind}: {file}: {name}", kind, file, damage)
        for kind, files in BY_HAND.items()
        for file, made in files.items()
        for name, damage in made.items()
    ]
    for kind, files in BY_HAND.items():
        for file in files:
            for n in range(each):
                name = f"{kind}: {file}: bytes {n}"
                found.append(Case(name, kind, file, bytes_changed(name)))
                if file.endswith(".json"):
                    name = f"{kind}: {file}: values {n}"
                    then = sign if kind == "seal" else lambda content: content
                    found.append(Case(name, kind, file, json_changed(name, then=then)))
    return found
