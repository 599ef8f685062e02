"""torch, GPUs and Ray: each broken part is a sentence with a way out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasetune.run.devices import Gpu
from phasetune.run.doctor import examine
from phasetune.run.doctor.examine import gpu_part, ray_part, torch_part

CARD = Gpu(name="Card", total_bytes=1 << 34, free_bytes=1 << 33, compute_capability=8.6)
OLD = Gpu(name="Old", total_bytes=None, free_bytes=None, compute_capability=7.5)


def test_torch_is_described() -> None:
    part = torch_part()
    assert (part.problems, part.warnings) == ((), ())
    assert part.facts["is_importable"] is True
    assert part.facts["threads_per_run"] == 1
    assert part.facts["threads_otherwise"] >= 1
    assert part.facts["version"].startswith("2.")


@pytest.mark.parametrize(
    ("module", "ask", "sentence"),
    [
        ("torch", torch_part, "; install it with `pip install torch`"),
        (
            "ray.tune",
            ray_part,
            "; install it with `pip install 'ray[tune]'`, or run studies with --in-process",
        ),
    ],
)
def test_a_library_that_can_t_be_imported_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, module: str, ask: Callable[[], Any], sentence: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    part = ask()
    assert part.problems == (
        (
            f"{module} can't be imported (ModuleNotFoundError: import of {module} halted; "
            f"None in sys.modules){sentence}"
        ),
    )
    assert part.facts["is_importable"] is False


def test_a_library_that_is_broken_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.12:\\n cannot open')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert torch_part().problems == (
        (
            "torch can't be imported (OSError: libcudart.so.12: cannot open); install it with "
            "`pip install torch`"
        ),
    )


def torch_facts(*, cuda: str | None, seen: int) -> dict[str, Any]:
    return {"is_importable": True, "version": "2.13.0", "cuda": cuda, "seen_gpus": seen}


@pytest.mark.parametrize(
    ("hidden", "torch", "warning"),
    [
        (None, torch_facts(cuda="12.8", seen=1), None),
        (None, {"is_importable": False}, None),
        (
            "",
            torch_facts(cuda="12.8", seen=0),
            "CUDA_VISIBLE_DEVICES hides all GPUs; unset it, or studies run on the CPU",
        ),
        (
            None,
            torch_facts(cuda=None, seen=0),
            (
                "torch 2.13.0 is built for CPUs only; install a build with CUDA, or studies run on "
                "the CPU"
            ),
        ),
        (
            None,
            torch_facts(cuda="12.8", seen=0),
            (
                "torch 2.13.0 sees no GPU with its CUDA 12.8; update the NVIDIA driver, or install "
                "a torch for an older CUDA"
            ),
        ),
    ],
    ids=["used", "without torch", "hidden", "torch for CPUs", "old driver"],
)
def test_why_torch_does_not_use_gpus(
    monkeypatch: pytest.MonkeyPatch,
    hidden: str | None,
    torch: dict[str, Any],
    warning: str | None,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(examine, "gpus", lambda: (CARD, OLD))
    part = gpu_part(torch)
    assert part.warnings == (() if warning is None else (warning,))
    assert part.problems == ()
    assert [(gpu["name"], gpu["has_bf16"], gpu["has_tf32"]) for gpu in part.facts] == [
        ("Card", True, True),
        ("Old", False, False),
    ]


@pytest.mark.parametrize(
    "torch", [torch_facts(cuda=None, seen=0), {"is_importable": False}], ids=["CPUs", "none"]
)
def test_no_gpu_is_nothing_wrong(monkeypatch: pytest.MonkeyPatch, torch: dict[str, Any]) -> None:
    monkeypatch.setattr(examine, "gpus", tuple)
    part = gpu_part(torch)
    assert (part.facts, part.warnings) == ([], ())


def test_gpus_that_torch_sees_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = SimpleNamespace(
        __version__="2.13.0",
        version=SimpleNamespace(cuda="12.8"),
        cuda=SimpleNamespace(is_available=lambda: True, device_count=lambda: 3),
        get_num_threads=lambda: 4,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    facts = torch_part().facts
    assert (facts["seen_gpus"], facts["cuda"], facts["threads_otherwise"]) == (3, "12.8", 4)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (subprocess.CalledProcessError(9, "nvidia-smi", output="It has\nfailed"), "It has failed"),
        (OSError("Exec format error"), "Exec format error"),
    ],
    ids=["failed", "no program"],
)
def test_a_driver_that_does_not_answer_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def broken() -> tuple[Gpu, ...]:
        raise error

    monkeypatch.setattr(examine, "gpus", broken)
    part = gpu_part({"is_importable": False})
    assert part.warnings == (
        (
            f"nvidia-smi is there, but does not answer ({said}); mend the NVIDIA driver, or "
            "studies run on the CPU"
        ),
    )


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token of one's own, in a home folder of one's own."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / ".ray" / "auth_token"
    path.parent.mkdir()
    path.write_text("secret")
    path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    return path


def private(token: Path, patch: pytest.MonkeyPatch) -> None:
    pass


def open_to_all(token: Path, patch: pytest.MonkeyPatch) -> None:
    token.chmod(0o644)


def absent(token: Path, patch: pytest.MonkeyPatch) -> None:
    token.unlink()


def folder(token: Path, patch: pytest.MonkeyPatch) -> None:
    token.unlink()
    token.mkdir(mode=0o700)


def named_but_absent(token: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("RAY_AUTH_TOKEN_PATH", str(token.with_name("other")))


def in_environment(token: Path, patch: pytest.MonkeyPatch) -> None:
    token.chmod(0o644)
    patch.setenv("RAY_AUTH_TOKEN", "secret")


def off(token: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("RAY_AUTH_MODE", "disabled")


def without_home(token: Path, patch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    patch.setattr(Path, "home", none)


@pytest.mark.parametrize(
    ("make", "problem", "warning"),
    [
        (private, "", ""),
        (absent, "", ""),
        (in_environment, "", ""),
        (open_to_all, "", "can be read by others (everybody), and whoever has it can run code"),
        (off, "", "RAY_AUTH_MODE turns Ray's token authentication off"),
        (folder, "auth_token can't be read; make it a file that is yours, or move it away", ""),
        (named_but_absent, "other, which is not there; copy the token of the cluster's head", ""),
        (without_home, "there is no home folder for Ray's token; set HOME", ""),
    ],
)
def test_ray_s_token(
    token: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path, pytest.MonkeyPatch], None],
    problem: str,
    warning: str,
) -> None:
    make(token, monkeypatch)
    part = ray_part()
    for said, expected in ((part.problems, problem), (part.warnings, warning)):
        assert len(said) == bool(expected)
        assert all(expected in sentence for sentence in said)
    assert part.facts["is_authentication_on"] is (make is not off)
    assert "secret" not in f"{part}"
