"""`--address` that is no address is refused before anything is made."""

from pathlib import Path

import pytest

from cli.conftest import StudyWriter, phasetune


@pytest.mark.parametrize(
    "command",
    [("run", "study.yaml"), ("run", "study.yaml", "--detach"), ("trial", "study.yaml", "one-1")],
    ids=["run", "detached", "trial"],
)
def test_a_mistyped_address_leaves_nothing_behind(
    command: tuple[str, ...], written: StudyWriter, folder: Path
) -> None:
    written(phases=[{"name": "one", "points": [{}]}])
    before = sorted(folder.iterdir())
    said = phasetune(*command, "--address", "foo")
    assert (said.code, sorted(folder.iterdir())) == (2, before)
    assert "--address must be auto or HOST:PORT, such as 10.0.0.1:6379, but is 'foo'" in said.err
