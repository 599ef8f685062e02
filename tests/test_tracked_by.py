import pytest

from followed import small_study
from phasetune import StudyError
from phasetune.api.tracked_by import VARIABLE, tracked_by, tracking_of_words


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (None, {"mlflow": None}),
        ("", {"mlflow": None}),
        ("none", {}),
        ("jsonl", {"jsonl": None}),
        (" jsonl , mlflow,", {"jsonl": None, "mlflow": None}),
    ],
)
def test_the_environment_speaks_for_a_study_that_does_not(
    monkeypatch: pytest.MonkeyPatch, said: str | None, found: dict[str, str | None]
) -> None:
    monkeypatch.delenv(VARIABLE)
    if said is not None:
        monkeypatch.setenv(VARIABLE, said)
    assert tracked_by(small_study(tracking=None)) == found


@pytest.mark.parametrize("tracking", ["none", "mlflow", {"jsonl": "here"}])
def test_a_study_that_says_it_is_believed(
    monkeypatch: pytest.MonkeyPatch, tracking: str | dict[str, str]
) -> None:
    monkeypatch.setenv(VARIABLE, "tensorboard")
    study = small_study(tracking=tracking)
    assert tracked_by(study) == study.tracking


@pytest.mark.parametrize("said", ["mlflw", "none,jsonl", "jsonl;mlflow"])
def test_words_that_name_no_tracker_are_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(VARIABLE, said)
    with pytest.raises(StudyError, match=f"{VARIABLE}: must be none or name trackers, but names"):
        tracked_by(small_study(tracking=None))


def test_a_command_line_may_say_where() -> None:
    words = ["jsonl", "mlflow=http://localhost:5000/?a=b"]
    found = tracking_of_words(words, "--tracking")
    assert found == {"jsonl": None, "mlflow": "http://localhost:5000/?a=b"}
