"""Where a result comes from: the environment class, the commit, the machine.

The environment class is what bit-for-bit equality depends on besides the key: device type,
resolved precision, threads, and the versions of the numeric libraries. Versions are read from the
installed packages' metadata, so that nothing heavy is imported.
"""

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from phasetune.store.masking import masked_arguments

NUMERIC_LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch")
OTHER_LIBRARIES = ("phasetune", "ray", "pandas", "pyarrow", "pydantic")


def environment_class(*, device: str, precision: str, threads: int) -> dict[str, Any]:
    """Within one environment class equal keys give equal bits."""
    return {
        "device": device,
        "precision": precision,
        "threads": threads,
        "machine": platform.machine(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "libraries": _versions(NUMERIC_LIBRARIES),
    }


def software() -> dict[str, Any]:
    """Versions of everything that took part."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **_versions(NUMERIC_LIBRARIES + OTHER_LIBRARIES),
    }


@cache
def _versions(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether the work tree differs from it; None outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def command_line() -> list[str]:
    """How this process was started, secrets masked; `python -m phasetune` for a package."""
    program = Path(sys.argv[0])
    is_package = program.name == "__main__.py"
    name = ["python", "-m", program.parent.name] if is_package else [program.name]
    return [*name, *masked_arguments(sys.argv[1:])]
