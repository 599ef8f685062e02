"""Where Ray's token lies and who may read it, as Ray itself sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasetune.run.ray.token import (
    is_authentication_on,
    is_token_in_environment,
    keep_token,
    make_token,
    token_file,
)

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


def test_one_that_is_made_is_for_the_user_alone_and_serves_ray(home: Path) -> None:
    before = os.umask(0)
    try:
        make_token()
    finally:
        os.umask(before)
    assert token_file().mode == 0o600
    token = token_file().path.read_text()
    assert len(token) == 64
    make_token()
    assert token_file().path.read_text() == token
    assert _ray_finds_it()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RAY_AUTH_MODE", "disabled"),
        ("RAY_AUTH_TOKEN", "a" * 32),
        ("RAY_AUTH_TOKEN_PATH", "/nowhere/token"),
    ],
)
def test_none_is_made_where_ray_makes_none(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    make_token()
    assert not (home / ".ray").exists()


def test_a_home_that_can_t_be_written_is_left_to_ray(home: Path) -> None:
    (home / ".ray").write_text("a file in its place")
    make_token()
    assert (home / ".ray").is_file()


@pytest.mark.parametrize(
    ("mode", "kept"), [(0o644, 0o600), (0o666, 0o600), (0o600, 0o600), (0o400, 0o400)], ids=oct
)
@pytest.mark.parametrize("is_named", [False, True], ids=["in its place", "named"])
def test_one_that_is_open_to_others_is_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: int, kept: int, is_named: bool
) -> None:
    path = write_token(home / ("own" if is_named else ".ray/auth_token"), mode)
    if is_named:
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    keep_token()
    assert (token_file().path, token_file().mode) == (path, kept)


def test_closing_one_that_is_not_there_does_nothing(home: Path) -> None:
    keep_token()
    assert not token_file().is_there


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
    ours = is_token_in_environment() or token_file().is_readable
    assert _ray_finds_it() is ours is (where != "nowhere")


def _ray_finds_it() -> bool:
    done = subprocess.run(
        [sys.executable, "-c", FINDS],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip() == "True"
