"""What is told where the process that asks a head does not bring an answer; no Ray takes part."""

import sys
from pathlib import Path

import pytest

from phasetune import StudyError
from phasetune.run.ray import joining
from phasetune.run.ray.joining import reach

PLACE = "127.0.0.1:6379"


def reached(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The refusal, where a module of this text is what the process finds as `ray`."""
    (folder / "ray.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(joining, "silence", lambda _: None)
    with pytest.raises(StudyError) as refused:
        reach(PLACE)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise ImportError('libstdc++ is too old\\n')", "ImportError: libstdc++ is too old"),
        (
            "raise TimeoutError('it did not answer, try 1 of 1')",
            "TimeoutError: it did not answer, try 1 of 1",
        ),
        ("import os; os._exit(9)", "the process that asked ended with 9"),
    ],
    ids=["not imported", "not answered", "without a word"],
)
def test_why_it_could_not_be_asked_is_told(
    text: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reached(text, tmp_path, monkeypatch) == (
        f"--address {PLACE}: the head could not be asked: {why}; nothing was started, so the same "
        "command may be tried again"
    )


def test_only_one_that_does_not_answer_in_time_is_told_to_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "PROBE_SECONDS", 0.5)
    told = reached("import time; time.sleep(600)", tmp_path, monkeypatch)
    assert "a head is there, but tells nothing of itself within 0.5 s; look at its log" in told
    assert sys.executable not in told
