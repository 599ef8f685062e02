"""Who dies at any operation on the storage leaves what is whole, or what is not there."""

import itertools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

from machines import KEY, on, publish, reader
from phasetune.store.artifacts import ArtifactStore
from phasetune.store.documents import read_document, write_document
from phasetune.store.durable import withdraw
from phasetune.store.garbage import collect, garbage
from phasetune.store.remote.objects import RemoteObjects

WRITES = ("put", "copy", "delete", "delete_folder")

Moment = Literal["before", "after"]
Act = Callable[[str], None]


class Died(BaseException):
    """Nothing of the process goes on from here."""


def dies(patch: pytest.MonkeyPatch, number: int, moment: Moment) -> Callable[[], bool]:
    """From the n-th write at the URI on, every one of them fails; returns whether it came to it."""
    count, dead = itertools.count(), list[bool]()

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any) -> Any:
            is_due = next(count) == number
            if dead or (is_due and moment == "before"):
                dead.append(True)
                raise Died
            result = real(*arguments)
            if is_due:
                dead.append(True)
                raise Died
            return result

        return write

    for name in WRITES:
        patch.setattr(RemoteObjects, name, dying(getattr(RemoteObjects, name)))
    return lambda: bool(dead)


def publish_it(uri: str) -> None:
    publish(reader(uri))


def set_aside(uri: str) -> None:
    store = ArtifactStore(reader(uri).store)
    if store.intact("train", KEY) is not None:
        store.set_aside("train", KEY, reason="environment")


def delete_it(uri: str) -> None:
    withdraw(reader(uri).store / "train" / KEY)


def collect_it(uri: str) -> None:
    collect(garbage(reader(uri)))


def write_again(uri: str) -> None:
    write_document(reader(uri).root / "s/plan.json", {"rows": list(range(1000))})


ACTS = (publish_it, set_aside, delete_it, collect_it)


def is_published(uri: str) -> bool:
    """Whether the artifact is there; what is there is whole, seen from a machine of its own."""
    found = ArtifactStore(reader(uri).store).get("train", KEY)
    if found is not None:
        found.verify()
        assert found.history()
    return found is not None


def suffers(act: Act, number: int, moment: Moment, uri: str, folder: Path) -> bool:
    """Whether it came to the n-th write; whoever goes on, here or elsewhere, ends as always."""
    with on(folder / "first"):
        if act is not publish_it:
            publish(reader(uri))
        with pytest.MonkeyPatch.context() as patch, suppress(Died):
            has_died = dies(patch, number, moment)
            act(uri)
    with on(folder / "second"):
        is_published(uri)
        act(uri)
        assert is_published(uri) is (act is publish_it), number
    with on(folder / "first"):
        assert is_published(uri) is (act is publish_it), number
    return has_died()


def named(act: Act) -> str:
    return act.__name__


@pytest.mark.parametrize(("number", "moment"), [(0, "after"), (1, "before"), (4, "after")])
@pytest.mark.parametrize("act", ACTS, ids=named)
def test_an_artifact_is_whole_or_not_there_after_some_deaths(
    act: Act, number: int, moment: Moment, bucket: str, tmp_path: Path
) -> None:
    suffers(act, number, moment, bucket, tmp_path)


@pytest.mark.torture
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("act", ACTS, ids=named)
def test_an_artifact_is_whole_or_not_there_after_every_death(
    act: Act, moment: Moment, bucket: str, tmp_path: Path
) -> None:
    for number in itertools.count():
        uri, folder = f"{bucket}/{number}", tmp_path / str(number)
        if not suffers(act, number, moment, uri, folder):
            assert number > 1
            return


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_document_is_the_old_or_the_new_one(moment: Moment, bucket: str, tmp_path: Path) -> None:
    old, new = {"rows": [1]}, {"rows": list(range(1000))}
    with on(tmp_path / "first"):
        write_document(reader(bucket).root / "s/plan.json", old)
        with pytest.MonkeyPatch.context() as patch, suppress(Died):
            dies(patch, 0, moment)
            write_again(bucket)
    for machine in ("second", "first"):
        with on(tmp_path / machine):
            path = reader(bucket).root / "s/plan.json"
            assert read_document(path) == (old if moment == "before" else new)
