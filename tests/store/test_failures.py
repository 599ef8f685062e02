import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from phasetune.errors import StoreError
from phasetune.store.failures import Failure, FailureStore

FAILURE = Failure(stage="finetune", key="ab", cause="error", message="ValueError: é")


def test_a_failure_is_kept_with_its_traceback_until_it_is_forgotten(tmp_path: Path) -> None:
    store = FailureStore(tmp_path / "store")
    assert store.get("finetune", "ab") is None
    store.put(FAILURE, "Traceback: é\n")
    assert FailureStore(tmp_path / "store").get("finetune", "ab") == FAILURE
    assert store.traceback("finetune", "ab").read_text() == "Traceback: é\n"
    assert store.get("pretrain", "ab") is None
    assert store.get("finetune", "abc") is None
    for _ in range(2):
        store.forget("finetune", "ab")
        assert store.get("finetune", "ab") is None


def test_a_later_failure_replaces_the_record(tmp_path: Path) -> None:
    store = FailureStore(tmp_path)
    store.put(FAILURE, "first")
    later = Failure(stage="finetune", key="ab", cause="stalled", message="nothing for 60 s")
    store.put(later, "second")
    assert store.get("finetune", "ab") == later
    assert store.traceback("finetune", "ab").read_text() == "second"


def test_a_record_never_stands_without_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_record(source: Path, target: Path) -> None:
        if Path(target).suffix == ".json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        Path(source).rename(target)

    store = FailureStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse_record)
        with pytest.raises(StoreError, match=r"ab\.json can't be written: No space left"):
            store.put(FAILURE, "Traceback")
    assert store.get("finetune", "ab") is None
    assert store.traceback("finetune", "ab").read_text() == "Traceback"


def test_secrets_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "canary-1")
    failure = Failure(stage="s", key="k", cause="error", message="canary-1 at a://b:canary-2@c")
    store = FailureStore(tmp_path)
    store.put(failure, "Traceback\npassword=canary-3\ncanary-1\n")
    assert store.get("s", "k") == replace(failure, message="*** at a://b:***@c")
    assert store.traceback("s", "k").read_text() == "Traceback\npassword=***\n***\n"


@pytest.mark.parametrize("change", [{"key": "cd"}, {"message": 3}, {"cause": None}, {"more": ""}])
def test_a_record_of_something_else_is_told(change: dict[str, object], tmp_path: Path) -> None:
    store = FailureStore(tmp_path)
    store.put(FAILURE, "Traceback")
    path = store.traceback("finetune", "ab").with_name("ab.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoreError, match=r"ab\.json is no record of this failure; move it away"):
        store.get("finetune", "ab")
