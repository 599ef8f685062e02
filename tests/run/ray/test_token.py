"""Where Ray's token lies and who may read it, as Ray itself sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasetune.run.ray.token import is_authentication_on, is_token_in_environment, token_file

FINDS = """
from ray._raylet import AuthenticationTokenLoader
print(AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without a token, and an environment that says nothing of one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write_token(path: Path, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a" * 32)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("mode", "readers", "is_open"),
    [
        (0o600, "you alone", False),
        (0o400, "you alone", False),
        (0o640, "your group", True),
        (0o644, "everybody", True),
        (0o620, "you alone", True),
    ],
    ids=["own", "read only", "group", "everybody", "group may replace it"],
)
def test_who_may_read_it(home: Path, mode: int, readers: str, is_open: bool) -> None:
    path = write_token(home / ".ray" / "auth_token", mode)
    file = token_file()
    assert (file.path, file.mode, file.readers, file.is_open) == (path, mode, readers, is_open)
    assert (file.is_there, file.is_readable, file.is_required) == (True, True, False)


def test_it_may_be_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "own"))
    assert (token_file().path, token_file().is_there) == (home / "own", False)
    assert token_file().is_required
    write_token(home / "own")
    assert token_file().is_readable


def test_a_folder_in_its_place_can_t_be_read(home: Path) -> None:
    (home / ".ray" / "auth_token").mkdir(parents=True)
    assert (token_file().is_there, token_file().is_readable) == (True, False)


@pytest.mark.parametrize(
    ("mode", "is_on"), [(None, True), ("token", True), ("TOKEN", True), ("disabled", False)]
)
def test_ray_asks_for_it_unless_told_otherwise(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: str | None, is_on: bool
) -> None:
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    assert is_authentication_on() is is_on


@pytest.mark.parametrize("where", ["nowhere", "home", "named", "environment"])
def test_ray_finds_it_in_the_same_places(
    home: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "home":
        write_token(home / ".ray" / "auth_token")
    if where == "named":
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(write_token(home / "own")))
    if where == "environment":
        monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 32)
    done = subprocess.run(
        [sys.executable, "-c", FINDS],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    ours = is_token_in_environment() or token_file().is_readable
    assert done.stdout.strip() == str(ours) == str(where != "nowhere")
