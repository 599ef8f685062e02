"""Study files gone wrong, from a seed: what people mistype, what disks garble, what attacks try.

Each mutant is a whole study file. It stands in the folder that `scenery` makes, beside the files
that it may extend and the modules that it may name as its workload.
"""

import json
import os
import random
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasetune.study.dump import yaml_text
from phasetune.study.reading import KeyPath, read_yaml
from torture import broken_yaml, malformed

REPOSITORY = Path(__file__).parents[2]
STUDIES = {
    "quickstart": REPOSITORY / "configs" / "quickstart.yaml",
    "digits": REPOSITORY / "configs" / "digits.yaml",
    "lstm": REPOSITORY / "configs" / "lstm_phase_iv.yaml",
    "own": REPOSITORY / "experiments" / "own_workload" / "study.yaml",
}
ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A study file; `size` pads it to so many bytes on the disk."""

    kind: str
    name: str
    content: bytes
    size: int | None = None

    def write(self, path: Path) -> None:
        path.write_bytes(self.content)
        if self.size is not None:
            os.truncate(path, self.size)


def scenery(folder: Path) -> None:
    """The files beside a mutant, and what only looks like one."""
    for path in (*STUDIES.values(), STUDIES["own"].with_name("workload.py")):
        if path.name != "study.yaml":
            shutil.copy(path, folder)
    for name, text in malformed.MODULES.items():
        (folder / f"{name}.py").write_text(text)
    for name, text in malformed.BASES.items():
        (folder / name).write_text(text)
    os.mkfifo(folder / "pipe.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "gone.yaml").symlink_to("nowhere.yaml")
    (folder / "folder.yaml").mkdir()


def mutants(seed: int) -> list[Mutant]:
    """The same ones for the same seed."""
    bases = {name: read_yaml(path).content for name, path in STUDIES.items()}
    bases["scripted"] = malformed.scripted_study()
    texts = {name: yaml_text(content) for name, content in bases.items()}
    chance = random.Random(seed)  # noqa: S311
    found = [
        *_of_keys(bases, chance),
        *_of_values(bases, chance),
        *_of_fields(bases["scripted"]),
        *_of_texts(texts["scripted"]),
        *_of_bytes(texts, chance),
    ]
    return list({mutant.name: mutant for mutant in found}.values())


def _mutant(kind: str, name: str, content: Mapping[str, Any] | str | bytes) -> Mutant:
    text = _written(content) if isinstance(content, Mapping) else content
    encoded = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return Mutant(kind=kind, name=f"{kind}-{name}", content=encoded)


class Raw(str):
    """A value as it is to stand in the file, such as `0o17` or `*alias`."""

    __slots__ = ()


def _written(content: Mapping[str, Any]) -> str:
    """As YAML's JSON, in which raw values stand as they are."""
    raw: list[str] = []

    def marked(value: Any) -> Any:
        if isinstance(value, Raw):
            raw.append(value)
            return f"<<raw {len(raw) - 1}>>"
        if isinstance(value, Mapping):
            return {key: marked(item) for key, item in value.items()}
        return [marked(item) for item in value] if isinstance(value, list) else value

    text = json.dumps(marked(content), indent=1, ensure_ascii=False)
    return re.sub(r'"<<raw (\d+)>>"', lambda match: raw[int(match[1])], text)


def _paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(item, (*path, key))


def _at(content: Any, path: KeyPath) -> Any:
    for part in path:
        content = content[part]
    return content


def changed(content: Any, path: KeyPath, value: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return value
    copy: Any = dict(content) if isinstance(content, dict) else list(content)
    copy[path[0]] = changed(content[path[0]], path[1:], value)
    return copy


def _label(path: KeyPath) -> str:
    return ".".join(str(part) for part in path) or "study"


def _of_keys(bases: Mapping[str, Any], chance: random.Random) -> Iterator[Mutant]:
    """Unknown, misspelt, missing and doubled keys at every level."""
    for name, content in bases.items():
        for path in [path for path in _paths(content) if isinstance(_at(content, path), dict)]:
            around = _at(content, path)
            if not around:
                continue
            key = chance.choice(list(around))
            others = {other: value for other, value in around.items() if other != key}
            cut = chance.randrange(len(key))
            misspelt = {**others, key[:cut] + key[cut + 1 :]: around[key]}
            where = f"{name}:{_label(path)}"
            yield _mutant("unknown", where, changed(content, path, {**around, "colour": 3}))
            yield _mutant("misspelt", f"{where}.{key}", changed(content, path, misspelt))
            yield _mutant("missing", f"{where}.{key}", changed(content, path, others))
        lines = yaml_text(content).splitlines(keepends=True)
        for line in chance.sample([i for i, text in enumerate(lines) if ": " in text], 4):
            twice = "".join([*lines[: line + 1], lines[line], *lines[line + 1 :]])
            yield _mutant("doubled", f"{name}:{line + 1}", twice)


def _of_values(bases: Mapping[str, Any], chance: random.Random) -> Iterator[Mutant]:
    """Something else where a value stands."""
    for name, content in bases.items():
        for path in [path for path in _paths(content) if path]:
            value = chance.choice(malformed.VALUES)
            where = f"{name}:{_label(path)}={value:.12}"
            yield _mutant("value", where, changed(content, path, Raw(value)))


def _of_fields(base: Mapping[str, Any]) -> Iterator[Mutant]:
    """Names, templates, sentences, workloads, files and sizes that are not meant well."""
    for kind, (path, values) in malformed.FIELDS.items():
        for number, value in enumerate(values):
            yield _mutant(kind, str(number), changed(base, path, value))
    for kind, changes in malformed.CHANGES.items():
        for number, change in enumerate(changes):
            yield _mutant(kind, str(number), {**base, **change})


def _of_texts(base: str) -> Iterator[Mutant]:
    """What YAML and encodings can do."""
    for kind, texts in broken_yaml.TEXTS.items():
        for number, text in enumerate(texts):
            yield _mutant(kind, str(number), text)
    for number, (before, after) in enumerate(broken_yaml.AROUND):
        yield _mutant("around", str(number), before + base.encode() + after)
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037"):
        yield _mutant("encoding", encoding, base.encode(encoding))
    yield _mutant("encoding", "latin-1", (base + "description: für").encode("latin-1"))
    yield Mutant(kind="huge", name="huge-100-MB", content=base.encode(), size=100_000_000)
    yield Mutant(kind="huge", name="huge-1-TB", content=base.encode(), size=10**12)


def _of_bytes(texts: Mapping[str, str], chance: random.Random) -> Iterator[Mutant]:
    """Files cut short, with flipped bits, with words swapped."""
    for round_ in range(ROUNDS):
        name = chance.choice(sorted(texts))
        content = texts[name].encode()
        yield _mutant("cut", f"{round_}", content[: chance.randrange(len(content))])
        flipped = bytearray(content)
        for _ in range(chance.choice((1, 1, 1, 5, 30))):
            flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        yield _mutant("flipped", f"{round_}", bytes(flipped))
        yield _mutant("swapped", f"{round_}", _swapped(texts[name], chance))


def _swapped(text: str, chance: random.Random) -> str:
    tokens: Sequence[str] = re.split(r"(\w+|[^\w\s])", text)
    words = [i for i, token in enumerate(tokens) if token.strip()]
    one, other = chance.sample(words, 2)
    mixed = list(tokens)
    mixed[one], mixed[other] = mixed[other], mixed[one]
    return "".join(mixed)
